"""`Saver`: when a run saves its state, and under which names."""

import math
import time
from pathlib import Path

import jax

from . import checkpoint, files, hosts
from .states import BEST, STATE, without_replay

# At a point of the curve, a checkpoint is written if the time since the last one is this many times what it took.
_WORTH = 100
# Seconds between two looks at signals, within a chunk.
_GLANCE = 2.0


class Saver:
    """Saves a run's checkpoints, and knows when the next one is due.

    Args:
        folder: the run's folder; in other processes than the first it is not written into.
        about: the run's `identity`, kept in each checkpoint.
        every: seconds between two checkpoints, at most.
        keep: how many of the newest checkpoints are kept.
    """

    def __init__(self, folder, about, every, keep):
        self._folder, self._about, self._every, self._keep = Path(folder), about, every, keep
        self._saved, self._took, self._newest = time.perf_counter(), 0.0, None
        #: Seconds of an update; None before the first.
        self.update = None

    def updates(self, most):
        """As many updates as there are between two looks at signals; the same in all processes."""
        return hosts.broadcast(1 if self.update is None else max(1, min(most, int(_GLANCE / self.update))))

    @property
    def due(self):
        """Whether the last checkpoint is too old; the same in all processes."""
        return hosts.broadcast(time.perf_counter() - self._saved > self._every)

    def found(self, state):
        """Notes that the newest checkpoint is that of this state."""
        self._newest = int(state.updates)

    def save(self, state):
        """Writes the newest checkpoint, unless it is that of this state already."""
        if self._newest == int(state.updates):
            return
        began = time.perf_counter()
        checkpoint.save(self._path(STATE), state, about=self._about, keep=self._keep)
        self._saved, self._newest = time.perf_counter(), int(state.updates)
        self._took = self._saved - began

    def save_if_cheap(self, state):
        """`save`, at a point of the curve, unless it would take more than a hundredth of the time."""
        if hosts.broadcast(time.perf_counter() - self._saved >= _WORTH * self._took):
            self.save(state)

    def keep_if_best(self, state, rows):
        """Saves the state as the best one if its row, the last, has the highest evaluation; the first of equals counts.

        A replay buffer is left out: no policy needs it. `resume` calls it for the state that it starts from, so a crash
        between the two saves loses nothing.
        """
        means = [row.get("eval_mean", -math.inf) for row in rows]
        if not means or means.index(max(means)) != len(means) - 1:
            return
        kept = without_replay(state)
        if self._newest != int(state.updates) or len(jax.tree.leaves(kept)) < len(jax.tree.leaves(state)):
            checkpoint.save(self._path(BEST), kept, about=self._about)
        elif hosts.first():
            # The newest checkpoint is this state: it gets a second name.
            files.copy(self._folder / STATE, self._folder / BEST)

    def _path(self, name):
        return self._folder / name if hosts.first() else None
