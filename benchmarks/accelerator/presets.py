"""Seconds from the start of a process to a return: the presets on the device, with a cold and a warm cache."""

import functools
import tempfile
from pathlib import Path

from benchmarks.common import spread
from benchmarks.solved import solve

#: Environment, preset (None is the usual one) and return.
GOALS = (("CartPole-v1", None, 475.0), ("HeartPole-v0", None, -123.35), ("HeartPole-v0", "accelerator", -123.35))
SEEDS = 0, 1, 2


def rows(quick, ceilings):
    """(name, function that returns the function that measures) of each row; nothing is compiled here."""
    for id, preset, goal in GOALS[: 0 if quick else None]:
        name = f"{id} to {goal:g}" + (f", preset {preset}" if preset else "")
        yield name, lambda goal=(id, preset, goal): functools.partial(measure, *goal)


def measure(id, preset, goal):
    """A row: one run that fills the cache, then one for each seed."""
    chosen = ["--preset", preset] if preset else []
    command = ["ppo", "--env", id, *chosen, "--until", str(goal), "--film-episodes", "0"]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "compiled"
        first = solve(command, SEEDS[0], cache)
        runs = [solve(command, seed, cache) for seed in SEEDS]
    reached = [run for run in runs if run["solved_s"] is not None]
    steps = [run["steps"] / run["training_s"] for run in reached] or [0.0]
    return {
        "id": id,
        "preset": preset,
        "cold": first,
        "warm": runs,
        "first_s": first["solved_s"],
        "seconds": spread([run["solved_s"] for run in reached])["median"] if reached else None,
        "steps_per_second": spread(steps),
    }
