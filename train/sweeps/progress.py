"""The progress line of a sweep: trials done, the best so far, and the time left."""

import math
import sys
import time

from ..runs.tracker import Tracker
from .metrics import metric_of
from .statistics import Score, ranked, score_of

# Seconds between two lines of a search that finishes something often, where the line cannot be rewritten.
_SECONDS = 10.0


class Progress:
    """One line, rewritten on a terminal; elsewhere a line for each finished chunk.

    Args:
        sweep: `SweepPlan`.
        total: members to train, with the winner's.
        quiet: show nothing.
        tracker: `Tracker` that gets the figures of each trial.
    """

    def __init__(self, sweep, total, *, quiet=False, tracker=None):
        from tqdm import tqdm

        self._tracker, self._step = tracker or Tracker(), 0
        self._sweep, self._metric, self._quiet = sweep, metric_of(sweep.metric), quiet
        self._plain = not sys.stderr.isatty()
        self._values, self._diverged, self._reached, self._best, self._now = {}, {}, {}, "", ""
        self._total, self._done, self._began, self._fresh = total, 0, time.perf_counter(), 0
        self._printed = self._began
        self._bar = tqdm(
            total=total, disable=quiet or self._plain, dynamic_ncols=True,
            bar_format="{desc} |{bar}| {elapsed}, {postfix}",
        )  # fmt: skip

    def say(self, text):
        """A line above the bar."""
        if not self._quiet:
            self._bar.write(text, file=sys.stderr)

    def grow(self, sweep):
        """Takes the plan with more settings."""
        self._sweep = sweep

    def track(self, figures, at=0):
        """Sends figures to the tracker, at the next step, or at a later one."""
        self._step = max(self._step + 1, int(at))
        self._tracker.log(figures, step=self._step)

    def advance(self, members):
        """Says how much of the running chunk is done, in members."""
        self._show(self._fresh + members)

    def looked_at(self, what, members, scores):
        """Takes in an evaluation of all trials of a population.

        Args:
            what: a text, such as "interval 3/10".
            members: how much is done, in members.
            scores: of each trial, None for one that diverged.
        """
        known = [Score(math.nan if x is None else x, math.nan, math.nan, int(x is None)) for x in scores]
        best = ranked(known, lowest=self._metric.lowest)[0]
        self._now, self._best = f", {what}", f", best so far {known[best].score:.6g} (trial {best})"
        self.track({"best_trial": best, "best": known[best].score}, at=members)
        self._show(members)
        self._print(members, seldom=True)

    def finished(self, members, trained, *, fresh, seldom=False):
        """Takes in a finished chunk.

        Args:
            members: their numbers.
            trained: `members.Trained`.
            fresh: whether this process trained it.
            seldom: whether the line is left out where there was one a moment ago.
        """
        values = self._metric.of(trained.steps, trained.returns)
        for member, value, finite in zip(members, values, trained.finite):
            trial = self._sweep.trial_of(member)
            self._values.setdefault(trial, []).append(value)
            self._diverged.setdefault(trial, []).append(not finite)
            self._reached[trial] = self._sweep.rung_of(trial, len(trained.steps))
        self._best = self._best_so_far()
        self._track(members)
        if fresh:
            self._fresh += len(members)
        else:
            self._done += len(members)
        self._show(self._fresh)
        if fresh:
            self._print(self._fresh, seldom)

    def _print(self, fresh, seldom):
        complete = self._done + fresh >= self._sweep.num_members
        if self._plain and not self._quiet and not (seldom and not complete and self._soon()):
            self._printed = time.perf_counter()
            print(self._text(fresh), file=sys.stderr)

    def _soon(self):
        return time.perf_counter() - self._printed < _SECONDS

    def close(self):
        self._bar.close()

    def _show(self, fresh):
        self._bar.n = min(self._total, self._done + fresh)
        self._bar.set_description_str(self._counted(), refresh=False)
        self._bar.set_postfix_str(f"{self._left(fresh)}{self._best}", refresh=True)

    def _text(self, fresh):
        return f"{self._counted()}, {self._left(fresh)}{self._best}"

    def _counted(self):
        return f"{len(self._complete())}/{self._sweep.num_trials} trials{self._now}"

    def _complete(self):
        """The trials of which all seeds are trained, a list."""
        return [trial for trial, values in self._values.items() if len(values) == self._sweep.seeds]

    def _track(self, members):
        """Sends a row for each trial that these members complete, also of a sweep that was resumed."""
        trials = sorted({self._sweep.trial_of(member) for member in members})
        for trial in [one for one in trials if len(self._values[one]) == self._sweep.seeds]:
            score = score_of(self._values[trial], self._diverged[trial], seed=trial)
            # The values of a population have changed along the way.
            setting = {} if self._sweep.search == "pbt" else self._sweep.settings[trial]
            self.track({"trial": trial, **score._asdict(), **setting})

    def _left(self, fresh):
        if fresh <= 0:
            return "time left unknown"
        left = (self._total - self._done - fresh) * (time.perf_counter() - self._began) / fresh
        return f"{max(0.0, left):.0f} s left"

    def _best_so_far(self):
        trials = self._complete()
        if not trials:
            return ""
        scores = [score_of(self._values[trial], self._diverged[trial]) for trial in trials]
        reached = [self._reached[trial] for trial in trials]
        best = ranked(scores, lowest=self._metric.lowest, reached=reached)[0]
        return f", best so far {scores[best].score:.6g} (trial {trials[best]})"
