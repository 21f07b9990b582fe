"""How many environment steps successive halving and population-based training need beside random search.

    python -m benchmarks.searches                                                  # CartPole and Pendulum, 65,536 steps
    python -m benchmarks.searches --ids Acrobot-v1 --steps 262144 --metric mean --eta 4 --rungs 2 --searches random asha

For each environment and repetition, random search trains TRIALS settings of PPO to their end, with two seeds each. ASHA
draws half as many settings again from the same space, of which the first are those of random search, and a population
has a third of them, so that both make about a third of the environment steps or less. Figures: the steps of a search as
a part of random search's, the score of its best setting, and that of fresh seeds with it. Steps are those of training.
With `--metric mean`, the score is the mean of all evaluations along a run, at equal points for all three searches.

A score of the metric `final` is the mean of 32 episodes of two policies, and has a standard error from their number
alone. Both policies are evaluated again, in 512 episodes that are the same for all searches (`again`); their spread
gives the standard error of the score (`error`). Two counts say how often a search found what random search found: with
a score that is at least as high; and with one that is lower by at most the standard error of the difference.

All searches of an environment use one program. Rows that are there already are not made again. They count steps and not
seconds, so those of other machines are kept; each names its processor.
"""

import argparse
import math
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import load, save_into

TRIALS = 30
NAME = "sweeps_searches"
#: What decides a row. `design` has the options of the search alone.
KEY = "env", "run_steps", "metric", "search", "design", "repetition"
SPACE = {
    "learning_rate": ("loguniform", 1e-5, 1e-1), "gamma": ("uniform", 0.9, 0.999), "clip": ("uniform", 0.05, 0.5),
    "entropy_bonus": ("loguniform", 1e-4, 0.1),
}  # fmt: skip
#: The hyperparameters that are the same for all.
CONFIG = {"num_envs": 16, "num_steps": 64, "hidden": (32,)}
#: Lanes of the program, and fresh seeds; episodes of an evaluation, and of that of the winner's policies.
LANES, EPISODES, AGAIN = 20, 32, 512


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=["CartPole-v1", "Pendulum-v1"])
    parser.add_argument("--runs", type=int, default=5, help="repetitions")
    parser.add_argument("--steps", type=int, default=65_536, help="environment steps of a full run")
    parser.add_argument("--metric", choices=("final", "mean"), default="final")
    parser.add_argument("--searches", nargs="+", choices=("random", "asha", "pbt"), default=["random", "asha", "pbt"])
    parser.add_argument("--eta", type=int, default=2, help="of asha")
    parser.add_argument("--rungs", type=int, default=4, help="of asha")
    parser.add_argument("--trials", type=int, default=TRIALS * 3 // 2, help="of asha")
    parser.add_argument("--evaluations", type=int, default=8, help="of pbt")
    parser.add_argument("--table", action="store_true", help="only print the table of what is there")
    options = parser.parse_args()
    if not options.table:
        measure(options)
    found = load(NAME)
    for line in table(found["rows"] if found else []):
        print(line)


def measure(options):
    """Makes what is missing, and writes each row as soon as it is known."""
    from train.sweeps.trainer import shared_programs

    with shared_programs():
        for repetition in range(options.runs):
            for env in options.ids:
                for search in options.searches:
                    once(env, search, repetition, options)


def once(env, search, repetition, options):
    """Makes a row, unless it is there."""
    design, arguments = design_of(search, options)
    row = {
        "env": env, "run_steps": options.steps, "metric": options.metric, "search": search, "design": design,
        "repetition": repetition,
    }  # fmt: skip
    there = load(NAME)
    if there and any(all(one.get(name) == row[name] for name in KEY) for one in there["rows"]):
        return
    row |= figures(env, search, repetition, options, arguments)
    print(row, flush=True)
    save_into(NAME, [row], KEY, any_machine=True)


def design_of(search, options):
    """(the options of this search alone, as text, and as arguments of `train.sweep`)."""
    looks = options.eta**options.rungs
    if search == "asha":
        text = f"{options.trials} trials, eta {options.eta}, rungs {options.rungs}"
        return text, {"trials": options.trials, "eta": options.eta, "rungs": options.rungs}
    # A mean over evaluations needs those of all searches at the same points.
    evaluations = {"random": 2, "pbt": options.evaluations}[search] if options.metric == "final" else looks
    trials = {"random": TRIALS, "pbt": TRIALS // 3}[search]
    return f"{trials} trials, {evaluations} evaluations", {"trials": trials, "evaluations": evaluations}


def figures(env, search, repetition, options, arguments):
    """What a search has found, a dict."""
    import train
    from train.sweeps import distributions

    space = {name: distributions.KINDS[kind](*values) for name, (kind, *values) in SPACE.items()}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        found = train.sweep(
            "ppo", env, space, out=out, total_steps=options.steps, config=CONFIG, seed=repetition, quiet=True, seeds=2,
            episodes=EPISODES, confirm=LANES, chunk=LANES, search=search, metric=options.metric, **arguments,
        )  # fmt: skip
        trial = found.table[0].trial
        again = [train.load(out, member=member).evaluate(AGAIN, seed=1) for member in (2 * trial, 2 * trial + 1)]
    assert found.confirmed is not None
    row = {
        "steps": found.steps, "score": found.selected.score, "fresh": found.confirmed.score,
        "fresh_low": found.confirmed.low, "fresh_high": found.confirmed.high, "setting": found.setting,
    }  # fmt: skip
    if options.metric == "final":
        row |= {
            "again": sum(one["mean"] for one in again) / 2,
            "error": math.hypot(*(one["std"] for one in again)) / 2 / EPISODES**0.5,
        }
    return row


def table(rows):
    """Lines of a table for Markdown: means over the repetitions, and how many reached random search's score."""
    lines = [
        "| environment | steps of a run | metric | search | steps, mean | most | best score | fresh seeds | reached | "
        "within the standard error |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[Any, list] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY[:-1]), []).append(row)
    for (env, steps, metric, search, design), mine in groups.items():
        pairs = [(row, base) for row in mine if (base := base_of(row, rows))]
        if not pairs:
            continue
        parts = [row["steps"] / base["steps"] for row, base in pairs]
        score, fresh = (sum(row[name] for row, _ in pairs) / len(pairs) for name in ("score", "fresh"))
        counts = ["", ""] if search == "random" else [counted(pairs, least) for least in (exactly, within_error)]
        lines.append(
            f"| {env} | {steps:,} | {metric} | {search}, {design} | {sum(parts) / len(parts):.2f} | {max(parts):.2f} | "
            f"{score:.1f} | {fresh:.1f} | {counts[0]} | {counts[1]} |"
        )
    return lines


def base_of(row, rows):
    """The row of random search that a row is compared with; None if there is none."""
    same = "env", "run_steps", "metric", "repetition"
    found = [one for one in rows if one["search"] == "random" and all(one[name] == row[name] for name in same)]
    # Means over evaluations are compared at the same points.
    if row["metric"] == "mean":
        found = [one for one in found if looks_of(one) == looks_of(row)]
    return found[0] if found else None


def looks_of(row):
    """How many evaluations a full run of a row has."""
    numbers = [int(part.split()[-1 if row["search"] == "asha" else 0]) for part in row["design"].split(", ")[1:]]
    return numbers[0] ** numbers[1] if row["search"] == "asha" else numbers[0]


def exactly(row, base):
    """The least score that counts as random search's."""
    return base["score"]


def within_error(row, base):
    """The same, but for one standard error of the difference; None where none is known."""
    if "error" not in row or "error" not in base:
        return None
    return base["score"] - math.hypot(row["error"], base["error"])


def counted(pairs, least):
    """How many rows have at least the score that `least` says, as text; empty where that is not known."""
    bounds = [least(*pair) for pair in pairs]
    if None in bounds:
        return ""
    return f"{sum(row['score'] >= bound for (row, _), bound in zip(pairs, bounds))} of {len(pairs)}"


if __name__ == "__main__":
    main()
