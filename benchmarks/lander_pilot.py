"""LunarLander's heuristic pilot here and in Box2D: the distribution of its returns.

    python -m benchmarks.lander_pilot        # a minute

A row for each kind of actions, without and with wind: means, standard deviations, the share that lands, percentiles
0 to 100 of the returns, and the Kolmogorov-Smirnov distance. Box2D's returns are recorded (`tests/data`), ours are
those of 2000 episodes. `python -m benchmarks.plots --only lander_pilot` draws them.
"""

import argparse
import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.common import save

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))

oracle = importlib.import_module("reference.lunar_lander")

KINDS = {"disc": "LunarLander-v3", "cont": "LunarLanderContinuous-v3"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--name", default="lander_pilot", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    stored = np.load(ROOT / "tests/data/lunar_lander_returns.npz")
    rows = []
    for wind in (False, True):
        for kind, id in KINDS.items():
            ours, landed = played(id, kind == "cont", wind, options.episodes)
            row = described(id, wind, ours, landed, stored[f"ret_{'wind_' * wind}{kind}"])
            print(
                *(row[name] for name in ("id", "wind", "landed", "distance")),
                row["jaxenvs"]["mean"],
                row["box2d"]["mean"],
                flush=True,
            )
            rows.append(row)
    save(options.name, rows)


def played(id, continuous, wind, episodes):
    """(f64[episodes] returns, share of landings) of the first episode of each environment."""
    envs = jaxenvs.make_vec(id, episodes, enable_wind=wind)
    policy = lambda key, obs: oracle.fly(obs, continuous, jnp)  # noqa: E731
    collect = lambda obs, action, step: (step.terminated | step.truncated, step.reward, step.episode_return)  # noqa: E731
    state, obs = envs.reset(jax.random.key(2))
    play = jax.jit(lambda state, obs: jaxenvs.rollout(envs, policy, jax.random.key(2), state, obs, 1000, collect)[2])
    done, reward, total = map(np.asarray, play(state, obs))
    first = done.argmax(0), np.arange(episodes)
    return total[first].astype(np.float64), float((reward[first] == 100).mean())


def described(id, wind, ours, landed, theirs):
    places = np.concatenate([ours, theirs])
    shares = [np.searchsorted(np.sort(sample), places, "right") / len(sample) for sample in (ours, theirs)]
    distance = float(abs(shares[0] - shares[1]).max())
    row = {"id": id, "wind": wind, "landed": round(landed, 4), "distance": round(distance, 4)}
    for name, sample in (("jaxenvs", ours), ("box2d", theirs)):
        row[name] = {
            "episodes": len(sample), "mean": round(float(sample.mean()), 2), "std": round(float(sample.std()), 2),
            "percentiles": np.quantile(sample, np.linspace(0, 1, 101)).round(2).tolist(),
        }  # fmt: skip
    return row


if __name__ == "__main__":
    main()
