"""The record of a population's training: which values each trial had when, and whose state it continued from."""

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

from ..runs.files import replacing
from ..runs.plan import RunError

#: The record in the sweep's folder, and the folder of the best trials' schedules.
LINEAGE, SCHEDULES = "lineage.csv", "schedules"


class Interval(NamedTuple):
    """What all trials did between two evaluations; lists of an item for each trial."""

    #: Environment steps of a run at its end.
    steps: int
    #: The trial whose state each trial began with; its own number where it continued from its own.
    source: list
    #: dicts of name to value.
    values: list
    #: The score at its end, or None where all seeds had diverged.
    scores: list
    #: How many of its seeds had diverged at its end.
    diverged: list


def write_lineage(folder, intervals, names):
    """Writes `lineage.csv`: a row for each trial and interval.

    Args:
        folder: the sweep's.
        intervals: a list of `Interval`.
        names: those of the parameters.
    """
    rows = [["interval", "steps", "trial", "copied_from", *names, "score", "diverged"]]
    for number, interval in enumerate(intervals):
        for trial, (source, values, score, diverged) in enumerate(zip(*interval[1:])):
            copied = "" if source == trial else source
            shown = [json.dumps(values[name]) for name in names]
            rows.append([number, interval.steps, trial, copied, *shown, "" if score is None else score, diverged])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with replacing(Path(folder) / LINEAGE) as file:
        file.write(text.getvalue().encode())


def read_lineage(folder, names):
    """The `Interval`s of a folder, a list.

    Raises:
        RunError: if there is no record, or a damaged one.
    """
    path, found = Path(folder) / LINEAGE, {}
    try:
        for row in csv.DictReader(path.read_text().splitlines()):
            interval = found.setdefault(int(row["interval"]), Interval(int(row["steps"]), [], [], [], []))
            trial = len(interval.source)
            interval.source.append(int(row["copied_from"]) if row["copied_from"] else trial)
            interval.values.append({name: _tuples(json.loads(row[name])) for name in names})
            interval.scores.append(float(row["score"]) if row["score"] else None)
            interval.diverged.append(int(row["diverged"]))
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
        raise RunError(
            f"{path} is missing or damaged ({error!r}); remove {path.parent} and start the sweep again"
        ) from error
    return [found[number] for number in sorted(found)]


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def last_settings(sweep, folder):
    """The values that each trial had at its end, a list of dicts; only those of a population change."""
    if sweep.search != "pbt":
        return sweep.settings
    return read_lineage(folder, list(sweep.space))[-1].values


def schedule_of(intervals, trial):
    """The values that led to a trial's state, a list of a dict for each interval: those of the trials it comes from."""
    found = []
    for interval in reversed(intervals):
        found.append(interval.values[trial])
        trial = interval.source[trial]
    return found[::-1]


def write_schedules(folder, intervals, trials, presets):
    """Writes `schedules/1.json`, ...: presets that say from which step to which a trial had which values.

    Args:
        folder: the sweep's.
        intervals: a list of `Interval`.
        trials: numbers, the best first.
        presets: of each trial, a dict for JSON with the values at its end.
    """
    (Path(folder) / SCHEDULES).mkdir(exist_ok=True)
    ends = [interval.steps for interval in intervals]
    for place, (trial, preset) in enumerate(zip(trials, presets, strict=True), 1):
        parts = [
            {"from_step": begin, "to_step": end, "values": values}
            for begin, end, values in zip([0, *ends], ends, schedule_of(intervals, trial))
        ]
        with replacing(Path(folder) / SCHEDULES / f"{place}.json") as file:
            file.write((json.dumps({**preset, "schedule": parts}, indent=2) + "\n").encode())
