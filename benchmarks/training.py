"""How many steps a second PPO trains, and how long the presets take to learn.

    python -m benchmarks.training                       # steps/s at 256 envs x 128 steps, 2x64 networks
    python -m benchmarks.training --learn --seeds 0     # whole runs of the presets, with what they reached
    python -m benchmarks.training --learn --seeds 1 2 3 4 --jobs 2          # more seeds, one core each

The first counts playing, advantages and 4 epochs x 4 minibatches; compilation is timed apart. The second runs
`python -m train ppo --env ID` in a process of its own, and reads its learning curve and its last evaluation.
"""

import argparse
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

import jaxenvs
from benchmarks.common import RESULTS, commit, save, spread, timed
from train import ppo, run

UPDATES = 10
SHAPE = {"num_envs": 256, "num_steps": 128, "epochs": 4, "minibatches": 4, "hidden": (64, 64)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--learn", action="store_true", help="whole runs of the presets in place of steps/s")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of the whole runs")
    parser.add_argument("--jobs", type=int, default=1, help="whole runs at a time")
    parser.add_argument("--keep", type=Path, help="a folder that keeps the runs, for benchmarks.transfer")
    parser.add_argument("--name", default="training", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    if options.learn:
        learn_all(options.ids, options.seeds, options.jobs, options.keep)
    else:
        save(options.name, [measure(id, options.runs) for id in options.ids])


def measure(id, runs):
    """Training steps a second at the shape that the peers are measured at."""
    config, envs = ppo.Config(**SHAPE), jaxenvs.make_vec(id, SHAPE["num_envs"])

    @jax.jit
    def chunk(config, envs, state):
        return jax.lax.scan(lambda state, _: ppo.update(config, envs, state), state, length=UPDATES)[0]

    state = ppo.init(config, envs, jax.random.key(0))
    first, seconds = timed(chunk, config, envs, state, runs=runs)
    rates = spread([UPDATES * config.num_envs * config.num_steps / s for s in seconds])
    print(f"{id:24} {rates['median'] / 1e3:6.0f}k steps/s ({rates['min'] / 1e3:.0f} to {rates['max'] / 1e3:.0f})")
    return {"id": id, **SHAPE, "first_call_s": first, "steps_per_second": rates}


def learn_all(ids, seeds, jobs, keep):
    """Whole runs, `jobs` at a time with a share of the cores each; rows of the same id and seed are replaced."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    shares = queue.SimpleQueue()
    for job in range(jobs):
        shares.put(cores[job::jobs])

    def one(pair):
        share = shares.get()
        try:
            return learn(pair[0], pair[1], share, keep)
        finally:
            shares.put(share)

    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(one, [(id, seed) for id in ids for seed in seeds]))
    path = RESULTS / "learning.json"
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    new = {(row["id"], row["seed"]): row for row in [*old, *rows]}
    save("learning", [new[key] for key in sorted(new)])


def learn(id, seed, cores, keep):
    """A whole run of the preset, in a process of its own that may use some of the cores."""
    with tempfile.TemporaryDirectory() as folder:
        out = (Path(keep) if keep else Path(folder)) / f"{id}-{seed}"
        command = ["ppo", "--env", id, "--seed", str(seed), "--out", str(out), "--quiet"]
        pin = functools.partial(os.sched_setaffinity, 0, cores) if hasattr(os, "sched_setaffinity") else None
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "train", *command], check=True, stdout=subprocess.DEVNULL, preexec_fn=pin)
        seconds = time.perf_counter() - began
        evaluation = json.loads((out / "evaluation.json").read_text())
        curve = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        share = reached(out)
    row = {
        "id": id,
        "seed": seed,
        "seconds": round(seconds, 1),
        "cores": len(cores),
        "steps": curve[-1]["steps"],
        "curve_last": curve[-1]["eval_mean"],
        **{name: evaluation[name] for name in ("mean", "standard_error", "episodes")},
        **share,
        "commit": commit(),
        "curve": [[point["steps"], round(point["eval_mean"], 4)] for point in curve],
    }
    print({name: value for name, value in row.items() if name != "curve"}, flush=True)
    return row


#: What share of the last observations says that an episode went well, where the return alone does not.
REACHED = {
    "RocketLanding-v0": ("landed", lambda obs: obs[:, 8] == 1),
    "SimpleRocket-v0": ("within_0.1", lambda obs: abs(obs[:, 0]) <= 0.1),
}


def reached(folder):
    """{name: share of the episodes} for the ids above, over 4096 episodes."""
    plan, state = run.read(folder)
    if plan.env not in REACHED:
        return {}
    name, well = REACHED[plan.env]
    episodes, _ = run.evaluate_run(plan, state, episodes=4096, seed=2)
    return {name: float(well(np.asarray(episodes.final_obs)).mean())}


if __name__ == "__main__":
    main()
