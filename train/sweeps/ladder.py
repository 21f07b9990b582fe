"""The rungs of successive halving: after how many updates trials are judged."""

from typing import NamedTuple


class Ladder(NamedTuple):
    """When the runs of a group are looked at."""

    #: Updates between two looks.
    updates: int
    #: Looks along a full run.
    looks: int
    #: The looks at which a trial is judged, ascending; its end is none of them.
    rungs: tuple

    @property
    def num_updates(self):
        """Updates of a full run."""
        return self.updates * self.looks

    def rung_of(self, looks):
        """How many rungs a trial has passed that was stopped, or ended, after this number of looks."""
        return sum(looks > rung for rung in self.rungs)


def ladder(num_updates, eta, rungs):
    """The `Ladder` of runs of at least `num_updates` updates.

    The first rung is after about 1 / eta**rungs of a run, and each next one after eta times as much. All lanes of a
    program are looked at together, after equal numbers of updates; so a run is rounded up to full looks.

    Args:
        num_updates: an int.
        eta: of two rungs, how many times later the second is; at least 2.
        rungs: how many, at least 1.
    Raises:
        ValueError: for fewer updates than eta**rungs.

    >>> ladder(33, 4, 2)
    Ladder(updates=2, looks=17, rungs=(1, 4))
    """
    least = eta**rungs
    if num_updates < least:
        raise ValueError(
            f"{rungs} rungs with an eta of {eta} need runs of at least {least:,} updates, and a run has "
            f"{num_updates:,}: train longer, or choose a smaller --rungs, --eta or batch"
        )
    updates = num_updates // least
    looks = -(-num_updates // updates)
    return Ladder(updates, looks, tuple(looks // eta**height for height in range(rungs, 0, -1)))
