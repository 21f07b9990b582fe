"""Agents that were trained on ours, in Gymnasium's own environments: they must score what they score on ours.

    python -m benchmarks.training --learn --seeds 0 --keep runs/learned
    python -m benchmarks.transfer runs/learned/*-0

Each run whose id Gymnasium has is evaluated greedily over 1000 episodes of ours and 1000 of Gymnasium's. The difference
is given in standard errors of the difference.
"""

import argparse
import math
from pathlib import Path

import gymnasium
import jax
import numpy as np

from benchmarks.common import save
from train.presets import ALGORITHMS
from train.runs import run
from train.runs.plan import read_plan

TOGETHER = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--episodes", type=int, default=1000)
    options = parser.parse_args()
    rows = [compare(folder, options.episodes) for folder in options.runs if read_plan(folder).env in gymnasium.registry]
    save("transfer", rows)


def compare(folder, episodes):
    """A row: the mean on ours and on Gymnasium's, and how many standard errors they are apart."""
    plan, state = run.read(folder)
    ours = np.asarray(run.evaluate_run(plan, state, episodes=episodes, seed=1)[0].episode_return, np.float64)
    envs = plan.evaluation_envs(1)
    act = jax.jit(ALGORITHMS[plan.algorithm].policy(plan.config, envs, state))
    theirs = np.concatenate([play(plan.env, act, first) for first in range(0, episodes, TOGETHER)])
    error = math.sqrt((ours.var() + theirs.var()) / episodes)
    apart = (ours.mean() - theirs.mean()) / error if error else float(ours.mean() != theirs.mean())
    row = {
        "id": plan.env,
        "ours": float(ours.mean()),
        "gymnasium": float(theirs.mean()),
        "standard_errors_apart": float(apart),
    }
    print(row)
    return row


def play(id, act, seed):
    """f64[TOGETHER], returns of Gymnasium's own environment from a seed on, including its time limit."""
    envs = gymnasium.make_vec(id, num_envs=TOGETHER, vectorization_mode="sync")
    obs, _ = envs.reset(seed=seed)
    key, totals, running = jax.random.key(0), np.zeros(TOGETHER), np.ones(TOGETHER, bool)
    while running.any():
        obs, reward, terminated, truncated, _ = envs.step(np.asarray(act(key, obs.astype(np.float32))))
        totals += np.where(running, reward, 0.0)
        running &= ~(terminated | truncated)
    envs.close()
    return totals


if __name__ == "__main__":
    main()
