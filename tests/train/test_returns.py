import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.returns import discounted_sums, gae, init_moments, standardise, update_moments

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])

REWARD, VALUE, NEXT_VALUE = (1.0, 2.0, 3.0), (0.5, 1.0, 1.5), (1.0, 1.5, 2.0)


def column(*numbers):
    return jnp.array(numbers)[:, None]


def advantages(transform=lambda f: f, *, terminated=(0, 0, 0), truncated=(0, 0, 0), gamma=0.5, lambda_=0.5):
    ends = column(*map(bool, terminated)), column(*map(bool, truncated))
    found = transform(gae)(
        column(*REWARD), column(*VALUE), column(*NEXT_VALUE), *ends, gamma=gamma, lambda_=lambda_
    )  # fmt: skip
    return found[:, 0].tolist()


@EITHER
def test_gae_of_three_steps_is_what_the_equation_gives_by_hand(transform):
    assert advantages(transform) == [1.59375, 2.375, 2.5]


@EITHER
def test_truncation_keeps_the_next_value_and_cuts_the_trace(transform):
    assert advantages(transform, truncated=(0, 1, 0)) == [1.4375, 1.75, 2.5]


@EITHER
def test_termination_drops_the_next_value_and_cuts_the_trace(transform):
    assert advantages(transform, terminated=(0, 1, 0)) == [1.25, 1.0, 2.5]


def test_an_end_that_is_both_is_a_termination():
    assert advantages(terminated=(0, 1, 0), truncated=(0, 1, 0)) == advantages(terminated=(0, 1, 0))


def test_lambda_0_gives_one_step_errors():
    assert advantages(lambda_=0.0) == [1.0, 1.75, 2.5]


def test_lambda_1_gives_discounted_sums_less_the_value():
    # 1 + 2/2 + 3/4 + 2/8 - 0.5
    assert advantages(lambda_=1.0)[0] == 2.5


def test_discount_0_gives_rewards_less_values():
    assert advantages(gamma=0.0) == [0.5, 1.0, 1.5]


@EITHER
def test_gae_equals_a_loop_over_steps_and_environments(transform):
    rng = np.random.default_rng(0)
    reward, value, next_value = rng.normal(size=(3, 50, 7)).astype(np.float32)
    terminated, truncated = rng.random((2, 50, 7)) < 0.1
    assert (terminated & truncated).any() and (terminated & ~truncated).any() and (truncated & ~terminated).any()
    expected = np.zeros((50, 7))
    for n in range(7):
        later = 0.0
        for t in reversed(range(50)):
            successor = 0.0 if terminated[t, n] else 0.97 * next_value[t, n]
            trace = 0.0 if terminated[t, n] or truncated[t, n] else 0.97 * 0.9 * later
            later = reward[t, n] + successor - value[t, n] + trace
            expected[t, n] = later
    found = transform(gae)(reward, value, next_value, terminated, truncated, gamma=0.97, lambda_=0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gae_takes_its_rates_as_a_batch():
    arrays = [jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.zeros((4, 2), bool), jnp.zeros((4, 2), bool)]
    batch = jax.vmap(lambda gamma: gae(*arrays, gamma=gamma, lambda_=0.5))(jnp.array([0.5, 0.9]))
    np.testing.assert_allclose(batch[1], gae(*arrays, gamma=0.9, lambda_=0.5), rtol=1e-6)


@EITHER
def test_gae_refuses_arrays_of_different_shapes_and_names_them(transform):
    with pytest.raises(ValueError, match=r"one shape \[T, N\], got \[\(3, 1\), \(3, 2\)\]"):
        transform(gae)(
            jnp.ones((3, 2)), jnp.ones((3, 1)), jnp.ones((3, 2)), jnp.zeros((3, 2), bool), jnp.zeros((3, 2), bool),
            gamma=0.9, lambda_=0.9,
        )  # fmt: skip


@EITHER
def test_discounted_sums_carry_in_and_carry_on(transform):
    sums, carried = transform(discounted_sums)(
        column(1.0, 2.0), column(False, False), jnp.array([4.0]), gamma=0.5
    )  # fmt: skip
    assert sums[:, 0].tolist() == [3.0, 3.5] and carried.tolist() == [3.5]


@EITHER
def test_discounted_sums_begin_anew_after_an_end(transform):
    sums, carried = transform(discounted_sums)(
        column(1.0, 2.0, 3.0), column(False, True, False), jnp.array([4.0]), gamma=0.5
    )
    assert sums[:, 0].tolist() == [3.0, 3.5, 3.0] and carried.tolist() == [3.0]


def test_an_end_at_the_last_step_carries_nothing_on():
    sums, carried = discounted_sums(column(1.0, 2.0), column(False, True), jnp.array([4.0]), gamma=0.5)
    assert sums[:, 0].tolist() == [3.0, 3.5] and carried.tolist() == [0.0]


def test_discounted_sums_of_two_halves_are_those_of_the_whole():
    rng = np.random.default_rng(1)
    reward, done = rng.normal(size=(20, 3)).astype(np.float32), rng.random((20, 3)) < 0.2
    whole, last = discounted_sums(reward, done, jnp.zeros(3), gamma=0.9)
    first, carried = discounted_sums(reward[:8], done[:8], jnp.zeros(3), gamma=0.9)
    second, carried = discounted_sums(reward[8:], done[8:], carried, gamma=0.9)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-6)
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
