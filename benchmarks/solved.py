"""Time from the start of a process to a mean return: CartPole-v1 at 475, and where the time goes.

    python -m benchmarks.solved                                  # five seeds, with a cold and a warm compilation cache
    python -m benchmarks.solved --env Pendulum-v1 --until -150 --seeds 0 1 2

Each run is `python -m train ppo --env ID --until RETURN` in a separate process, whose output lines are timed.
The return is that of 1024 full episodes of the greedy policy, each counted once. Cold runs start with an empty
compilation cache each; warm ones follow one of the same command. Options after `--` go to the command.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import save, spread

#: The line that ends each phase, in their order.
PHASES = {
    "imports": re.compile(r"^ppo on .*, (?P<devices>\d+) devices?: "),
    "compilation": re.compile(r"^compiled in "),
    "training": re.compile(r"^a return of \S+ is reached: (?P<value>\S+) at (?P<steps>[\d,]+) steps"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--until", type=float, default=475.0, metavar="RETURN")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--caches", nargs="+", choices=("cold", "warm"), default=["cold", "warm"])
    parser.add_argument("--name", default="solved", help="of the file in benchmarks/results/")
    parser.add_argument("options", nargs="*", help="more options of `python -m train ppo`, after --")
    options = parser.parse_args()
    command = ["ppo", "--env", options.env, "--until", str(options.until), *options.options]
    rows = [row for cache in options.caches for row in solve_all(command, options.seeds, cache)]
    save(options.name, rows, command=command, summary=[summary(cache, rows) for cache in options.caches])


def solve_all(command, seeds, cache):
    """A row for each seed; with a warm cache, after a run that fills it and is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "compiled"
        if cache == "warm":
            solve(command, seeds[0], kept)
        for seed in seeds:
            row = {"cache": cache, **solve(command, seed, kept if cache == "warm" else Path(folder) / f"cold-{seed}")}
            print(row, flush=True)
            yield row


def solve(command, seed, cache):
    """Runs the command, and times its lines."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, "-u", "-m", "train", *command, "--seed", str(seed), "--out", f"{folder}/run"]
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        began = time.perf_counter()
        process = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        lines = [(time.perf_counter() - began, line) for line in process.stderr]
        status = process.wait()
        ended = time.perf_counter() - began
    if status:
        raise SystemExit("".join(line for _, line in lines))
    return {"seed": seed, **phases(lines), "exit_s": round(ended, 3)}


def phases(lines):
    """What the timed lines of a run say.

    Args:
        lines: pairs of seconds since the start, and text.
    Returns:
        dict: `solved_s`, from the start of the process to the return reached, None if it never was; the seconds of each
        phase so far; `steps`, `value` and `devices`.
    """
    found, before = {"solved_s": None}, 0.0
    waiting = list(PHASES.items())
    for seconds, line in lines:
        if waiting and (match := waiting[0][1].match(line)):
            name, _ = waiting.pop(0)
            found[f"{name}_s"] = round(seconds - before, 3)
            found |= {key: _number(value) for key, value in match.groupdict().items()}
            before = seconds
            if not waiting:
                found["solved_s"] = round(seconds, 3)
    return found


def _number(text):
    return float(text) if "." in text or "e" in text else int(text.replace(",", ""))


def summary(cache, rows):
    """Of the runs with one kind of cache: how many reached the return, and the spread of seconds and steps."""
    mine = [row for row in rows if row["cache"] == cache]
    solved = [row for row in mine if row["solved_s"] is not None]
    names = ("solved_s", "exit_s", "imports_s", "compilation_s", "training_s", "steps")
    found = {name: spread([row[name] for row in solved]) for name in names} if solved else {}
    line = {"cache": cache, "runs": len(mine), "reached": len(solved), **found}
    print({name: value["median"] if isinstance(value, dict) else value for name, value in line.items()})
    return line


if __name__ == "__main__":
    main()
