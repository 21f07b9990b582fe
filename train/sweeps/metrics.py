"""What a sweep ranks by, made from the evaluations along each member's run."""

import dataclasses
import re

import numpy as np


@dataclasses.dataclass(frozen=True)
class Metric:
    """A figure of a run: "final", the return of its last evaluation, "mean", that of all, or "steps-to:RETURN"."""

    name: str
    #: The return whose steps are counted; None for the others.
    goal: float | None = None

    @property
    def lowest(self):
        """Whether lower is better."""
        return self.goal is not None

    def of(self, steps, returns):
        """The metric of some runs.

        Args:
            steps: i64[points], environment steps at each evaluation.
            returns: f64[points, members], mean returns.
        Returns:
            f64[members]. For "steps-to", the steps at the first evaluation that reached the goal, and twice the steps
            of the run where none did.
        """
        returns = np.asarray(returns, np.float64)
        if self.name == "final":
            return returns[-1]
        if self.name == "mean":
            return returns.mean(axis=0)
        reached = returns >= np.float64(self.goal or 0.0)
        first = np.asarray(steps, np.float64)[np.argmax(reached, axis=0)]
        return np.where(reached.any(axis=0), first, 2.0 * steps[-1])


def metric_of(text):
    """The `Metric` of a text: final, mean, or steps-to:195.

    Raises:
        ValueError: for any other.

    >>> metric_of("steps-to:195").goal
    195.0
    """
    if text in ("final", "mean"):
        return Metric(text)
    match = re.fullmatch(r"steps-to:([+-]?\d+(\.\d*)?([eE][+-]?\d+)?)", text)
    if match is None:
        raise ValueError(f"--metric must be final, mean or steps-to:RETURN, such as steps-to:195, got {text!r}")
    return Metric(text, float(match[1]))
