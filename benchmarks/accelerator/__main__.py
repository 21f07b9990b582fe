"""What one accelerator makes of it all: ceilings, stepping, the fused rollout, and PPO.

    python -m benchmarks.accelerator                  # some nine minutes on one GPU
    python -m benchmarks.accelerator --quick          # a minute, anywhere: small sizes, figures that mean little
    python -m benchmarks.accelerator --parts ceilings fused --minutes 3

`benchmarks/results/accelerator_<device>.json` is written after every row, so that a run that is killed keeps what it
has. Each part has a share of the time; rows that no longer fit, and rows that fail, are kept as text. A row's figures
are of at least five runs after one that compiles, each waited for. A table comes last.
"""

import argparse
import json
import re
import time
import traceback
from pathlib import Path

import jax

from benchmarks.accelerator import ceilings, fused, stepping, training
from benchmarks.common import RESULTS, machine

#: Each part's module, and its share of the time.
PARTS = {
    "ceilings": (ceilings, 0.1),
    "fused": (fused, 0.25),
    "stepping": (stepping, 0.3),
    "training": (training, 0.35),
}
#: Steps a second: the goal, and what would be better still.
GOALS = {"HeartPole-v0 stepping": (1e10, 1e11), "PPO training": (3e7, 1e8)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=8.5, help="for all parts together")
    parser.add_argument("--out", type=Path, help="the file of results")
    options = parser.parse_args(arguments)
    report = Report(options.out or default_path(options.quick))
    run(report, options.parts, 60 * options.minutes, options.quick)
    print("\n".join(table(report.rows)))
    print(summary(report.rows))
    print(f"written: {report.path.name}")
    return 0


def default_path(quick):
    device = re.sub(r"\W+", "_", jax.devices()[0].device_kind).strip("_").lower()
    return RESULTS / f"accelerator_{device}{'_quick' if quick else ''}.json"


class Report:
    """Rows of figures in a file that always holds all of them."""

    def __init__(self, path):
        self.path, self.rows, self.machine = path, [], machine()
        self.began = time.perf_counter()

    def add(self, row):
        self.rows.append(row | {"at_s": round(time.perf_counter() - self.began, 1)})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps({"machine": self.machine, "rows": self.rows}, indent=1) + "\n")
        unfinished.replace(self.path)
        print(line(self.rows[-1]), flush=True)

    def ceilings(self):
        """What the first part measured, by name."""
        return {row["name"]: row["per_second"]["median"] for row in self.rows if "per_second" in row}


def run(report, parts, seconds, quick):
    """All rows of some parts; what a part does not use of its time is left to the next."""
    end, shares = time.perf_counter() + seconds, sum(PARTS[part][1] for part in parts)
    for part in parts:
        module, share = PARTS[part]
        now = time.perf_counter()
        until = now + (end - now) * share / shares
        shares -= share
        try:
            for name, measure in module.rows(quick, report.ceilings):
                report.add({"part": part, "name": name} | outcome(measure, until))
        except Exception as error:
            report.add({"part": part, "name": "all of it", "failed": described(error)})


def outcome(measure, until):
    """What measuring a row gives, or why it gives nothing."""
    if time.perf_counter() > until:
        return {"skipped": "the part's time was up"}
    try:
        return measure()
    except Exception as error:
        return {"failed": described(error)}


def described(error):
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:500]} ({Path(where.filename).name}:{where.lineno})"


def line(row):
    """A row in one line."""
    start = f"{row['part']:9} {row['name']:48}"
    for reason in ("skipped", "failed"):
        if reason in row:
            return f"{start} {reason}: {row[reason].splitlines()[0][:100]}"
    rate = row.get("per_second") or row["steps_per_second"]
    text = f"{start} {rate['median']:10.3g} {row.get('unit', 'steps')}/s ({rate['min']:.3g} to {rate['max']:.3g})"
    return text + "".join(f"  {name} {row[name]:.3g}" for name in NOTES if isinstance(row.get(name), int | float))


#: What a line shows besides the rate.
NOTES = ("of_bandwidth", "of_arithmetic", "error", "equal", "return_last", "first_call_s")


def table(rows):
    """The best of each name's first word in each part, and what failed."""
    best = {}
    for row in rows:
        if "steps_per_second" not in row:
            continue
        place = row["part"], row["name"].split()[0]
        if place not in best or rate_of(row) > rate_of(best[place]):
            best[place] = row
    bad = [row for row in rows if "failed" in row or "skipped" in row]
    ceilings = [row for row in rows if "per_second" in row]
    return [
        "",
        "the best of each",
        *map(line, [*ceilings, *best.values()]),
        *(["left out"] if bad else []),
        *map(line, bad),
    ]


def rate_of(row):
    return row["steps_per_second"]["median"]


def summary(rows):
    """One line: the best figures against the goals."""
    told = []
    kinds = {"HeartPole-v0 stepping": ("HeartPole-v0", ("stepping", "fused")), "PPO training": ("PPO", ("training",))}
    for name, (word, parts) in kinds.items():
        found = [
            rate_of(r) for r in rows if r["part"] in parts and r["name"].startswith(word) and "steps_per_second" in r
        ]
        goal, stretch = GOALS[name]
        if found:
            verdict = "stretch reached" if max(found) >= stretch else "reached" if max(found) >= goal else "missed"
            told.append(f"{name} {max(found):.3g} steps/s (goal {goal:.0e} {verdict}, stretch {stretch:.0e})")
        else:
            told.append(f"{name}: no figure")
    return f"SUMMARY {jax.devices()[0].device_kind}: " + "; ".join(told)


if __name__ == "__main__":
    main()
