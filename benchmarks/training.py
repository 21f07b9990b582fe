"""How many steps a second PPO trains, and how long the presets take to learn.

    python -m benchmarks.training                       # steps/s at 256 envs x 128 steps, 2x64 networks
    python -m benchmarks.training --learn               # whole runs of the presets, with what they reached

The first counts playing, advantages and 4 epochs x 4 minibatches; compilation is timed apart. The second runs
`python -m train ppo --env ID` in a process of its own, and reads its learning curve and its last evaluation.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

import jaxenvs
from benchmarks.common import save, spread, timed
from train import ppo

UPDATES = 10
SHAPE = {"num_envs": 256, "num_steps": 128, "epochs": 4, "minibatches": 4, "hidden": (64, 64)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--learn", action="store_true", help="whole runs of the presets in place of steps/s")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of the whole runs")
    options = parser.parse_args()
    if options.learn:
        save("learning", [learn(id, seed) for id in options.ids for seed in options.seeds])
    else:
        save("training", [measure(id, options.runs) for id in options.ids])


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


def learn(id, seed):
    """A whole run of the preset, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = ["ppo", "--env", id, "--seed", str(seed), "--out", str(out), "--episodes", "16384", "--quiet"]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "train", *command], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        evaluation = json.loads((out / "evaluation.json").read_text())
        curve = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    row = {
        "id": id,
        "seed": seed,
        "seconds": round(seconds, 1),
        "steps": curve[-1]["steps"],
        "curve_last": curve[-1]["eval_mean"],
        "mean": evaluation["mean"],
        "standard_error": evaluation["standard_error"],
        "curve": [[point["steps"], round(point["eval_mean"], 4)] for point in curve],
    }
    print({name: value for name, value in row.items() if name != "curve"})
    return row


if __name__ == "__main__":
    main()
