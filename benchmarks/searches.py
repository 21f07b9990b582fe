"""How many environment steps successive halving and population-based training need beside random search.

    python -m benchmarks.sweeps --only searches --runs 5    # some minutes on one free core

For each environment and repetition, random search trains TRIALS settings of PPO to their end, with two seeds each. ASHA
draws half as many settings again from the same space, and a population has a third of them, so that both make at most a
third of the environment steps. Figures: the steps of a search as a part of random search's, the score of its best
setting, and that of fresh seeds with it. Steps are those of training. All searches of an environment use one program,
which is compiled once. Rows that are there already are not made again.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import load, save_into

TRIALS = 30
NAME = "sweeps_searches"
KEY = "env", "repetition", "search"
SPACE = {
    "learning_rate": ("loguniform", 1e-5, 1e-1), "gamma": ("uniform", 0.9, 0.999), "clip": ("uniform", 0.05, 0.5),
    "entropy_bonus": ("loguniform", 1e-4, 0.1),
}  # fmt: skip
#: Environment steps of a run, and the hyperparameters that are the same for all.
CASES = {
    "CartPole-v1": (65_536, {"num_envs": 16, "num_steps": 64, "hidden": (32,)}),
    "Pendulum-v1": (65_536, {"num_envs": 16, "num_steps": 64, "hidden": (32,)}),
}
#: Lanes of the program, and fresh seeds.
LANES = 20
SEARCHES: dict[str, Any] = {
    "random": {"trials": TRIALS, "evaluations": 2},
    "asha": {"trials": TRIALS * 3 // 2},
    "pbt": {"trials": TRIALS // 3, "evaluations": 8},
}


def measure(runs):
    """Makes what is missing of `runs` repetitions, and writes each row as soon as it is known."""
    from train.sweeps import trainer
    from train.sweeps.population import Population

    made = {}

    def shared(plan, *rest):
        """Every sweep would compile the same program again; a plan's seed is no part of it."""
        key = repr((dataclasses.replace(plan, seed=0), *rest))
        if key not in made:
            made[key] = Population(plan, *rest)
        return made[key]

    trainer.Population = shared
    there = load(NAME)
    done = {tuple(row[name] for name in KEY) for row in there["rows"]} if there else set()
    for repetition in range(runs):
        for env in CASES:
            for search in SEARCHES:
                if (env, repetition, search) not in done:
                    row = one(env, repetition, search)
                    print(row, flush=True)
                    save_into(NAME, [row], KEY)
    found = load(NAME)
    for line in table(found["rows"] if found else []):
        print(line)


def one(env, repetition, search):
    """The row of one search."""
    import train
    from train.sweeps import distributions

    total_steps, config = CASES[env]
    space = {name: distributions.KINDS[kind](*arguments) for name, (kind, *arguments) in SPACE.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = train.sweep(
            "ppo", env, space, out=Path(folder) / "sweep", total_steps=total_steps, config=config, seed=repetition,
            quiet=True, seeds=2, episodes=32, confirm=LANES, chunk=LANES, search=search, **SEARCHES[search],
        )  # fmt: skip
    assert found.confirmed is not None
    return {
        "env": env, "repetition": repetition, "search": search, "trials": SEARCHES[search]["trials"],
        "steps": found.steps, "score": found.selected.score, "fresh": found.confirmed.score,
        "fresh_low": found.confirmed.low, "fresh_high": found.confirmed.high, "setting": found.setting,
    }  # fmt: skip


def table(rows):
    """Lines of a table for Markdown: means over the repetitions, and how many reached random search's score."""
    lines = ["| environment | search | steps | best score | fresh seeds | reached |", "|---|---|---|---|---|---|"]
    for env in CASES:
        by = {(row["search"], row["repetition"]): row for row in rows if row["env"] == env}
        for search in SEARCHES:
            mine = [(row, by["random", again]) for (name, again), row in by.items() if name == search]
            if mine:
                part = sum(row["steps"] / base["steps"] for row, base in mine) / len(mine)
                reached = sum(row["score"] >= base["score"] for row, base in mine)
                means = [sum(row[name] for row, _ in mine) / len(mine) for name in ("score", "fresh")]
                lines.append(
                    f"| {env} | {search} | {part:.2f} | {means[0]:.1f} | {means[1]:.1f} | {reached} of {len(mine)} |"
                )
    return lines
