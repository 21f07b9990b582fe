import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.floor.moments import discounted_sums, init_moments, standardise, update_moments

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])


def column(*numbers):
    return jnp.array(numbers)[:, None]


@EITHER
def test_discounted_sums_carry_in_and_carry_on(transform):
    sums, carried = transform(discounted_sums)(
        column(1.0, 2.0), column(False, False), jnp.array([4.0]), gamma=0.5
    )  # fmt: skip
    assert sums[:, 0].tolist() == [3.0, 3.5] and carried.tolist() == [3.5]


@EITHER
def test_discounted_sums_begin_again_after_an_end(transform):
    sums, carried = transform(discounted_sums)(
        column(1.0, 2.0, 3.0), column(False, True, False), jnp.array([4.0]), gamma=0.5
    )
    assert sums[:, 0].tolist() == [3.0, 3.5, 3.0] and carried.tolist() == [3.0]


def test_an_end_at_the_last_step_carries_nothing_on():
    sums, carried = discounted_sums(column(1.0, 2.0), column(False, True), jnp.array([4.0]), gamma=0.5)
    assert sums[:, 0].tolist() == [3.0, 3.5] and carried.tolist() == [0.0]


def test_discounted_sums_of_two_halves_are_those_of_the_integer():
    rng = np.random.default_rng(1)
    reward, done = rng.normal(size=(20, 3)).astype(np.float32), rng.random((20, 3)) < 0.2
    finished, last = discounted_sums(reward, done, jnp.zeros(3), gamma=0.9)
    first, carried = discounted_sums(reward[:8], done[:8], jnp.zeros(3), gamma=0.9)
    second, carried = discounted_sums(reward[8:], done[8:], carried, gamma=0.9)
    np.testing.assert_allclose(jnp.concatenate([first, second]), finished, rtol=1e-6)
    np.testing.assert_allclose(carried, last, rtol=1e-6)


def test_moments_of_nothing_are_mean_0_and_variance_1():
    moments = init_moments((2,))
    assert moments.mean.tolist() == [0.0, 0.0] and moments.variance.tolist() == [1.0, 1.0] and moments.count == 0


@EITHER
def test_first_samples_replace_the_moments_of_nothing(transform):
    moments = transform(update_moments)(init_moments((2,)), jnp.array([[1.0, 10.0], [3.0, 10.0]]))
    assert moments.mean.tolist() == [2.0, 10.0] and moments.variance.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("chunks", [1, 2, 5, 60, 600])
def test_moments_are_those_of_all_samples_in_any_chunking(chunks):
    samples = np.random.default_rng(2).normal(3.0, [1.0, 20.0, 0.01], (600, 3)).astype(np.float32)
    moments = init_moments((3,))
    for part in np.split(samples, chunks):
        moments = update_moments(moments, jnp.asarray(part))
    np.testing.assert_allclose(moments.mean, samples.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, samples.astype(np.float64).var(0), rtol=1e-3)


def test_moments_of_chunks_of_different_sizes_weigh_every_sample_alike():
    samples = np.random.default_rng(3).normal(2.0, 3.0, 1000).astype(np.float32)
    moments = init_moments(())
    for part in np.split(samples, [1, 3, 50, 700]):
        moments = update_moments(moments, jnp.asarray(part))
    np.testing.assert_allclose([moments.mean, moments.variance], [samples.mean(), samples.var()], rtol=1e-5)


def test_count_is_of_samples_not_of_numbers():
    moments = update_moments(init_moments((3,)), jnp.ones((4, 5, 3)))
    assert update_moments(moments, jnp.ones((7, 3))).count == 27


def test_moments_read_all_leading_axes_as_samples():
    samples = jnp.arange(24.0).reshape(3, 4, 2)
    moments = update_moments(init_moments((2,)), samples)
    np.testing.assert_allclose(moments.mean, [11.0, 12.0])
    np.testing.assert_allclose(moments.variance, np.arange(0.0, 24.0, 2).var() * np.ones(2), rtol=1e-6)


def test_a_million_samples_far_from_0_drift_little():
    samples = np.random.default_rng(4).normal(100.0, 1.0, (2000, 500)).astype(np.float32)
    moments, _ = jax.lax.scan(lambda moments, part: (update_moments(moments, part), None), init_moments(()), samples)
    exact = samples.astype(np.float64)
    assert moments.count == 1_000_000
    assert moments.mean == pytest.approx(exact.mean(), abs=1e-3)
    assert moments.variance == pytest.approx(exact.var(), rel=1e-3)


@EITHER
def test_standardise_takes_off_the_mean_and_divides_by_the_deviation(transform):
    moments = init_moments((2,))._replace(mean=jnp.array([1.0, 2.0]), variance=jnp.array([4.0, 0.25]))
    found = transform(standardise)(moments, jnp.array([[2.0, 2.0], [3.0, 1.0]]), clip=10.0)
    assert found.tolist() == [[0.5, 0.0], [1.0, -2.0]]


def test_standardise_cuts_on_both_sides():
    assert standardise(init_moments((2,)), jnp.array([-7.0, 7.0]), clip=5.0).tolist() == [-5.0, 5.0]


def test_standardise_of_a_feature_that_never_varied_is_finite():
    moments = update_moments(init_moments((1,)), jnp.full((10, 1), 3.0))
    np.testing.assert_allclose(standardise(moments, jnp.array([[3.0], [3.0001]]), clip=10.0), [[0], [1]], atol=0.01)
