"""`benchmarks.random.quality`: each statistic against its definition, each test against good words, and bad ones."""

import collections
import functools
import itertools
import json
import math

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxenvs
from benchmarks import common
from benchmarks.random import quality, streams
from benchmarks.random import statistics as tests
from benchmarks.random.statistics import TESTS

# Adjacent seeds, where few rounds show most, and what environments draw within one step.
SHORT = ["(4, n), along adjacent seeds", "(4, n), along 16384 environments"]


@functools.cache
def words_of(generator, sequence):
    return np.asarray(streams.chunks(streams.GENERATORS[generator], streams.SEQUENCES[sequence])(jax.random.key(5), 0))


def judged(name, words):
    return TESTS[name].judge(TESTS[name].count(words), len(words), 1)


def some_words(number=8192, seed=0):
    """Words in which whatever is counted occurs: many are equal, and they stand in no order."""
    return np.random.default_rng(seed).integers(0, 2**32, number, dtype=np.uint32) & np.uint32(0xF80000FF)


@pytest.mark.parametrize("name", TESTS)
def test_numpys_words_pass(name):
    words = np.random.default_rng(1).integers(0, 2**32, 2**20, dtype=np.uint32)
    assert 1e-3 < judged(name, words).above < 1 - 1e-3


@pytest.mark.parametrize("sequence", SHORT)
@pytest.mark.parametrize("name", TESTS)
def test_fast_words_pass(name, sequence):
    assert judged(name, words_of("fast", sequence)).two_sided > quality.THRESHOLD


@pytest.mark.parametrize("name", TESTS)
def test_words_of_four_rounds_fail(name):
    assert min(judged(name, words_of("4 rounds", sequence)).two_sided for sequence in SHORT) < quality.THRESHOLD


@pytest.mark.parametrize("name", TESTS)
def test_a_weyl_sequence_fails(name):
    assert judged(name, words_of("Weyl sequence", SHORT[1])).two_sided < quality.THRESHOLD


@pytest.mark.parametrize(("generator", "passes"), [("fast", True), ("8 rounds", False)])
@pytest.mark.parametrize("kind", ["key bits", "low places, (2, n)", "high places, (n, 1)"])
def test_one_flipped_bit_changes_each_bit_of_half_of_the_blocks_if_rounds_are_enough(kind, generator, passes):
    found, words = quality.avalanche(streams.GENERATORS[generator], kind, jax.random.key(1), 1e6)
    assert words >= 2**20
    assert (found.two_sided > quality.THRESHOLD) == passes


def test_flips_are_counted_in_every_block_and_bit():
    weyl = streams.flips(streams.GENERATORS["Weyl sequence"])
    flip, tosses, _ = weyl["low places, (2, n)"]
    changed = np.asarray(flip(jax.random.key(3), 0))
    data = jax.random.key_data(streams.rollouts_key(jax.random.key(3), 0))
    row = int(data[0] ^ data[1]) + np.arange(2**20, dtype=np.uint64) * 0x9E3779B9
    row = (row % 2**32).astype(np.uint32).reshape(2, -1)
    place = np.arange(2**19)
    for bit, word in ((0, 0), (7, 1), (18, 0)):
        pairs = row[word][place ^ (1 << bit)] ^ row[word][place]
        expected = [(((pairs >> i) & 1).sum()) // 2 for i in range(32)]
        np.testing.assert_array_equal(changed[bit, word], expected)
    assert tosses == 2**18


def test_cells_are_scipys_chi_square():
    counts, probabilities = np.array([30, 50, 20, 100]), np.array([0.2, 0.2, 0.1, 0.5])
    ours, theirs = tests.cells(counts, probabilities), scipy.stats.chisquare(counts, 200 * probabilities)
    assert (ours.statistic, ours.above) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert ours.above + ours.below == pytest.approx(1)
    even = tests.even_cells(counts)
    assert (even.statistic, even.above) == pytest.approx(tuple(scipy.stats.chisquare(counts)))


def test_rare_cells_are_taken_together():
    ours = tests.cells([60, 30, 4, 3, 3, 0], [0.5, 0.4, 0.03, 0.03, 0.03, 0.01])
    theirs = scipy.stats.chisquare([60, 30, 10], [50, 40, 10])
    assert (ours.statistic, ours.above) == pytest.approx((theirs.statistic, theirs.pvalue))
    # Together they are still rare: to their neighbour.
    ours = tests.cells([60, 35, 5], [0.5, 0.45, 0.05])
    assert ours.above == pytest.approx(scipy.stats.chisquare([60, 40], [50, 50]).pvalue)


def test_poisson_has_literal_probabilities():
    found = tests.poisson(5, 3.0)
    assert (found.above, found.below) == pytest.approx((0.184736755, 0.916082058))
    assert found.two_sided == pytest.approx(2 * 0.184736755)
    assert tests.Judged(0.0, 0.7, 0.6).two_sided == 1


def test_coins_are_the_chi_square_of_their_deviations():
    # 60 and 45 heads of 100: 2 and -1 standard deviations.
    found = tests.coins(np.array([60, 45]), 100)
    assert found.statistic == pytest.approx(5)
    assert found.above == pytest.approx(math.exp(-5 / 2))


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize(("size", "bits"), [(1, 4), (2, 3), (3, 2)])
def test_tuples_are_counted_by_their_bits(size, bits, top):
    words = some_words(600)
    digits = [(int(word) >> (32 - bits if top else 0)) % 2**bits for word in words]
    expected = collections.Counter(
        sum(digit * 2 ** (bits * (size - 1 - place)) for place, digit in enumerate(digits[start : start + size]))
        for start in range(0, 600, size)
    )
    counts = tests.tuples(size, bits, top).count(words)
    assert counts.shape == (2 ** (size * bits),)
    assert {cell: count for cell, count in enumerate(counts) if count} == expected


def test_bits_are_counted_one_by_one_and_against_each_other():
    words = some_words()
    bits = np.array([[(int(word) >> bit) & 1 for bit in range(32)] for word in words])
    np.testing.assert_array_equal(tests.ones(words), bits.sum(axis=0))
    expected = (bits[::2, :, None] == bits[1::2, None, :]).sum(axis=0)
    np.testing.assert_array_equal(tests.equal_bits(words), expected)


def test_products_are_those_of_centred_uniforms():
    words = some_words()
    uniform = [(int(word) + 0.5) / 2**32 - 0.5 for word in words]
    expected = [sum(a * b for a, b in zip(uniform, uniform[lag:], strict=False)) for lag in tests.LAGS]
    np.testing.assert_allclose(tests.products(words), expected, rtol=1e-9, atol=1e-9)
    # A standard deviation at each lag: the product of two uniforms has one of 1 / 12.
    sums = np.sqrt([3 * (len(words) - lag) for lag in tests.LAGS]) / 12
    assert tests.judge_products(sums, len(words), 3).statistic == pytest.approx(len(tests.LAGS))


def test_weights_of_pairs_are_counted():
    words = some_words()
    expected = collections.Counter((int(a).bit_count(), int(b).bit_count()) for a, b in words.reshape(-1, 2))
    counts = tests.weights(words).reshape(33, 33)
    assert {place: counts[place] for place in itertools.product(range(33), repeat=2) if counts[place]} == expected


def test_first_runs_are_those_of_each_eight_words():
    words = some_words()
    words[:8], words[8:16] = np.arange(8), np.arange(8)[::-1]

    def length(eight):
        return next((place for place in range(1, 8) if eight[place] <= eight[place - 1]), 8)

    lengths = collections.Counter(length(eight) for eight in words.reshape(-1, 8).tolist())
    assert lengths[8] and lengths[1]
    np.testing.assert_array_equal(tests.first_runs(words), [lengths[length] for length in range(1, 9)])


def test_lengths_of_first_runs_have_the_probabilities_of_permutations():
    orders = list(itertools.permutations(range(8)))
    counts = tests.first_runs(np.array(orders, np.uint32).ravel())
    assert tests.judge_first_runs(counts).statistic == pytest.approx(0, abs=1e-20)


def test_gaps_are_those_between_low_words():
    low, high = 2**28 - 1, 2**28
    words = np.array([high, low, low, high, high, low, *[high] * 200, low, high], np.uint32)
    counts = tests.gaps(words)
    assert {length: count for length, count in enumerate(counts) if count} == {0: 1, 2: 1, tests.LONGEST_GAP: 1}
    # As many of each as expected.
    expected = (1 / 16) * (15 / 16) ** np.arange(tests.LONGEST_GAP)
    assert tests.judge_gaps(1e6 * np.append(expected, 1 - expected.sum())).statistic == pytest.approx(0, abs=1e-9)


def test_maxima_are_in_cells_of_equal_probability():
    words = some_words()
    greatest = [max(eight) for eight in words.reshape(-1, 8).tolist()]
    edges = [2**32 * (cell / 1024) ** (1 / 8) for cell in range(1025)]
    np.testing.assert_array_equal(tests.maxima(words), np.histogram(greatest, edges)[0])


def test_collisions_are_pairs_without_an_urn_of_their_own():
    words = some_words(2**15)
    urns = [(int(a) >> 17, int(b) >> 17) for a, b in words.reshape(-1, 2)]
    assert tests.collisions(words) == len(urns) - len(set(urns)) > 0


def test_expected_collisions_are_exact():
    pairs, urns = 1000, 2**30
    exact = pairs - urns * (1 - (1 - 1 / urns) ** pairs)
    found = tests.judge_collisions(0, 2 * pairs, 7)
    assert found.below == pytest.approx(math.exp(-7 * exact), rel=1e-4)


def test_equal_spacings_are_those_of_each_batch_of_birthdays(monkeypatch):
    monkeypatch.setattr(tests, "BIRTHDAYS", 256)
    words = some_words(4 * 512)
    equal = 0
    for batch in words.reshape(4, 256, 2).tolist():
        days = sorted((a % 2**26) * 2**26 + b % 2**26 for a, b in batch)
        spacings = sorted(b - a for a, b in itertools.pairwise(days))
        equal += sum(a == b for a, b in itertools.pairwise(spacings))
    assert tests.equal_spacings(words) == equal > 0


def test_eight_equal_spacings_are_expected_in_each_batch():
    # 2^19 birthdays in a year of 2^52 days: (2^19)^3 / 2^54. Two batches in each of three chunks.
    assert math.log(tests.judge_spacings(0, 2**21, 3).below) == pytest.approx(-6 * 8)


class Shown(jaxenvs.Environment):
    """It shows what it drew."""

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(0.0, 1.0, (4,))

    @property
    def action_space(self):
        return gymnasium.spaces.Discrete(2)

    def draw_start(self, key, shape=()):
        return jax.random.uniform(key, (*shape, 4))

    def draw(self, key, shape=()):
        return jax.random.uniform(key, (*shape, 4))

    def start(self, draws):
        return draws, draws

    def transition(self, state, action, draws):
        return draws, jaxenvs.Step(draws, draws[0], draws[0] < 0)


def test_keys_of_steps_are_those_with_which_environments_draw():
    envs, key = jaxenvs.make_vec(Shown(), 6), jaxenvs.random.fast(jax.random.key(2))
    state, obs = envs.reset(key)
    seen = jaxenvs.rollout(envs, lambda key, obs: jnp.zeros(6, jnp.int32), key, state, obs, 3)[2].final_obs
    drawn = [jax.random.uniform(streams.rollouts_key(key, step), (6, 4)) for step in range(3)]
    np.testing.assert_array_equal(seen, jnp.stack(drawn))


@pytest.mark.parametrize("sequence", ["(4, n), draws and steps of each of 1024 environments", *SHORT])
def test_sequences_are_words_of_fast_keys_in_their_order(sequence):
    words, key = words_of("fast", sequence), jaxenvs.random.fast(jax.random.key(5))
    if sequence == SHORT[0]:
        drawn = [streams.drawn(jaxenvs.random.fast(jax.random.key(5 + seed)), (4, 2**8)) for seed in range(3)]
        np.testing.assert_array_equal(words.reshape(4, 2**8, -1)[..., :3], np.stack(drawn, axis=-1))
        return
    envs = streams.SEQUENCES[sequence].shape[1]
    drawn = np.stack([streams.drawn(streams.rollouts_key(key, step), (4, envs)) for step in range(2)])
    if sequence == SHORT[1]:
        np.testing.assert_array_equal(words.reshape(-1, 4, envs)[:2], drawn)
    else:
        np.testing.assert_array_equal(words.reshape(envs, -1)[:, :8], drawn.reshape(8, envs).T)


@pytest.fixture
def one_sequence(monkeypatch, tmp_path):
    monkeypatch.setattr(quality, "SEQUENCES", {SHORT[0]: streams.SEQUENCES[SHORT[0]]})
    monkeypatch.setattr(quality, "RESULTS", tmp_path)
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    return lambda: json.loads((tmp_path / "quality.json").read_text())


def test_rows_of_the_same_test_are_replaced(one_sequence):
    both = ["--only", "runs", "gaps", "--generators", "fast", "Weyl sequence", "--draws", "1e6"]
    quality.main(both)
    first = one_sequence()
    assert [(row["test"], row["generator"]) for row in first["rows"]] == [
        ("runs", "fast"),
        ("runs", "Weyl sequence"),
        ("gaps", "fast"),
        ("gaps", "Weyl sequence"),
    ]
    assert [len(row["beyond"]) for row in first["rows"]] == [0, 1, 0, 1]
    assert first["summary"]["fast"]["draws"] == 2 * 2**20
    quality.main(["--only", "gaps", "--generators", "fast", "--draws", "3e6"])
    again = one_sequence()
    assert [row["draws"] for row in again["rows"]] == [2**20, 2**20, 3 * 2**20, 2**20]
    assert [again["rows"][place]["p"] for place in (0, 1, 3)] == [first["rows"][place]["p"] for place in (0, 1, 3)]


def test_what_is_beyond_the_threshold_is_tested_again(one_sequence, monkeypatch):
    monkeypatch.setitem(quality.GENERATORS, "fast", streams.GENERATORS["8 rounds"])
    quality.main(["--only", "bits", "--generators", "fast", "--draws", "1e6"])
    (row,) = one_sequence()["rows"]
    assert row["beyond"] == [SHORT[0]]
    again = row["again"][SHORT[0]]
    assert again["draws"] == 10 * row["draws"]
    assert 0 < again["p"] != row["p"][SHORT[0]]


@pytest.mark.parametrize("draws", ["0", "-1e6", "nan", "inf", "many"])
def test_impossible_numbers_of_draws_are_refused_by_value(draws, capsys):
    with pytest.raises(SystemExit):
        quality.main([f"--draws={draws}"])
    assert f"must be a number of at least 1, such as 1e6, got '{draws}'" in capsys.readouterr().err
