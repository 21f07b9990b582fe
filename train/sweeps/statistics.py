"""What several seeds say about a setting: interquartile means, bootstrap intervals, and the order of settings."""

import math
from typing import NamedTuple

import numpy as np

_RESAMPLES = 2000


class Score(NamedTuple):
    """What the seeds of one setting reached."""

    #: The interquartile mean over the seeds that did not diverge; NaN if all did.
    score: float
    #: A 95 % bootstrap interval of it; NaN with fewer than two seeds.
    low: float
    high: float
    #: Seeds that diverged.
    diverged: int


def interquartile_mean(values, axis=-1):
    """The mean of the middle half of some values (Agarwal et al. 2021, arXiv:2108.13264).

    Where a quarter is no integer, the values at its border count in part. It depends less on one lucky or unlucky seed
    than the mean, and on more of them than the median.

    Args:
        values: f64[..., n], n at least 1.
        axis: that of the seeds.
    Returns:
        f64[...].

    >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])))
    1.5
    """
    ordered = np.sort(np.moveaxis(np.asarray(values, np.float64), axis, -1), axis=-1)
    count = ordered.shape[-1]
    index = np.arange(count)
    weights = np.clip(np.minimum(index + 1, 0.75 * count) - np.maximum(index, 0.25 * count), 0.0, None)
    return ordered @ weights / weights.sum()


def score_of(values, diverged, seed=0):
    """The `Score` of one setting.

    Args:
        values: f64[seeds], what each seed reached.
        diverged: bool[seeds]; their values are not used.
        seed: of the resampling, an integer of at least 0.
    """
    values, diverged = np.asarray(values, np.float64), np.asarray(diverged, bool)
    kept = values[~diverged]
    if not kept.size:
        return Score(math.nan, math.nan, math.nan, int(diverged.sum()))
    score = float(interquartile_mean(kept))
    if kept.size < 2:
        return Score(score, math.nan, math.nan, int(diverged.sum()))
    draws = np.random.default_rng(seed).integers(kept.size, size=(_RESAMPLES, kept.size))
    low, high = np.percentile(interquartile_mean(kept[draws]), [2.5, 97.5])
    return Score(score, float(low), float(high), int(diverged.sum()))


def order(score, *, lowest=False):
    """What settings are sorted by, the best first: a tuple.

    A setting of which a seed diverged stands below all of which none did; among those, fewer are better. Between equal
    scores, the worse end of the interval decides: the interquartile mean does not see one seed of five that failed.

    Args:
        score: `Score`.
        lowest: whether the lowest score is the best.
    """
    worst_first = (score.score, score.high) if lowest else (-score.score, -score.low)
    known = [0.0 if math.isnan(value) else value for value in worst_first]
    return score.diverged, math.isnan(score.score), *known


def ranked(scores, *, lowest=False, reached=None):
    """The settings from the best to the worst, a list of indices.

    Args:
        scores: sequence of `Score`.
        lowest: whether the lowest score is the best.
        reached: how far each came before it was stopped, if some were: of those without a diverged seed, who came
            further is better.
    """

    def key(index):
        diverged, *rest = order(scores[index], lowest=lowest)
        return diverged, 0 if reached is None else -reached[index], *rest, index

    return sorted(range(len(scores)), key=key)
