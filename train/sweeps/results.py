"""What a sweep found: its table, the best settings as presets, and the winner."""

import csv
import importlib.util
import io
import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..runs.files import replacing
from .lineage import SCHEDULES, last_settings, read_lineage, schedule_of, write_schedules
from .members import WINNER, chunk_path, read_curves
from .metrics import metric_of
from .plan import shown
from .statistics import Score, ranked, score_of

#: The table of trials, in order of rank; the folder of presets; the winner and its figures.
TABLE, PRESETS, SUMMARY = "trials.csv", "presets", "winner.json"


class Row(NamedTuple):
    """A trial of the table."""

    trial: int
    #: dict of name to value.
    setting: dict
    #: `Score` of its seeds.
    score: Score
    #: f64[seeds], the metric of each seed.
    values: np.ndarray
    #: Environment steps of each of its runs.
    steps: int


class Result(NamedTuple):
    """What `sweep.begin` returns."""

    #: `Row`s, the best first.
    table: list
    #: The best setting, a dict, and its `Score` in the sweep.
    setting: dict
    selected: Score
    #: The `Score` of its fresh seeds; None without any.
    confirmed: Score | None
    #: Members that diverged.
    diverged: list
    #: Environment steps of all runs but the fresh ones.
    steps: int
    #: For a population, the values of each interval that led to the winner, a list of dicts; else None.
    schedule: list | None


def rank(sweep, folder):
    """The `Row`s of a sweep whose members are all trained, the best first."""
    metric = metric_of(sweep.metric)
    values, diverged = np.zeros(sweep.num_members), np.zeros(sweep.num_members, bool)
    steps, reached = np.zeros((2, len(sweep.settings)), np.int64)
    for chunk in sweep.chunks():
        curves = read_curves(chunk_path(folder, chunk.number))
        values[chunk.members] = metric.of(curves.steps, curves.returns)
        diverged[chunk.members] = ~curves.finite
        for trial in {sweep.trial_of(member) for member in chunk.members}:
            steps[trial], reached[trial] = curves.steps[-1], sweep.rung_of(trial, len(curves.steps))
    values, diverged = values.reshape(-1, sweep.seeds), diverged.reshape(-1, sweep.seeds)
    scores = [score_of(value, bad, seed=trial) for trial, (value, bad) in enumerate(zip(values, diverged))]
    order = ranked(scores, lowest=metric.lowest, reached=reached)
    shown_values = np.where(diverged, np.nan, values)
    settings = last_settings(sweep, folder)
    return [Row(trial, settings[trial], scores[trial], shown_values[trial], int(steps[trial])) for trial in order]


def write(sweep, folder, table, *, top):
    """Writes the table, as CSV and, if pyarrow is installed, as Parquet; and the best `top` settings as presets."""
    names = list(sweep.space)
    seeds = [f"seed_{number}" for number in range(sweep.seeds)]
    header = ["rank", "trial", *names, "score", "low", "high", "diverged", "steps", *seeds]
    rows = [
        [place, row.trial, *(row.setting[name] for name in names), *row.score, row.steps, *row.values.tolist()]
        for place, row in enumerate(table, 1)
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with replacing(Path(folder) / TABLE) as file:
        file.write(text.getvalue().encode())
    if importlib.util.find_spec("pyarrow"):
        _write_parquet(Path(folder) / TABLE.replace(".csv", ".parquet"), header, rows)
    (Path(folder) / PRESETS).mkdir(exist_ok=True)
    for place, row in enumerate(table[:top], 1):
        with replacing(Path(folder) / PRESETS / f"{place}.json") as file:
            file.write((json.dumps(preset_of(sweep, row.setting), indent=2) + "\n").encode())
    if sweep.search == "pbt":
        presets = [preset_of(sweep, row.setting) for row in table[:top]]
        write_schedules(folder, read_lineage(folder, names), [row.trial for row in table[:top]], presets)


def preset_of(sweep, setting):
    """A setting as a dict that `jaxenvs train --preset FILE` takes."""
    plan = sweep.run_plan(setting)
    default = type(plan.config)()
    config = {name: getattr(plan.config, name) for name in plan.config.__dataclass_fields__}
    return {
        "algorithm": plan.algorithm,
        "env": plan.env,
        "total_steps": plan.total_steps,
        "config": {name: value for name, value in config.items() if value != getattr(default, name)},
        "constants": plan.constants,
        "training": plan.training,
    }


def conclude(sweep, folder, table):
    """The `Result`, which is also written as `winner.json`."""
    best = table[0]
    confirmed = None
    if sweep.confirm:
        fresh = read_curves(Path(folder) / WINNER)
        confirmed = score_of(metric_of(sweep.metric).of(fresh.steps, fresh.returns), ~fresh.finite)
    diverged = sorted(
        member
        for chunk in sweep.chunks()
        for member, finite in zip(chunk.members, read_curves(chunk_path(folder, chunk.number)).finite)
        if not finite
    )
    steps = sweep.seeds * sum(row.steps for row in table)
    schedule = None
    if sweep.search == "pbt":
        schedule = schedule_of(read_lineage(folder, list(sweep.space)), best.trial)
    with replacing(Path(folder) / SUMMARY) as file:
        summary = {
            "trial": best.trial, "setting": best.setting, "metric": sweep.metric, "selected": _plain(best.score),
            "confirmed": None if confirmed is None else _plain(confirmed), "diverged_members": diverged,
            "environment_steps": steps, **({} if schedule is None else {"schedule": schedule}),
        }  # fmt: skip
        file.write((json.dumps(summary, indent=2) + "\n").encode())
    return Result(table, best.setting, best.score, confirmed, diverged, steps, schedule)


def figures(result):
    """The winner's figures, a flat dict for a tracker."""
    scores = {"selected": result.selected, "confirmed": result.confirmed}
    found = {"best_trial": result.table[0].trial, "diverged_runs": len(result.diverged)}
    for name, score in scores.items():
        parts = {} if score is None else score._asdict()
        found |= {name if part == "score" else f"{name}_{part}": value for part, value in parts.items()}
    return found


def sentences(sweep, result, folder):
    """The lines that are printed at the end of a sweep."""
    at_its_end = " at its end" if result.schedule else ""
    lines = [f"best: trial {result.table[0].trial}, {shown(result.setting)}{at_its_end}"]
    lines.append(f"{sweep.metric} of its {sweep.seeds} seeds: {_text(result.selected)}")
    if result.confirmed is not None:
        lines.append(f"{sweep.metric} of {sweep.confirm} fresh seeds: {_text(result.confirmed)}")
    if result.diverged:
        numbers = ", ".join(map(str, result.diverged[:8])) + (", ..." if len(result.diverged) > 8 else "")
        count, plural = len(result.diverged), "s" * (len(result.diverged) > 1)
        lines.append(f"{count} run{plural} diverged, in the last places of the table: member{plural} {numbers}")
    if replaced := _replaced(sweep, folder):
        lines.append(
            f"{replaced} run{'s' * (replaced > 1)} diverged along the way, and went on from a copy of another run"
        )
    if sweep.search == "asha":
        lines.append(
            f"environment steps: {result.steps:,}, {result.steps / sweep.full_steps:.0%} of those of full runs"
        )
    schedules = f"; schedules: {Path(folder) / SCHEDULES}" if result.schedule else ""
    lines.append(f"table: {Path(folder) / TABLE}; presets: {Path(folder) / PRESETS}{schedules}")
    return lines


def _replaced(sweep, folder):
    """How many runs of a population diverged before its last interval."""
    intervals = read_lineage(folder, list(sweep.space))[:-1] if sweep.search == "pbt" else []
    return sum(sum(interval.diverged) for interval in intervals)


def _plain(score):
    return {name: None if isinstance(x, float) and math.isnan(x) else x for name, x in score._asdict().items()}


def _text(score):
    interval = "" if math.isnan(score.low) else f", 95 % interval {score.low:.6g} to {score.high:.6g}"
    lost = f", {score.diverged} diverged" if score.diverged else ""
    return f"{score.score:.6g} (interquartile mean{interval}{lost})"


def _write_parquet(path, header, rows):
    import pyarrow  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet  # pyright: ignore[reportMissingImports]

    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    plain = {name: [str(v) if isinstance(v, tuple) else v for v in values] for name, values in columns.items()}
    with replacing(path) as file:
        pyarrow.parquet.write_table(pyarrow.table(plain), file)
