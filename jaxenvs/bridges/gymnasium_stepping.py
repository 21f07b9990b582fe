"""What the steps of one Gymnasium environment use and change."""

from collections import deque
from typing import Any

import numpy as np

_LOG_LINES = 10_000
# What is made of the constants and the device, and not pickled.
_MADE = ("program", "compiled", "state_slice", "observation", "write_action", "info")


class Stepping:
    """What a step uses and changes: attributes of an environment that has constants as attributes are slower."""

    __slots__ = (
        "compiled", "info", "log", "observation", "out", "program", "row", "rows", "running", "shown", "starts",
        "state_slice", "write_action",
    )  # fmt: skip

    def __init__(self):
        self.program: Any = None
        self.compiled: Any = None
        self.state_slice: Any = None
        self.observation: Any = None
        self.write_action: Any = None
        self.info: Any = None
        self.out: Any = None
        self.running, self.shown = False, False
        self.log = deque(maxlen=_LOG_LINES)
        self.forget_draws()

    def forget_draws(self):
        """Drops the random numbers drawn ahead."""
        self.starts, self.rows, self.row = iter(()), np.zeros((0, 0), np.uint32), 0

    def __getstate__(self):
        kept = {name: getattr(self, name) for name in self.__slots__ if name not in _MADE}
        # A list pickles; the iterator that it was read from is at its end.
        kept["starts"] = list(self.starts)
        self.starts = iter(kept["starts"])
        return kept

    def __setstate__(self, kept):
        for name, value in kept.items():
            setattr(self, name, value)
        self.starts = iter(kept["starts"])
