"""Seconds from the start of a process to a return: the presets on the device, with a cold and a warm cache."""

import functools
import tempfile
from pathlib import Path

from benchmarks.common import spread
from benchmarks.solved import solve

RETURNS = {"CartPole-v1": 475.0, "HeartPole-v0": -123.35}
SEEDS = 0, 1, 2


def rows(quick, ceilings):
    """(name, function that returns the function that measures) of each row; nothing is compiled here."""
    for id, goal in list(RETURNS.items())[: 0 if quick else None]:
        yield f"{id} to {goal:g}", lambda id=id, goal=goal: functools.partial(measure, id, goal)


def measure(id, goal):
    """A row: one run that fills the cache, then one for each seed."""
    command = ["ppo", "--env", id, "--until", str(goal), "--film-episodes", "0"]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "compiled"
        first = solve(command, SEEDS[0], cache)
        runs = [solve(command, seed, cache) for seed in SEEDS]
    reached = [run for run in runs if run["solved_s"] is not None]
    steps = [run["steps"] / run["training_s"] for run in reached] or [0.0]
    return {
        "id": id,
        "cold": first,
        "warm": runs,
        "first_s": first["solved_s"],
        "seconds": spread([run["solved_s"] for run in reached])["median"] if reached else None,
        "steps_per_second": spread(steps),
    }
