"""Statistics of `benchmarks.random.quality`: published tests of a sequence of 32-bit words.

Each test counts something in a chunk of the sequence, sums the counts over chunks, and says how likely such a sum is
for independent uniform words.

Sources: Knuth, The Art of Computer Programming, volume 2, third edition, section 3.3.2; L'Ecuyer and Simard, "TestU01:
a C library for empirical testing of random number generators" (ACM TOMS 33, 2007); NIST SP 800-22, revision 1a;
Marsaglia, "A current view of random number generators" (1985).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

LAGS = (1, 2, 3, 4, 5, 7, 8, 16, 64, 256, 1024, 4096)
GAP, LONGEST_GAP = 1 / 16, 128
MAXIMUM_OF, MAXIMUM_CELLS = 8, 1024
# Bits of each of the two words that make an urn, or a birthday; birthdays are in batches of this size.
URN_BITS, BIRTHDAY_BITS, BIRTHDAYS = 15, 26, 2**19
# Cells with a smaller expected count are merged.
LEAST_EXPECTED = 10


class Judged(NamedTuple):
    """A statistic, and the probabilities of one at least, and at most, as large."""

    statistic: float
    above: float
    below: float

    @property
    def two_sided(self):
        return min(1.0, 2 * min(self.above, self.below))


class Test(NamedTuple):
    """A published test."""

    published: str
    #: A function of a chunk, u32[n], to counts, which are summed over chunks.
    count: Callable[[Any], Any]
    #: A function of the sum, of the words in each chunk, and of the number of chunks, to `Judged`.
    judge: Callable[[Any, int, int], Judged]


def chi_square(statistic, degrees):
    above, below = scipy.stats.chi2.sf(statistic, degrees), scipy.stats.chi2.cdf(statistic, degrees)
    return Judged(float(statistic), float(above), float(below))


def poisson(count, mean):
    above, below = scipy.stats.poisson.sf(count - 1, mean), scipy.stats.poisson.cdf(count, mean)
    return Judged(float(count), float(above), float(below))


def cells(counts, probabilities):
    """Pearson's chi-square of counts in cells, rare cells merged."""
    counts, expected = np.ravel(counts).astype(float), np.ravel(probabilities) * np.sum(counts)
    if not (often := expected >= LEAST_EXPECTED).all():
        counts, expected = (np.append(x[often], x[~often].sum()) for x in (counts, expected))
        if expected[-1] < LEAST_EXPECTED:
            counts, expected = (np.append(x[:-2], x[-2:].sum()) for x in (counts, expected))
    return chi_square(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


def even_cells(counts, *_):
    """Pearson's chi-square of counts in equally likely cells."""
    expected = np.sum(counts) / np.size(counts)
    return chi_square(((np.ravel(counts) - expected) ** 2).sum() / expected, np.size(counts) - 1)


def coins(heads, tosses):
    """Chi-square of the heads of many uncorrelated fair coins, each tossed so often."""
    return chi_square(((np.asarray(heads) - tosses / 2) ** 2 / (tosses / 4)).sum(), np.size(heads))


def tuples(size, bits, top):
    """Chi-square over the 2 ** (size * bits) cells of non-overlapping tuples, by their top or bottom bits."""
    shift, mask, number = np.uint32(32 - bits if top else 0), np.uint32(2**bits - 1), 2 ** (size * bits)

    def count(words):
        words = np.asarray(words)
        parts = (words[: len(words) // size * size].reshape(-1, size) >> shift) & mask
        cell = parts[:, 0].astype(np.intp)
        for column in range(1, size):
            cell = (cell << bits) | parts[:, column]
        return np.bincount(cell, minlength=number)

    source = "Knuth 3.3.2 A, frequency" if size == 1 else "Knuth 3.3.2 B, serial; TestU01 sknuth_Serial"
    return Test(
        f"{source}; {size} x {'top' if top else 'bottom'} {bits} bits, chi-square over {number} cells",
        count,
        even_cells,
    )


def bits_of(words):
    """u32[..., 32], the lowest bit first."""
    bits = jnp.arange(32, dtype=jnp.uint32).reshape(*[1] * words.ndim, 32)
    return (words[..., None] >> bits) & jnp.uint32(1)


@jax.jit
def ones(words):
    """i32[32], how often each bit is set, over all axes."""
    return jnp.sum(bits_of(words), axis=tuple(range(words.ndim)), dtype=jnp.int32)


@jax.jit
def equal_bits(words):
    """f32[32, 32], in how many non-overlapping pairs bit i of the first word equals bit j of the second."""

    def block(pairs):
        first, second = (1.0 - 2.0 * bits_of(pairs[:, i]).astype(jnp.float32) for i in (0, 1))
        return first.T @ second

    pairs = words.reshape(-1, 2)
    return (jnp.sum(jax.lax.map(block, pairs.reshape(16, -1, 2)), axis=0) + len(pairs)) / 2


def products(words):
    """f64[lags], sums of products of the centred sequence and itself shifted by a lag."""
    centred = np.asarray(words) * 2.0**-32 - (0.5 - 2.0**-33)
    return np.array([centred[:-lag] @ centred[lag:] for lag in LAGS])


def judge_products(sums, size, chunks):
    normal = 12 * sums / np.sqrt([chunks * (size - lag) for lag in LAGS])
    return chi_square((normal**2).sum(), len(LAGS))


def weights(words):
    """How often the numbers of bits set in the two words of a pair were (i, j)."""
    weight = np.bitwise_count(np.asarray(words)).reshape(-1, 2).astype(np.intp)
    return np.bincount(weight[:, 0] * 33 + weight[:, 1], minlength=33**2)


def judge_weights(counts, *_):
    binomial = np.array([math.comb(32, weight) for weight in range(33)]) / 2.0**32
    return cells(counts, np.outer(binomial, binomial))


def first_runs(words):
    """How often the first run up in eight words was of each length, 1 to 8."""
    eights = np.asarray(words).reshape(-1, 8)
    climbing = np.logical_and.accumulate(eights[:, 1:] > eights[:, :-1], axis=1)
    return -np.diff([len(eights), *climbing.sum(axis=0), 0])


def judge_first_runs(counts, *_):
    return cells(counts, -np.diff([*(1 / math.factorial(length) for length in range(1, 9)), 0]))


def gaps(words):
    """How often a number of words was between two below `GAP`; the last count includes longer gaps."""
    hits = np.flatnonzero(np.asarray(words) < np.uint32(GAP * 2**32))
    return np.bincount(np.minimum(np.diff(hits) - 1, LONGEST_GAP), minlength=LONGEST_GAP + 1)


def judge_gaps(counts, *_):
    probabilities = GAP * (1 - GAP) ** np.arange(LONGEST_GAP + 1)
    probabilities[-1] /= GAP
    return cells(counts, probabilities)


def maxima(words):
    greatest = (np.asarray(words).reshape(-1, MAXIMUM_OF).max(axis=1) + 0.5) / 2**32
    return np.bincount((greatest**MAXIMUM_OF * MAXIMUM_CELLS).astype(np.intp), minlength=MAXIMUM_CELLS)


def collisions(words):
    """How many pairs of words fell into an urn that was already full."""
    top = (np.asarray(words) >> np.uint32(32 - URN_BITS)).reshape(-1, 2)
    urns = np.sort((top[:, 0] << np.uint32(URN_BITS)) | top[:, 1])
    return int(np.count_nonzero(urns[1:] == urns[:-1]))


def judge_collisions(count, size, chunks):
    pairs, urns = size // 2, 2.0 ** (2 * URN_BITS)
    return poisson(count, chunks * (pairs + urns * math.expm1(pairs * math.log1p(-1 / urns))))


def birthdays(size):
    """(batches, birthdays in each) for a number of words, a power of two."""
    return max(1, size // 2 // BIRTHDAYS), min(BIRTHDAYS, size // 2)


def equal_spacings(words):
    """How many spacings of sorted birthdays, of a pair of words each, equal another of their batch."""
    words = np.asarray(words)
    low = (words & np.uint32(2**BIRTHDAY_BITS - 1)).astype(np.uint64)
    days = (low[::2] << np.uint64(BIRTHDAY_BITS)) | low[1::2]
    days = np.sort(days.reshape(birthdays(words.size)), axis=1)
    spacings = np.sort(np.diff(days, axis=1), axis=1)
    return int(np.count_nonzero(spacings[:, 1:] == spacings[:, :-1]))


def judge_spacings(count, size, chunks):
    batches, each = birthdays(size)
    return poisson(count, chunks * batches * each**3 / (4 * 2.0 ** (2 * BIRTHDAY_BITS)))


TESTS = {
    "bits": Test(
        "NIST SP 800-22 2.1, monobit, of each of the 32 bits; chi-square, 32 degrees",
        lambda words: np.asarray(ones(words), np.int64),
        lambda heads, size, chunks: coins(heads, size * chunks),
    ),
    "frequency, top": tuples(1, 16, True),
    "frequency, bottom": tuples(1, 16, False),
    "pairs, top": tuples(2, 8, True),
    "pairs, bottom": tuples(2, 8, False),
    "triples, top": tuples(3, 5, True),
    "triples, bottom": tuples(3, 5, False),
    "eights, top": tuples(8, 2, True),
    "bit pairs": Test(
        "TestU01's sstring family: each bit of a word against each of the next; chi-square, 1024 degrees",
        lambda words: np.asarray(equal_bits(words), np.float64),
        lambda equal, size, chunks: coins(equal, size // 2 * chunks),
    ),
    "serial correlation": Test(
        f"Knuth 3.3.2 K, serial correlation, at the lags {LAGS}; chi-square, {len(LAGS)} degrees",
        products,
        judge_products,
    ),
    "Hamming weights": Test(
        "TestU01 sstring_HammingIndep: bits set in a word and in the next; chi-square", weights, judge_weights
    ),
    "runs": Test("Knuth 3.3.2 G, runs up: the first of every eight words; chi-square", first_runs, judge_first_runs),
    "gaps": Test("Knuth 3.3.2 D, gaps between words in the lowest sixteenth; chi-square", gaps, judge_gaps),
    "maximum of eight": Test(
        f"Knuth 3.3.2 F, maximum of t = {MAXIMUM_OF}; chi-square over {MAXIMUM_CELLS} cells",
        maxima,
        even_cells,
    ),
    "collisions": Test(
        f"Knuth 3.3.2 I, collisions of pairs, {URN_BITS} top bits each; Poisson", collisions, judge_collisions
    ),
    "birthday spacings": Test(
        f"Marsaglia 1985; Knuth 3.3.2 J: {BIRTHDAYS} birthdays of pairs, {BIRTHDAY_BITS} bottom bits each; Poisson",
        equal_spacings,
        judge_spacings,
    ),
}
