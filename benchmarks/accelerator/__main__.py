"""What one accelerator makes of it all: ceilings, stepping, PPO, populations, precisions, presets, what they learn.

    python -m benchmarks.accelerator                  # some nine minutes on one GPU
    python -m benchmarks.accelerator --parts learned --minutes 6    # in parts, where there is less time at once
    python -m benchmarks.accelerator --quick          # a minute or two, anywhere: small sizes, figures that mean little
    python -m benchmarks.accelerator --parts ceilings stepping --minutes 3

`benchmarks/results/accelerator_<device>.json` is written after every row, so that a run that is killed keeps what it
has. Each part has a share of the time; rows that do not fit, and rows that fail, are kept as text. Programs are
compiled several at a time and before any of them is timed. A row's figures are of at least five runs, each waited for.
A table comes last.
"""

import argparse
import itertools
import json
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

from benchmarks.accelerator import ceilings, learned, populations, precision, presets, stepping, training
from benchmarks.common import RESULTS, machine

#: Each part's module, and its share of the time.
PARTS = {
    "ceilings": (ceilings, 0.06),
    "stepping": (stepping, 0.2),
    "training": (training, 0.2),
    "populations": (populations, 0.14),
    "precision": (precision, 0.12),
    "presets": (presets, 0.14),
    "learned": (learned, 0.2),
}
#: Steps a second: the goal, and what would be better still.
GOALS = {"HeartPole-v0 stepping": (2e10, 4e10), "PPO training": (6e7, 2e8)}
#: Programs compiled at once, before their rows are timed.
_WAVE = 12


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
    """All rows of some parts; the time that a part does not use is left to the next."""
    end, shares = time.perf_counter() + seconds, sum(PARTS[part][1] for part in parts)
    for part in parts:
        module, share = PARTS[part]
        now = time.perf_counter()
        until = now + (end - now) * share / shares
        shares -= share
        try:
            run_part(report, part, module.rows(quick, report.ceilings), until)
        except Exception as error:
            report.add({"part": part, "name": "all of it", "failed": described(error)})


def run_part(report, part, rows, until):
    """A part's rows, wave by wave: compiled side by side, then timed one after another."""
    rows = iter(rows)
    while wave := list(itertools.islice(rows, _WAVE)):
        with ThreadPoolExecutor(_WAVE) as pool:
            ready = list(pool.map(lambda row: outcome(row[1], until), wave))
        for (name, _), measure in zip(wave, ready, strict=True):
            figures = measure if isinstance(measure, dict) else outcome(measure, until)
            report.add({"part": part, "name": name} | figures)


def outcome(function, until):
    """What a function returns, or why it returned nothing."""
    if time.perf_counter() > until:
        return {"skipped": "the part's time was up"}
    try:
        return function()
    except Exception as error:
        return {"failed": described(error)}


def described(error):
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:500]} ({Path(where.filename).name}:{where.lineno})"


def line(row):
    """A row in one line."""
    start = f"{row['part']:11} {row['name']:48}"
    for reason in ("skipped", "failed"):
        if reason in row:
            return f"{start} {reason}: {(row[reason].splitlines() or [''])[0][:160]}"
    rate = row.get("per_second") or row.get("steps_per_second")
    text = f"{start} {rate['median']:10.3g} {row.get('unit', 'steps')}/s ({rate['min']:.3g} to {rate['max']:.3g})"
    return text + "".join(f"  {name} {row[name]:.4g}" for name in NOTES if isinstance(row.get(name), int | float))


#: What a line shows besides the rate.
NOTES = (
    "of_bandwidth", "of_arithmetic", "of_products", "error", "equal", "return_first", "return_last", "mean", "spread",
    "solved", "agents_per_minute", "seconds", "bytes_per_agent", "first_s", "compile_s",
)  # fmt: skip


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
    sentences = []
    kinds = {"HeartPole-v0 stepping": ("HeartPole-v0", ("stepping",)), "PPO training": ("PPO", ("training",))}
    for name, (word, parts) in kinds.items():
        found = [
            rate_of(r) for r in rows if r["part"] in parts and r["name"].startswith(word) and "steps_per_second" in r
        ]
        goal, stretch = GOALS[name]
        if found:
            verdict = "stretch reached" if max(found) >= stretch else "reached" if max(found) >= goal else "missed"
            sentences.append(f"{name} {max(found):.3g} steps/s (goal {goal:.0e} {verdict}, stretch {stretch:.0e})")
        else:
            sentences.append(f"{name}: no figure")
    return f"SUMMARY {jax.devices()[0].device_kind}: " + "; ".join(sentences)


if __name__ == "__main__":
    main()
