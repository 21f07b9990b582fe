"""Successive halving in the lanes of a program (ASHA, Li et al. 2020, arXiv:1810.05934, in its stopping form).

    each slot of lanes trains the seeds of one trial; after each look:
        a trial at rung k stops, unless it is among the best 1 / eta of all that have reached rung k so far
        the next trial that waits takes the place of one that stopped, or ended

All lanes make equal numbers of updates between two looks, so that one program does all, and trials in it have different
ages. A trial is judged against those that were there before it and with it, and waits for none: this is what is
asynchronous. It has no second chance, as in the promoting form, which would have to keep the states of all that wait.
"""

from typing import NamedTuple

import numpy as np

from .members import Trained, chunk_path, policies_of, read_curves, write_policies
from .metrics import metric_of
from .search_file import SearchFile
from .statistics import order, score_of
from .trainer import expect_next, steps_at

_NOBODY = -1


class _Slots(NamedTuple):
    """What is known of the slots, NumPy arrays."""

    #: i32[slots], the trial in each; -1 for none.
    trial: np.ndarray
    #: i32[slots], looks that it has had.
    age: np.ndarray
    #: f32[looks, slots, seeds], mean returns; NaN where a run is not finite, and at looks to come.
    returns: np.ndarray
    #: i32[], trials of the group that have been given a slot.
    begun: np.ndarray


class Board:
    """What trials had reached at each rung.

    Args:
        sweep: `SweepPlan`.
    """

    def __init__(self, sweep):
        self._metric, self._eta, self._rungs = metric_of(sweep.metric), sweep.eta, {}

    def note(self, trial, ladder, steps, returns):
        """Writes down what a trial has reached, at each rung that it has got to.

        Args:
            trial: its number.
            ladder: `Ladder`.
            steps: i64[looks], environment steps.
            returns: f32[looks, seeds], of the looks that it has had; NaN after a seed diverged.
        """
        for rung, look in enumerate(ladder.rungs):
            if len(returns) >= look and trial not in self._rungs.setdefault(rung, {}):
                part = returns[:look]
                diverged = np.isnan(part).any(axis=0)
                score = score_of(self._metric.of(steps[:look], part), diverged, seed=trial)
                last = part[-1][~diverged]
                # Where no seed has reached a goal yet, the return decides.
                key = (*order(score, lowest=self._metric.lowest), -float(last.mean()) if last.size else 0.0, trial)
                self._rungs[rung][trial] = key

    def goes_on(self, trial, rung):
        """Whether a trial is among the best 1 / eta of those at a rung; the best one always is."""
        keys = self._rungs[rung]
        better = sum(key < keys[trial] for key in keys.values())
        return better < max(1, len(keys) // self._eta)


def search(sweep, folder, trainer, progress):
    """Trains the trials of a sweep until each has stopped or ended, and writes each trial's file.

    Args:
        sweep: `SweepPlan`.
        folder: its folder.
        trainer: `Trainer`.
        progress: `Progress`.
    """
    board = Board(sweep)
    numbers = {sweep.trial_of(chunk.members[0]): chunk.number for chunk in sweep.chunks()}
    missing = []
    for part, (static, trials) in enumerate(sweep.groups()):
        paths = {trial: chunk_path(folder, numbers[trial]) for trial in trials}
        if not all(path.is_file() for path in paths.values()):
            missing.append((part, static, paths))
            continue
        plan = sweep.run_plan(static)
        for trial in trials:
            curves = read_curves(paths[trial])
            board.note(trial, sweep.ladder_of(plan), curves.steps, curves.returns)
            progress.finished(sweep.members_of(trial), curves, fresh=False)
    programs = [(static, sweep.seeds * _num_slots(sweep, paths)) for _, static, paths in missing]
    for index, (part, static, paths) in enumerate(missing):
        expect_next(sweep, trainer, programs[index], programs[index + 1 :])
        _Group(sweep, static, paths, board, trainer, progress).train(SearchFile(folder, part))
    SearchFile(folder, None).remove()


def _num_slots(sweep, trials):
    return min(len(trials), sweep.chunk // sweep.seeds)


class _Group:
    """The trials of one group, of which some are in the slots and some wait.

    Args:
        sweep, board, trainer, progress: as in `search`.
        static: the group's static parameters.
        paths: dict of trial to its file, in the order in which they begin.
    """

    def __init__(self, sweep, static, paths, board, trainer, progress):
        self._sweep, self._paths, self._board, self._progress = sweep, paths, board, progress
        self._trials = list(paths)
        plan = sweep.run_plan(static)
        self._ladder = sweep.ladder_of(plan)
        self._steps = steps_at(plan, sweep.looks_of(plan))
        self._count = _num_slots(sweep, self._trials)
        self._lanes = trainer.lanes(static, self._count * sweep.seeds)

    def train(self, file):
        """Trains all trials of the group; `file` keeps what is between two looks."""
        states, slots = self._resumed(file) or self._started()
        # All runs play the same episodes at all looks: trials of different ages are compared.
        key = self._sweep.evaluation_key(0, 0)
        while (slots.trial != _NOBODY).any():
            updates = np.repeat((slots.trial != _NOBODY) * self._ladder.updates, self._sweep.seeds)
            states, found, finite = self._lanes.advance(self._settings(slots), states, updates, key)
            slots = self._looked_at(slots, np.where(finite, found, np.nan))
            leaving = self._leaving(slots)
            policies = policies_of(states) if leaving.any() else {}
            for slot in np.flatnonzero(leaving):
                self._write(policies, slots, slot)
            slots, fresh = self._filled(slots, leaving)
            if fresh.any():
                settings, seeds = self._settings(slots), self._seeds(slots)
                states = self._lanes.replace(settings, states, seeds, np.repeat(fresh, self._sweep.seeds))
            self._progress.advance(self._under_way(slots))
            file.save(states, self._count * self._sweep.seeds, slots._asdict())
        file.remove()

    def _started(self):
        trial = np.array(self._trials[: self._count], np.int32)
        slots = self._empty()._replace(trial=trial, begun=np.array(self._count, np.int32))
        return self._lanes.begin(self._settings(slots), self._seeds(slots)), slots

    def _resumed(self, file):
        found = file.load(self._lanes, self._count * self._sweep.seeds, self._empty()._asdict())
        if found is None:
            return None
        states, slots = found[0], _Slots(**found[1])
        # Those in the slots are written down at the next look.
        for trial in set(self._trials[: slots.begun]) - set(slots.trial.tolist()):
            curves = read_curves(self._paths[trial])
            self._board.note(trial, self._ladder, curves.steps, curves.returns)
            self._progress.finished(self._sweep.members_of(trial), curves, fresh=False)
        return states, slots

    def _empty(self):
        return _Slots(
            trial=np.full(self._count, _NOBODY, np.int32), age=np.zeros(self._count, np.int32),
            returns=np.full((self._ladder.looks, self._count, self._sweep.seeds), np.nan, np.float32),
            begun=np.array(0, np.int32),
        )  # fmt: skip

    def _looked_at(self, slots, returns):
        """The slots after a look at which runs reached `returns`, f32[lanes]."""
        there = np.flatnonzero(slots.trial != _NOBODY)
        curves, age = slots.returns.copy(), slots.age.copy()
        # A run that was not finite once stays out, though its greedy policy may act.
        before = np.where(age[:, None] > 0, curves[np.maximum(age - 1, 0), np.arange(self._count)], 0.0)
        found = returns.reshape(self._count, -1) + 0.0 * before
        curves[age[there], there] = found[there]
        age[there] += 1
        for slot in there:
            self._board.note(slots.trial[slot], self._ladder, self._steps, curves[: age[slot], slot])
        return slots._replace(returns=curves, age=age)

    def _leaving(self, slots):
        """bool[slots], whose trial stops or has ended."""
        leaving = np.zeros(self._count, bool)
        for slot in np.flatnonzero(slots.trial != _NOBODY):
            trial, age = int(slots.trial[slot]), int(slots.age[slot])
            leaving[slot] = age == self._ladder.looks or np.isnan(slots.returns[age - 1, slot]).all()
            if age in self._ladder.rungs:
                leaving[slot] |= not self._board.goes_on(trial, self._ladder.rungs.index(age))
        return leaving

    def _filled(self, slots, leaving):
        """(the slots with waiting trials in the place of those that leave, bool[slots] which have new ones)."""
        trial, age, begun, returns = slots.trial.copy(), slots.age.copy(), int(slots.begun), slots.returns.copy()
        fresh = np.zeros(self._count, bool)
        for slot in np.flatnonzero(leaving):
            fresh[slot] = begun < len(self._trials)
            trial[slot] = self._trials[begun] if fresh[slot] else _NOBODY
            begun += int(fresh[slot])
        age[leaving], returns[:, leaving] = 0, np.nan
        return _Slots(trial, age, returns, np.array(begun, np.int32)), fresh

    def _write(self, policies, slots, slot):
        """Writes the file of a trial that leaves its slot."""
        trial, age, seeds = int(slots.trial[slot]), int(slots.age[slot]), self._sweep.seeds
        returns = slots.returns[:age, slot]
        trained = Trained(self._steps[:age], returns, np.isfinite(returns[-1]))
        write_policies(self._paths[trial], trained, policies, [trial] * seeds, first=slot * seeds)
        self._progress.finished(self._sweep.members_of(trial), trained, fresh=True, seldom=True)

    def _settings(self, slots):
        settings = self._sweep.settings
        # A slot that is empty trains what it has, and nobody looks at it.
        return [settings[max(trial, 0)] for trial in slots.trial for _ in range(self._sweep.seeds)]

    def _seeds(self, slots):
        members = [member for trial in slots.trial for member in self._sweep.members_of(max(int(trial), 0))]
        return [self._sweep.seed_of(member) for member in members]

    def _under_way(self, slots):
        """How many members' worth of training is in the slots."""
        return float(slots.age.sum()) / self._ladder.looks * self._sweep.seeds
