"""Trains members of a sweep: the lanes of its programs, and runs from their beginning to their end."""

import concurrent.futures
import contextlib
import dataclasses
import threading
from typing import Any

import numpy as np

from jaxenvs.precision import in_32_bits

from .members import Trained, chunk_path, read_curves, write_members
from .population import Population
from .searches import OPTUNA

# Programs of all sweeps, while `shared_programs` is open.
_shared: Any = None


@contextlib.contextmanager
def shared_programs(ignoring=("seed",)):
    """Until it is closed, sweeps of this process share their programs, so that equal ones are compiled once.

    Args:
        ignoring: fields of a `Plan` in which the sweeps may differ: a program does not depend on the seed.
    Yields:
        dict of the programs that were made.
    """
    global _shared
    before, _shared = _shared, ({}, ignoring)
    try:
        yield _shared[0]
    finally:
        _shared = before


def _population(plan, *rest):
    if _shared is None:
        return Population(plan, *rest)
    made, ignoring = _shared
    key = repr((dataclasses.replace(plan, **dict.fromkeys(ignoring, 0)), *rest))
    if key not in made:
        made[key] = Population(plan, *rest)
    return made[key]


class Lanes:
    """The lanes of a program, of which the last may be left over: those repeat the last member.

    Args:
        population: `Population`.
        names: of the parameters that differ between lanes.
        size: lanes of the program.
    """

    def __init__(self, population, names, size):
        self.population, self._names, self._size = population, names, size

    def filled(self, items):
        """A list of one item for each member, with one for each lane."""
        return [*items, *[items[-1]] * (self._size - len(items))]

    def values(self, settings):
        """What `Population` takes for values, of the setting of each member."""
        return {name: [one[name] for one in self.filled(settings)] for name in self._names}

    def begin(self, settings, seeds):
        """The initial states."""
        return self.population.begin(self.values(settings), self.filled(seeds))

    def advance(self, settings, states, updates, key):
        """Trains each member, and evaluates it.

        Args:
            settings: a dict of values for each member, a list.
            states: of `begin`.
            updates: a number, or one for each member; 0 for one that is not needed.
            key: of the evaluation.
        Returns:
            (states, f32[members] mean returns, bool[members] whether a member is finite).
        """
        if np.ndim(updates):
            updates = [*updates, *[0] * (self._size - len(updates))]
        states, found, finite = self.population.advance(self.values(settings), states, updates, key)
        found, count = np.asarray(found), len(settings)
        return states, found[:count], (np.asarray(finite) & np.isfinite(found))[:count]

    def replace(self, settings, states, seeds, fresh):
        """Begins again with some members: those where `fresh`, bool[members], is set."""
        # Lanes that are left over never are read.
        fresh = [*fresh, *[False] * (self._size - len(fresh))]
        return self.population.replace(self.values(settings), states, self.filled(seeds), fresh)

    def copy(self, states, source):
        """Copies members over others; `source` is the member that each gets."""
        return self.population.copy(states, self.filled(source))


class Trainer:
    """Trains members; a program is compiled once for all chunks of its group and size.

    Args:
        sweep: `SweepPlan`.
        devices: how many share the lanes of a program.
    """

    def __init__(self, sweep, devices):
        self._sweep, self._devices = sweep, devices
        # The program in use, and the one that a thread makes: (its key, `Lanes`), (its key, a future of them).
        self._current: tuple[Any, Any] = (None, None)
        self._expected: tuple[Any, Any] = (None, None)
        # Those in use before, where they are needed again: each batch of Optuna's may have all groups.
        self._kept = {}

    def lanes(self, static, size):
        """The `Lanes` of a group, at least `size` of them.

        Args:
            static: dict of the group's static parameters.
            size: a number.
        """
        key = self._key(static, size)
        if key in self._kept:
            return self._kept[key]
        if key != self._current[0]:
            expected, future = self._expected
            # Programs of another group are not needed again, but for the winner's.
            self._current = key, future.result() if future and key == expected else self._made(static, key)
        if self._sweep.search == OPTUNA:
            self._kept[key] = self._current[1]
        return self._current[1]

    def expect(self, static, size, now=None):
        """Begins to compile what `lanes` is asked for next, in a thread: compiling leaves processor cores idle.

        Args:
            static, size: as for `lanes`.
            now: (static, size) of the program that is in use until then, if it is not made yet.
        """
        key = self._key(static, size)
        if key in (self._current[0], self._expected[0], now and self._key(*now), *self._kept):
            return
        future = concurrent.futures.Future()
        self._expected = key, future

        def make():
            try:
                future.set_result(self._made(static, key))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=make).start()

    def _key(self, static, size):
        return tuple(static.items()), -(-size // self._devices) * self._devices

    @in_32_bits
    def _made(self, static, key):
        names, size = [name for name in self._sweep.space if name not in static], key[1]
        population = _population(self._sweep.run_plan(static), names, size, self._sweep.episodes, self._devices)
        return Lanes(population, names, size)

    def train(self, static, members, settings_at, size, stage, progress):
        """Trains members of one group to their end.

        Args:
            static: dict of the group's static parameters.
            members: a list of their numbers.
            settings_at: point -> list of each member's values until the evaluation of that number.
            size: lanes of the program, at least as many as members.
            stage: 0 for members of the sweep, 1 for the winner's fresh runs; it decides the evaluations' keys.
            progress: `Progress`.
        Returns:
            (Trained, states).
        """
        sweep, plan = self._sweep, self._sweep.run_plan(static)
        lanes, bounds = self.lanes(static, size), sweep.looks_of(plan)
        states = lanes.begin(settings_at(0), [sweep.seed_of(member) for member in members])
        returns, alive = [], np.ones(len(members), bool)
        for point, count in enumerate(np.diff(bounds)):
            key = sweep.evaluation_key(stage, point)
            states, found, finite = lanes.advance(settings_at(point), states, count, key)
            returns.append(found)
            alive &= finite
            progress.advance(len(members) * (point + 1) / (len(bounds) - 1))
        return Trained(steps_at(plan, bounds), np.stack(returns), alive), states


def train_chunks(sweep, folder, chunks, trainer, progress):
    """Trains some chunks to their end, but for those that are on the disk, and writes what is kept of their members.

    Args:
        sweep: `SweepPlan`, with their settings.
        folder: the sweep's.
        chunks: list of `Chunk`.
        trainer: `Trainer`.
        progress: `Progress`.
    """
    missing = [chunk for chunk in chunks if not chunk_path(folder, chunk.number).is_file()]
    for chunk in chunks:
        if chunk not in missing:
            progress.finished(chunk.members, read_curves(chunk_path(folder, chunk.number)), fresh=False)
    sizes = [sweep.lanes_of(chunk, chunks) for chunk in missing]
    for chunk, size in zip(missing, sizes):
        path, trials = chunk_path(folder, chunk.number), [sweep.trial_of(member) for member in chunk.members]
        settings = [sweep.settings[trial] for trial in trials]
        later = [(other.static, size) for other, size in zip(missing, sizes) if other.number > chunk.number]
        expect_next(sweep, trainer, (chunk.static, size), later)
        trained, states = trainer.train(chunk.static, chunk.members, lambda _, at=settings: at, size, 0, progress)
        write_members(path, trained, states, trials)
        progress.finished(chunk.members, read_curves(path), fresh=True)


def expect_next(sweep, trainer, now, later):
    """Begins to compile the program after the one in use: that of another group, or at last that of the fresh runs.

    Args:
        sweep: `SweepPlan`.
        trainer: `Trainer`.
        now: (static, size) of the program in use.
        later: those of what is trained after it, a list.
    """
    following = [program for program in later if program != now][:1]
    # With several groups, nobody knows yet whose program the winner needs.
    if not following and sweep.confirm and len(sweep.groups()) == 1:
        following = [(now[0], sweep.confirm)]
    for static, size in following:
        trainer.expect(static, size, now)


def steps_at(plan, bounds):
    """i64[points], the environment steps at the evaluations."""
    return np.array([plan.steps_after(bound) for bound in bounds[1:]], np.int64)
