"""What a run writes: JSON lines, TensorBoard events, and a progress bar."""

import json
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..output import Unbreakable
from .files import replacing
from .tracker import Tracker

# Seconds after which TensorBoard's events are begun; those of shorter runs are written at their end.
_EVENTS_AFTER = 5.0


class Rows:
    """Rows of figures that are only kept in memory: the log of a process that does not write.

    Args:
        folder, upto: as of `Log`; None for a new run.
    """

    def __init__(self, folder=None, *, upto=None):
        self.path, self.damaged = None if folder is None else Path(folder) / "metrics.jsonl", []
        found = [] if self.path is None else read_rows(self.path)
        self.rows = [row for row in found if upto is None or row["steps"] <= upto]

    def write(self, row):
        """Appends a row, without what is not finite."""
        self.rows.append({name: value for name, value in row.items() if math.isfinite(value)})

    def close(self):
        """Nothing: there is no file."""


class Log:
    """Rows of figures, appended to `metrics.jsonl` and to TensorBoard events in one folder.

    Args:
        folder: an existing folder; rows of an earlier part of the run are kept.
        upto: with an int, only the rows of up to this many steps are kept: a resumed run writes the rest again.
        tracker: `Tracker` that gets the rows too.
    """

    def __init__(self, folder, *, upto=None, tracker=None):
        self._tracker = tracker or Tracker()
        self.path = Path(folder) / "metrics.jsonl"
        found, damaged = _read(self.path)
        #: Lines that could not be read; the file as it was is then kept as `metrics.jsonl.bak`.
        self.damaged = damaged
        if damaged:
            with replacing(self.path.with_suffix(".jsonl.bak")) as file:
                file.write(self.path.read_bytes())
        self.rows = [row for row in found if upto is None or row["steps"] <= upto]
        with replacing(self.path) as file:
            file.write("".join(json.dumps(row) + "\n" for row in self.rows).encode())
        # tensorboardX imports PyTorch where there is one, which takes seconds. A thread of its own does it, and writes;
        # it waits until the run has started, since both hold Python's lock.
        self._thread, self._closing = ThreadPoolExecutor(1), threading.Event()
        self._events = self._thread.submit(_events, folder, None if upto is None else upto + 1, self._closing)
        self._written = []
        self._file = open(self.path, "a")  # noqa: SIM115 - closed by close()

    def write(self, row):
        """Appends a row.

        Args:
            row: dict of name to number, with `steps` among them; what is not finite is left out.
        """
        steps = row["steps"]
        row = {name: value for name, value in row.items() if math.isfinite(value)}
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self._written.append(self._thread.submit(self._add, steps, row))
        self._tracker.log({name: value for name, value in row.items() if name != "steps"}, step=steps)

    def close(self):
        """Ends the tracker's run, and waits until all events are written.

        If they cannot be, that is said on the standard error.
        """
        self._file.close()
        self._tracker.close()
        self._closing.set()
        self._written.append(self._thread.submit(lambda: self._events.result().close()))
        self._thread.shutdown()
        failures = [written.exception() for written in self._written]
        if any(failures):
            error = next(filter(None, failures))
            print(f"warning: TensorBoard's events were not written: {error}", file=Unbreakable(sys.stderr))

    def _add(self, steps, row):
        for name, value in row.items():
            if name != "steps":
                self._events.result().add_scalar(name, value, steps)


def _events(folder, purge_step, closing):
    closing.wait(_EVENTS_AFTER)
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), purge_step=purge_step)


def read_rows(path):
    """The rows of a `metrics.jsonl`, without the lines that cannot be read; none if it does not exist."""
    return _read(path)[0]


def _read(path):
    """(rows, numbers of the lines that cannot be read); a last line that a crash cut short is no damage."""
    path = Path(path)
    text = path.read_text(errors="replace") if path.exists() else ""
    rows, damaged = [], []
    for number, line in enumerate(text.splitlines(), 1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif text.endswith("\n") or number < len(text.splitlines()):
            damaged.append(number)
    return rows, damaged


def _row(line):
    """The row of a line; None if it is no object of numbers with `steps` among them."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    sound = isinstance(row, dict) and "steps" in row and all(type(value) in (int, float) for value in row.values())
    return row if sound else None


def shown_figures(row):
    """The figures of a row that a progress line shows.

    >>> row = {"return_mean": 21.5, "return_min": 9.0, "return_max": 48.0, "length_mean": 21.5, "eval_mean": 180.25}
    >>> shown_figures(row)
    'return 21.5 (9 to 48), length 21.5, evaluation 180.25'
    """
    parts = []
    if "return_mean" in row:
        extent = f" ({row['return_min']:.6g} to {row['return_max']:.6g})" if "return_min" in row else ""
        parts.append(f"return {row['return_mean']:.6g}{extent}")
    if "length_mean" in row:
        parts.append(f"length {row['length_mean']:.6g}")
    if "eval_mean" in row:
        parts.append(f"evaluation {row['eval_mean']:.6g}")
    return ", ".join(parts)


class Progress:
    """A bar with steps, steps/s, time left and return; plain lines where the output is no terminal."""

    def __init__(self, total, *, done=0, quiet=False):
        from tqdm import tqdm

        self._shown = Unbreakable(sys.stderr)
        self._plain = not self._shown.isatty()
        self._quiet = quiet
        self._bar = tqdm(
            total=total, initial=done, unit="step", unit_scale=True, smoothing=0.2, disable=quiet or self._plain,
            dynamic_ncols=True, file=self._shown,
        )  # fmt: skip

    def say(self, text):
        """A line above the bar."""
        if not self._quiet:
            self._bar.write(text, file=self._shown)

    def advance(self, steps, row):
        """Moves the bar on by some steps, and shows the row's figures."""
        figures = shown_figures(row)
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(steps)
        if self._plain and not self._quiet:
            left = (self._bar.total - row["steps"]) / max(row["steps_per_second"], 1e-9)
            steps = f"{row['steps']:9,}" if self._bar.total < 1e6 else f"{row['steps'] / 1e6:8.2f}M"
            print(
                f"{steps} steps  {row['steps_per_second'] / 1e3:6.0f}k steps/s  {left:4.0f} s left  {figures}",
                file=self._shown,
            )

    def close(self):
        self._bar.close()
