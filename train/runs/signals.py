"""Signals that stop a run: Ctrl-C and SIGTERM let it save first."""

import enum
import signal
import threading

from . import hosts


class Ending(enum.Enum):
    """How training ended; true if the run came to its end."""

    FINISHED = "finished"
    #: By Ctrl-C; the run's results so far are wanted.
    STOPPED = "stopped"
    #: By a second Ctrl-C, or by a system's SIGTERM, which kills a moment later.
    INTERRUPTED, TERMINATED = "interrupted", "terminated"

    def __bool__(self):
        return self is Ending.FINISHED


class Interrupt:
    """While open, Ctrl-C and SIGTERM only make `asked()` true: training stops soon, and saves.

    A signal to one of several processes stops all of them.
    """

    def __enter__(self):
        self._heard, self._agreed = 0, 0
        # Python has signals in the main thread alone; Ray Train, for one, trains in another.
        main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if main else ()
        self._before = {s: signal.signal(s, self._ask) for s in signals}
        return self

    def _ask(self, number, frame):
        severity = _ENDINGS.index(Ending.TERMINATED) if number == signal.SIGTERM else 1 + (self._heard > 0)
        self._heard = max(self._heard, severity)

    def asked(self):
        """Whether training shall stop; all processes ask at the same points, and get the same answer."""
        self._agreed = hosts.largest(self._heard)
        return self._agreed > 0

    @property
    def ending(self):
        return _ENDINGS[self._agreed if hosts.several() else self._heard]

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)


# By their severity: that of no signal is not used.
_ENDINGS = [Ending.STOPPED, Ending.STOPPED, Ending.INTERRUPTED, Ending.TERMINATED]
