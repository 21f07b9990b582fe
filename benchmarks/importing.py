"""How long `import jaxenvs` takes, beside the imports it cannot do without.

    python -m benchmarks.importing

Each import is timed inside a fresh process, the two in turn, after one of each to fill the page cache.
"""

import subprocess
import sys

from benchmarks.common import save, spread

STATEMENTS = {"jax, gymnasium": "import jax, gymnasium", "jaxenvs": "import jaxenvs"}
RUNS = 15


def main():
    seconds = {name: [] for name in STATEMENTS}
    for turn in range(RUNS + 1):
        for name, statement in STATEMENTS.items():
            took = in_fresh_process(statement)
            if turn:
                seconds[name].append(took)
    extra = spread([ours - theirs for ours, theirs in zip(seconds["jaxenvs"], seconds["jax, gymnasium"], strict=True)])
    rows = [{"import": name, "seconds": spread(values)} for name, values in seconds.items()]
    for row in rows:
        print(f"import {row['import']:16} {row['seconds']['median']:.3f} s")
    print(f"difference, pair by pair  {extra['median']:+.3f} s ({extra['min']:+.3f} to {extra['max']:+.3f})")
    save("importing", rows, difference_s=extra)


def in_fresh_process(statement):
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
