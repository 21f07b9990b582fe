"""The progress line of a sweep: trials done, the best so far, and the time left."""

import sys
import time

from .metrics import metric_of
from .statistics import ranked, score_of


class Progress:
    """One line, rewritten on a terminal; elsewhere a line for each finished chunk.

    Args:
        sweep: `SweepPlan`.
        total: members to train, with the winner's.
        done: members that an earlier process trained.
        quiet: show nothing.
    """

    def __init__(self, sweep, total, *, done=0, quiet=False):
        from tqdm import tqdm

        self._sweep, self._metric, self._quiet = sweep, metric_of(sweep.metric), quiet
        self._plain = not sys.stderr.isatty()
        self._values, self._diverged, self._best = {}, {}, ""
        self._total, self._done, self._began, self._fresh = total, done, time.perf_counter(), 0
        self._bar = tqdm(
            total=total, initial=done, disable=quiet or self._plain, dynamic_ncols=True,
            bar_format="{desc} |{bar}| {elapsed}, {postfix}",
        )  # fmt: skip

    def say(self, text):
        """A line above the bar."""
        if not self._quiet:
            self._bar.write(text, file=sys.stderr)

    def advance(self, members):
        """Says how much of the running chunk is done, in members."""
        self._show(self._fresh + members)

    def finished(self, members, trained, *, fresh):
        """Takes in a finished chunk.

        Args:
            members: their numbers.
            trained: `members.Trained`.
            fresh: whether this process trained it.
        """
        values = self._metric.of(trained.steps, trained.returns)
        for member, value, finite in zip(members, values, trained.finite):
            self._values.setdefault(self._sweep.trial_of(member), []).append(value)
            self._diverged.setdefault(self._sweep.trial_of(member), []).append(not finite)
        self._best = self._best_so_far()
        self._fresh += len(members) * fresh
        self._show(self._fresh)
        if self._plain and not self._quiet and fresh:
            print(self._text(self._fresh), file=sys.stderr)

    def close(self):
        self._bar.close()

    def _show(self, fresh):
        self._bar.n = min(self._total, self._done + fresh)
        self._bar.set_description_str(self._counted(), refresh=False)
        self._bar.set_postfix_str(f"{self._left(fresh)}{self._best}", refresh=True)

    def _text(self, fresh):
        return f"{self._counted()}, {self._left(fresh)}{self._best}"

    def _counted(self):
        complete = sum(len(values) == self._sweep.seeds for values in self._values.values())
        return f"{complete}/{len(self._sweep.settings)} trials"

    def _left(self, fresh):
        if fresh <= 0:
            return "time left unknown"
        left = (self._total - self._done - fresh) * (time.perf_counter() - self._began) / fresh
        return f"{max(0.0, left):.0f} s left"

    def _best_so_far(self):
        trials = [trial for trial, values in self._values.items() if len(values) == self._sweep.seeds]
        if not trials:
            return ""
        scores = [score_of(self._values[trial], self._diverged[trial]) for trial in trials]
        best = ranked(scores, lowest=self._metric.lowest)[0]
        return f", best so far {scores[best].score:.6g} (trial {trials[best]})"
