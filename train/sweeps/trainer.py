"""Trains members of a sweep from their beginning to their end."""

import numpy as np

from .members import Trained
from .population import Population
from .space import member_plan


class Trainer:
    """Trains members; a program is compiled once for all chunks of its group and size."""

    def __init__(self, sweep, devices):
        self._sweep, self._devices, self._programs = sweep, devices, {}

    def train(self, static, members, trials, size, stage, progress):
        """Trains members of one group.

        Args:
            static: dict of the group's static parameters.
            members, trials: lists of their numbers.
            size: lanes of the program, at least as many as members.
            stage: 0 for members of the sweep, 1 for the winner's fresh runs; it decides the evaluations' keys.
            progress: `Progress`.
        Returns:
            (Trained, states).
        """
        sweep, settings = self._sweep, self._sweep.settings
        size = -(-size // self._devices) * self._devices
        # Lanes that are left over repeat the last member.
        lanes = [*range(len(members)), *[len(members) - 1] * (size - len(members))]
        names = [name for name in sweep.space if name not in static]
        plan = member_plan(sweep.runs, static)
        population = self._program(plan, tuple(names), size, tuple(static.items()))
        values = {name: [settings[trials[lane]][name] for lane in lanes] for name in names}
        states = population.begin(values, [sweep.seed_of(members[lane]) for lane in lanes])
        bounds = np.round(np.linspace(0, plan.num_updates, min(sweep.evaluations, plan.num_updates) + 1)).astype(int)
        returns, alive = [], np.ones(size, bool)
        for point, count in enumerate(np.diff(bounds)):
            key = sweep.evaluation_key(stage, point)
            states, found, finite = population.advance(values, states, int(count), key)
            found = np.asarray(found)
            returns.append(found)
            alive &= np.asarray(finite) & np.isfinite(found)
            progress.advance(len(members) * (point + 1) / (len(bounds) - 1))
        steps = np.array([plan.steps_after(bound) for bound in bounds[1:]], np.int64)
        count = len(members)
        return Trained(steps, np.stack(returns)[:, :count], alive[:count]), states

    def _program(self, plan, names, size, static):
        if (static, size) not in self._programs:
            # Programs of another group are not needed again, but for the winner's.
            self._programs = {(static, size): Population(plan, names, size, self._sweep.episodes, self._devices)}
        return self._programs[static, size]
