"""The file that keeps a search between two of its evaluations, so that a killed search resumes from there."""

import time
from pathlib import Path

import jax
import numpy as np

from ..runs import checkpoint
from ..runs.plan import RunError

#: The file in the sweep's folder; it is there while a search trains.
SEARCH = "search.npz"
#: Seconds between two saves.
EVERY = 60.0


class SearchFile:
    """Keeps the states of all lanes and what a search knows of them.

    Args:
        folder: the sweep's.
        part: a number, such as that of the group: a file of another part is not read.
    """

    def __init__(self, folder, part):
        self._path, self._part, self._saved = Path(folder) / SEARCH, part, time.monotonic()

    def save(self, states, members, known):
        """Saves, if the last time was long enough ago.

        Args:
            states: arrays [lanes, ...].
            members: how many lanes hold members; the others are not kept, as their number depends on the devices.
            known: dict of name to NumPy array.
        """
        if time.monotonic() - self._saved < EVERY:
            return
        kept = jax.tree.map(lambda leaf: leaf if len(leaf) == members else leaf[:members], states)
        checkpoint.save(self._path, {"states": kept, "known": known}, about={"part": self._part})
        self._saved = time.monotonic()

    def load(self, lanes, members, known):
        """What was saved.

        Args:
            lanes: `trainer.Lanes`.
            members: as for `save`.
            known: dict of name to array with the shape and dtype of what was saved.
        Returns:
            (states, known); None if there is no file of this part.
        Raises:
            RunError: if the file is damaged, or of another version.
        """
        if not self._path.is_file():
            return None
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((members, *leaf.shape[1:]), leaf.dtype), lanes.population.like
        )
        try:
            if checkpoint.about(self._path).get("part") != self._part:
                return None
            found = checkpoint.load(self._path, {"states": like, "known": known})
        except checkpoint.CheckpointError as error:
            raise RunError(f"{error}; remove it, and resume starts this search again") from error
        index = np.array(lanes.filled(range(members)))
        states = found["states"]
        if len(index) > members:
            states = jax.tree.map(lambda leaf: leaf[index], states)
        # Copies, since those of JAX cannot be written into.
        return lanes.population.placed(states), {name: np.array(array) for name, array in found["known"].items()}

    def remove(self):
        """Removes the file, once all that it was for is on the disk."""
        self._path.unlink(missing_ok=True)
