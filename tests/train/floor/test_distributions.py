import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from train.floor.distributions import Categorical, Categoricals, Normal, TanhNormal

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])

PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
CHOICE = Categorical(jnp.log(PROBABILITIES) + 5.0)
KEY = jax.random.key(3)
PAIR = Normal(jnp.array([[1.0, -2.0], [0.0, 3.0]]), jnp.log(jnp.array([0.5, 2.0])))


@EITHER
def test_log_prob_of_a_choice_is_the_log_of_its_share(transform):
    found = transform(jax.vmap(CHOICE.log_prob))(jnp.arange(4))
    np.testing.assert_allclose(found, np.log(PROBABILITIES), rtol=1e-5)


@EITHER
def test_entropy_of_choices_is_scipys(transform):
    assert transform(CHOICE.entropy)() == pytest.approx(scipy.stats.entropy(PROBABILITIES), rel=1e-5)


def test_entropy_of_equal_choices_is_the_log_of_their_number():
    assert Categorical(jnp.zeros((3, 4))).entropy().tolist() == pytest.approx([math.log(4)] * 3)


def test_a_certain_choice_has_entropy_0_and_a_finite_gradient():
    value, slope = jax.value_and_grad(lambda logits: Categorical(logits).entropy())(jnp.array([0.0, 200.0]))
    assert value == 0.0 and jnp.isfinite(slope).all()


def test_choices_are_drawn_as_often_as_their_share():
    draws = jax.vmap(CHOICE.sample)(jax.random.split(jax.random.key(0), 20_000))
    counts = np.bincount(draws, minlength=4)
    assert scipy.stats.chisquare(counts, 20_000 * PROBABILITIES / PROBABILITIES.sum()).pvalue > 1e-3


def test_choices_of_a_batch_are_drawn_apart():
    draws = Categorical(jnp.zeros((10_000, 2))).sample(jax.random.key(0))
    assert scipy.stats.binomtest(int(draws.sum()), 10_000).pvalue > 1e-3


def test_mode_of_choices_is_the_likeliest():
    assert Categorical(jnp.array([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])).mode().tolist() == [1, 0]


@pytest.mark.parametrize("method", ["mode", "sample"])
def test_choices_are_int32(method):
    pi = Categorical(jnp.zeros((5, 3)))
    found = pi.mode() if method == "mode" else pi.sample(jax.random.key(0))
    assert found.shape == (5,) and found.dtype == jnp.int32


@EITHER
def test_log_prob_of_numbers_is_the_sum_of_scipys(transform):
    x = np.array([[0.3, 1.0], [-0.7, 2.5]], np.float32)
    expected = scipy.stats.norm.logpdf(x, PAIR.mean, [0.5, 2.0]).sum(-1)
    np.testing.assert_allclose(transform(PAIR.log_prob)(x), expected, rtol=1e-5)


@EITHER
def test_entropy_of_numbers_is_the_sum_of_scipys(transform):
    expected = scipy.stats.norm.entropy(0.0, [0.5, 2.0]).sum()
    np.testing.assert_allclose(transform(PAIR.entropy)(), [expected, expected], rtol=1e-5)


@pytest.mark.parametrize(("axis", "mean", "std"), [(0, 1.0, 0.5), (1, -2.0, 2.0)])
def test_numbers_are_drawn_as_scipy_distributes_them(axis, mean, std):
    draws = Normal(jnp.broadcast_to(PAIR.mean[0], (20_000, 2)), PAIR.log_std).sample(jax.random.key(0))
    assert scipy.stats.kstest(draws[:, axis], scipy.stats.norm(mean, std).cdf).pvalue > 1e-3


def test_axes_are_drawn_independently():
    draws = Normal(jnp.zeros((20_000, 2)), jnp.zeros(2)).sample(jax.random.key(0))
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03


def test_mode_of_numbers_is_the_mean():
    assert PAIR.mode().tolist() == [[1.0, -2.0], [0.0, 3.0]]


def test_a_deviation_of_its_own_for_every_sample_is_taken():
    each = Normal(jnp.zeros((2, 1)), jnp.log(jnp.array([[1.0], [2.0]])))
    expected = scipy.stats.norm.logpdf(1.0, 0.0, [1.0, 2.0])
    np.testing.assert_allclose(each.log_prob(jnp.ones((2, 1))), expected, rtol=1e-5)


@EITHER
def test_several_choices_are_independent(transform):
    logits = jnp.log(jnp.array([0.2, 0.8, 0.5, 0.3, 0.2]))
    pair, alone = Categoricals(logits, (2, 3)), (Categorical(logits[:2]), Categorical(logits[2:]))
    both = jnp.array([1, 2])
    assert float(transform(pair.log_prob)(both)) == pytest.approx(np.log(0.8 * 0.2), rel=1e-5)
    assert float(transform(pair.entropy)()) == pytest.approx(sum(float(each.entropy()) for each in alone), rel=1e-5)
    assert pair.mode().tolist() == [1, 0]


def test_several_choices_are_drawn_as_often_as_their_shares_multiply():
    pair = Categoricals(jnp.log(jnp.array([0.2, 0.8, 0.5, 0.3, 0.2])), (2, 3))
    drawn = np.asarray(jax.vmap(pair.sample)(jax.random.split(KEY, 20_000)))
    counts = np.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=6)
    expected = 20_000 * np.outer([0.2, 0.8], [0.5, 0.3, 0.2]).ravel()
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


SQUASHED = TanhNormal(jnp.array([[1.0, -2.0], [0.0, 0.5]]), jnp.log(jnp.array([[0.5, 0.3], [1.0, 0.1]])))


@EITHER
def test_log_prob_of_a_squashed_sample_is_scipys_with_the_correction_of_tanh(transform):
    normals = jax.random.normal(KEY, (50, 2, 2))
    sample, log_prob = (transform(jax.vmap(f))(normals) for f in (SQUASHED.squashed, SQUASHED.log_prob_at))
    x = np.asarray(sample, np.float64)
    std = np.exp(np.asarray(SQUASHED.log_std))
    density = scipy.stats.norm.logpdf(np.arctanh(x), np.asarray(SQUASHED.mean), std)
    np.testing.assert_allclose(log_prob, (density - np.log1p(-(x**2))).sum(-1), rtol=1e-3, atol=2e-3)


def test_density_of_a_squashed_normal_integrates_to_1():
    pi = TanhNormal(jnp.array([0.7]), jnp.log(jnp.array([0.8])))
    x = np.linspace(-0.9999, 0.9999, 200_001)
    normals = (np.arctanh(x) - 0.7) / 0.8
    density = np.exp(np.asarray(jax.vmap(pi.log_prob_at)(jnp.array(normals[:, None], jnp.float32)), np.float64))
    assert np.trapezoid(density, x) == pytest.approx(1.0, abs=1e-3)


def test_log_prob_where_tanh_rounds_to_1_is_finite_and_has_a_gradient():
    def at(mean):
        return TanhNormal(jnp.array([mean]), jnp.zeros(1)).log_prob_at(jnp.zeros(1))

    value, slope = jax.value_and_grad(at)(50.0)
    # log N - log(1 - tanh(50)**2) = -log(2 pi) / 2 - (log 4 - 100)
    assert value == pytest.approx(-0.5 * math.log(2 * math.pi) - math.log(4) + 100) and slope == pytest.approx(2.0)


def test_squashed_samples_are_those_of_standard_normals_and_the_mode_is_the_squashed_mean():
    normals = jax.random.normal(KEY, (2, 2))
    assert SQUASHED.sample(KEY).tolist() == SQUASHED.squashed(normals).tolist()
    np.testing.assert_allclose(SQUASHED.mode(), np.tanh(np.asarray(SQUASHED.mean)), rtol=1e-6)
