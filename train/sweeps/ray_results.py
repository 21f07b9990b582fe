"""What a sweep on Ray Tune has found: the ranking of its settings, and what it has lost."""

from typing import Any, NamedTuple

import numpy as np

from .lineage import read_lineage, schedule_of
from .members import chunk_path, read_curves
from .metrics import metric_of
from .space import member_plan
from .statistics import Score, ranked
from .stored import read_sweep


class Found(NamedTuple):
    """A setting that a sweep on Ray has tried."""

    setting: dict
    #: `Score` of its seeds at the trial's last checkpoint, and f64[seeds] of each; NaN where a seed diverged.
    score: Score
    values: np.ndarray
    #: Environment steps of each of its runs, which a scheduler may have stopped early.
    steps: int
    #: Ray's checkpoint, and the numbers of its members there, for `train.load`.
    checkpoint: Any
    members: list
    #: The values up to each evaluation, a list of dicts: a scheduler such as population-based training changes them.
    schedule: list
    #: Of the best setting of `confirmed`: the `Found` of its runs with fresh seeds; else None.
    fresh: Any = None


def ranking(results):
    """All settings that a sweep on Ray has tried, the best first; who was stopped early ranks below who went further.

    Args:
        results: `ResultGrid`, what `fit()` returns.
    Returns:
        list of `Found`. Trials without a checkpoint are left out; `lost` names those that failed.
    """
    found, lowest = [], False
    for sweep, trained, schedules, checkpoint in read(results):
        if len(trained.steps):
            found += _found(sweep, trained, schedules, checkpoint)
            lowest = metric_of(sweep.metric).lowest
    return [
        found[place]
        for place in ranked([one.score for one in found], lowest=lowest, reached=[one.steps for one in found])
    ]


def lost(results):
    """A sentence for each trial that failed more often than `max_failures`; the others have lost nothing.

    Args:
        results: `ResultGrid`.
    """
    sentences = []
    for number, result in enumerate(results):
        if result.error is not None:
            kept = f"its last checkpoint is {result.checkpoint.path}" if result.checkpoint else "it left no checkpoint"
            reason = str(result.error).strip().splitlines()
            text = reason[-1] if reason else type(result.error).__name__
            sentences.append(f"trial {number} of {len(results)} failed: {text}; {kept}")
    return sentences


def read(results):
    """(SweepPlan, Trained, a schedule for each setting, checkpoint) of each trial that has a checkpoint."""
    for result in results:
        if result.checkpoint is None:
            continue
        with result.checkpoint.as_directory() as folder:
            sweep, trained = read_sweep(folder), read_curves(chunk_path(folder, 0))
            intervals = read_lineage(folder, list(sweep.space))
        schedules = [schedule_of(intervals, number) for number in range(len(sweep.settings))]
        yield sweep, trained, schedules, result.checkpoint


def _found(sweep, trained, schedules, checkpoint):
    from .ray_trainable import scores_of

    plan = member_plan(sweep.runs, sweep.static_of(0))
    scores, values = scores_of(sweep, trained, plan.steps_after(sweep.looks_of(plan)[-1]))
    return [
        Found(
            sweep.settings[trial], scores[trial], values[trial], int(trained.steps[-1]), checkpoint,
            sweep.members_of(trial), schedules[trial],
        )
        for trial in range(len(sweep.settings))
    ]  # fmt: skip
