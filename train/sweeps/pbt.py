"""Population-based training (Jaderberg et al. 2017, arXiv:1711.09846) in the lanes of a program.

    all trials train for an interval and are evaluated; then
        the worst trials, and those that diverged, get the state of one of the best: weights, optimiser, environments
        those change its values a little, or sample them again, and continue

All trials wait for each other at the end of an interval, so that the search is synchronous. Seed k of a trial gets the
state of seed k of the other, and keeps its own key.
"""

import numpy as np

from ..runs.plan import RunError
from .explore import exploited, explored
from .lineage import Interval, read_lineage, write_lineage
from .members import Trained, chunk_path, write_members
from .metrics import metric_of
from .plan import shown
from .search_file import SearchFile
from .statistics import order, score_of
from .trainer import expect_next, steps_at


def search(sweep, folder, trainer, progress):
    """Trains the population of a sweep, and writes its file and its lineage.

    Args:
        sweep: `SweepPlan`.
        folder: its folder.
        trainer: `trainer.Trainer`.
        progress: `Progress`.
    """
    file = SearchFile(folder, 0)
    (chunk,) = sweep.chunks()
    path = chunk_path(folder, chunk.number)
    if not path.is_file():
        expect_next(sweep, trainer, ({}, sweep.num_members), [])
        trained, states = _Training(sweep, folder, trainer.lanes({}, sweep.num_members), progress).train(file)
        write_members(path, trained, states, [sweep.trial_of(member) for member in chunk.members])
    file.remove()


class _Training:
    """A population that trains; `search` says what of."""

    def __init__(self, sweep, folder, lanes, progress):
        self._sweep, self._folder, self._lanes, self._progress = sweep, folder, lanes, progress
        self._metric, plan = metric_of(sweep.metric), sweep.run_plan({})
        self._bounds = sweep.looks_of(plan)
        self._steps = steps_at(plan, self._bounds)
        # Of each member, the returns of the runs that its state comes from; NaN after it diverged.
        self._returns = np.full((len(self._steps), sweep.num_members), np.nan, np.float32)
        self._intervals = []

    def train(self, file):
        """(Trained, states) of the members; `file` keeps what is between two evaluations."""
        states, first = self._resumed(file) or self._started()
        for point in range(first, len(self._steps)):
            source, values = self._next(point)
            if (source != np.arange(len(source))).any():
                lanes = (source[:, None] * self._sweep.seeds + np.arange(self._sweep.seeds)).ravel()
                states, self._returns = self._lanes.copy(states, lanes), self._returns[:, lanes]
            states = self._interval(point, states, source, values)
            known = {"returns": self._returns, "point": np.array(point + 1, np.int32)}
            file.save(states, self._sweep.num_members, known)
        return Trained(self._steps, self._returns, np.isfinite(self._returns[-1])), states

    def _started(self):
        members = range(self._sweep.num_members)
        seeds = [self._sweep.seed_of(member) for member in members]
        return self._lanes.begin(self._of_members(self._sweep.settings), seeds), 0

    def _resumed(self, file):
        known = {"returns": self._returns, "point": np.array(0, np.int32)}
        found = file.load(self._lanes, self._sweep.num_members, known)
        if found is None:
            return None
        states, known = found
        # The record may be ahead of the saved states: what follows is made again, and is the same.
        self._intervals = read_lineage(self._folder, list(self._sweep.space))[: int(known["point"])]
        self._returns = known["returns"]
        self._say(self._intervals[-1].scores)
        return states, int(known["point"])

    def _next(self, point):
        """(i32[trials] whose state each trial continues from, a list of their values) for an interval."""
        if point == 0:
            return np.arange(len(self._sweep.settings)), self._sweep.settings
        sweep, before = self._sweep, self._intervals[-1].values
        keys, sound = zip(*[self._key(trial, point) for trial in range(len(before))])
        if np.isnan(self._returns[point - 1]).all():
            raise RunError(f"all runs of {self._folder} diverged: try lower rates than {shown(before[0])}")
        source = exploited(keys, sound, sweep.quantile, np.random.default_rng([sweep.runs.seed, point]))
        values = []
        for trial, of in enumerate(source):
            rng = np.random.default_rng([sweep.runs.seed, point, trial])
            values.append(before[trial] if of == trial else explored(sweep.space, before[of], sweep.resample, rng))
        return source, values

    def _interval(self, point, states, source, values):
        """The states after an interval, which is written into the record."""
        key = self._sweep.evaluation_key(0, point)
        updates = self._bounds[point + 1] - self._bounds[point]
        states, found, finite = self._lanes.advance(self._of_members(values), states, updates, key)
        # Who diverged stays out, though its greedy policy may act.
        before = np.zeros_like(found) if point == 0 else 0.0 * self._returns[point - 1]
        self._returns[point] = np.where(finite, found, np.nan) + before
        found = [self._score(trial, point + 1) for trial in range(len(values))]
        scores = [None if np.isnan(one.score) else one.score for one in found]
        diverged = [one.diverged for one in found]
        self._intervals.append(Interval(int(self._steps[point]), source.tolist(), values, scores, diverged))
        write_lineage(self._folder, self._intervals, list(self._sweep.space))
        self._say(scores)
        return states

    def _say(self, scores):
        done, count = len(self._intervals), len(self._steps)
        self._progress.looked_at(f"interval {done}/{count}", self._sweep.num_members * done / count, scores)

    def _score(self, trial, count):
        """The `Score` of a trial after this number of evaluations."""
        part = self._returns[:count, self._sweep.members_of(trial)]
        values = self._metric.of(self._steps[:count], part)
        return score_of(values, np.isnan(part[-1]), seed=trial)

    def _key(self, trial, count):
        """(what a trial is sorted by, whether all of it is finite)."""
        score, last = self._score(trial, count), self._returns[count - 1, self._sweep.members_of(trial)]
        finite = last[np.isfinite(last)]
        # Where no seed has reached a goal yet, the return decides.
        then = -float(finite.mean()) if finite.size else 0.0
        return (*order(score, lowest=self._metric.lowest), then, trial), not score.diverged

    def _of_members(self, items):
        return [item for item in items for _ in range(self._sweep.seeds)]
