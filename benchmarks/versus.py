"""This commit against another, in turn: PPO's and stepping's steps/s, compilation, and the seconds to a return of 475.

    python -m benchmarks.versus a6ae567                          # some ten minutes
    python -m benchmarks.versus main --subjects ppo --runs 2

The other commit is checked out into a temporary folder, and both run in this environment, in processes of their own and
one after the other, so that a noisy moment of the machine meets both. A ratio above 1 says that this commit is faster.
`benchmarks/results/versus.json` keeps the medians of each run.
"""

import argparse
import functools
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import save, take_turns

ROOT = Path(__file__).parents[1]
IDS = "CartPole-v1", "HeartPole-v0", "SimpleRocket-v0"

PPO = """
import json, statistics, sys, time
import jax, jaxenvs
from train import ppo
config = ppo.Config(num_envs=256, num_steps=128)
for id in sys.argv[1:]:
    envs = jaxenvs.make_vec(id, 256)
    state = jax.jit(ppo.init)(config, envs, jax.random.key(0))
    began = time.perf_counter()
    lowered = jax.jit(lambda config, state: ppo.update(config, envs, state)).lower(config, state)
    update = lowered.compile(compiler_options={"xla_cpu_prefer_vector_width": 512})
    compiled = time.perf_counter() - began
    seconds = []
    for _ in range(28):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(update(config, state))
        seconds.append(time.perf_counter() - began)
    rate = 256 * 128 / statistics.median(seconds[3:])
    print(json.dumps({"subject": f"PPO {id}", "steps_per_second": rate, "compile_s": compiled}))
"""
STEPPING = """
import json, statistics, sys, time
import jax, jaxenvs
jaxenvs.tune_cpu()
for id in sys.argv[1:]:
    for kind in ("ordinary", "fast"):
        envs = jaxenvs.make_vec(id, 16384)
        key = jax.random.key(1) if kind == "ordinary" else jaxenvs.random.fast(jax.random.key(1))
        state, obs = jaxenvs.over_devices(envs.reset(key))
        policy = lambda key, obs: envs.sample_actions(key)
        steps = lambda key, state, obs: jaxenvs.rollout(envs, policy, key, state, obs, 200, lambda *_: None)[:2]
        began = time.perf_counter()
        run = jax.jit(steps).lower(key, state, obs).compile()
        compiled = time.perf_counter() - began
        seconds = []
        for _ in range(9):
            began = time.perf_counter()
            state, obs = jax.block_until_ready(run(key, state, obs))
            seconds.append(time.perf_counter() - began)
        rate = 16384 * 200 / statistics.median(seconds[2:])
        print(json.dumps({"subject": f"stepping {id} {kind}", "steps_per_second": rate, "compile_s": compiled}))
"""
SOLVED = """
import json, sys, tempfile
from pathlib import Path
from benchmarks.solved import solve
command = ["ppo", "--env", "CartPole-v1", "--until", "475"]
with tempfile.TemporaryDirectory() as folder:
    solve(command, 0, Path(folder))
    for seed in (0, 1, 2):
        row = solve(command, seed, Path(folder))
        print(json.dumps({"subject": "CartPole to 475, warm", "seconds": row["solved_s"]}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the other commit")
    parser.add_argument("--subjects", nargs="+", choices=("ppo", "stepping", "solved"), default=["ppo", "stepping"])
    parser.add_argument("--runs", type=int, default=3, help="of each commit")
    parser.add_argument("--all-ids", action="store_true", help="stepping of every id")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", other, options.commit], cwd=ROOT, check=True)
        try:
            rows = compare(other, options)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", other], cwd=ROOT, check=True)
    for row in rows:
        print(row)
    save("versus", rows, other=options.commit)


def compare(other, options):
    """The rows of all subjects."""
    from jaxenvs import registry

    # Ids that are newer than the other commit have nothing to be compared with.
    known = "".join(path.read_text() for path in Path(other, "jaxenvs").glob("*.py"))
    codes = {
        "ppo": (PPO, IDS),
        "stepping": (STEPPING, [id for id in sorted(registry) if f'"{id}"' in known] if options.all_ids else IDS),
        "solved": (SOLVED, ()),
    }
    found = {"here": [], "there": []}
    for name in options.subjects:
        calls = {
            place: functools.partial(measured, root, *codes[name]) for place, root in (("here", ROOT), ("there", other))
        }
        for place, runs in take_turns(calls, options.runs, alternate=True).items():
            found[place] += itertools.chain(*runs)
    return [ratio(subject, found) for subject in dict.fromkeys(row["subject"] for row in found["here"])]


def measured(root, code, arguments):
    """What a program prints in a checkout, as dicts."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{root}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def ratio(subject, found):
    """A row: the medians of both commits, and how much faster this one is."""
    row = {"subject": subject}
    for name in ("steps_per_second", "compile_s", "seconds"):
        values = [[r[name] for r in found[place] if r["subject"] == subject and name in r] for place in found]
        if not all(values):
            continue
        here, there = map(statistics.median, values)
        faster = here / there if name == "steps_per_second" else there / here
        row |= {name: round(here, 3), f"{name}_there": round(there, 3), f"{name}_ratio": round(faster, 3)}
    return row


if __name__ == "__main__":
    main()
