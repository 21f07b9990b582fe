"""How a population changes between two intervals of its training (Jaderberg et al. 2017, arXiv:1711.09846)."""

import numpy as np

# Factors of a rate with a logarithmic distribution, after the paper, and the step of a uniform one, in ranges.
_FACTORS = 0.8, 1.2
_STEP = 0.1


def exploited(keys, sound, quantile, rng):
    """Which trial's state each trial continues from ("truncation selection" in the paper).

    The lowest `quantile` of the trials, and all that diverged, get that of one of the best `quantile`.

    Args:
        keys: for each trial what it is sorted by, the best first.
        sound: bool[trials], whether a trial is finite; only those are copied.
        quantile: above 0 and at most 0.5.
        rng: a NumPy generator.
    Returns:
        i32[trials]; a trial's own number where it keeps its state.
    """
    count = max(1, int(quantile * len(keys)))
    ranks = sorted(range(len(keys)), key=lambda trial: keys[trial])
    donors = [trial for trial in ranks if sound[trial]][:count]
    source = np.arange(len(keys), dtype=np.int32)
    for trial in range(len(keys)):
        if donors and trial not in donors and (trial in ranks[-count:] or not sound[trial]):
            source[trial] = rng.choice(donors)
    return source


def explored(space, values, resample, rng):
    """Values near those of a trial that was copied, in the ranges of the space.

    Args:
        space: dict of name to `Distribution`.
        values: dict of name to value.
        resample: the probability with which a value is sampled from its distribution instead.
        rng: a NumPy generator.
    Returns:
        dict of name to value. A rate with a logarithmic distribution is multiplied by 0.8 or 1.2, a uniform number goes
        up or down by a tenth of its range, and any other value becomes one of its neighbours.
    """
    found = {}
    for name, distribution in space.items():
        sampled, again, up = distribution.at(rng.random()), rng.random() < resample, bool(rng.random() < 0.5)
        found[name] = sampled if again else _near(distribution, values[name], up)
    return found


def _near(distribution, value, up):
    known = distribution.values
    if known is not None:
        return known[min(max(known.index(value) + (1 if up else -1), 0), len(known) - 1)]
    low, high = distribution.arguments
    if distribution.kind == "loguniform":
        value *= _FACTORS[up]
    else:
        value += (_STEP if up else -_STEP) * (high - low)
    return min(max(float(f"{value:.6g}"), low), high)
