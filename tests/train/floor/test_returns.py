import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.floor.returns import gae, n_step

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
    with pytest.raises(ValueError, match=r"different shapes.*\(3, 1\)"):
        transform(gae)(
            jnp.ones((3, 2)), jnp.ones((3, 1)), jnp.ones((3, 2)), jnp.zeros((3, 2), bool), jnp.zeros((3, 2), bool),
            gamma=0.9, lambda_=0.9,
        )  # fmt: skip


def looked_ahead(n, *, terminated=(0, 0, 0, 0), truncated=(0, 0, 0, 0), transform=lambda f: f):
    """[(return, next observation, terminated, discount)] of rewards 1, 2, 4, 8 and a discount of a half."""
    ends = column(*map(bool, terminated)), column(*map(bool, truncated))
    found = transform(n_step, static_argnames="n") if transform is jax.jit else n_step
    found = found(column(1.0, 2.0, 4.0, 8.0), column(10.0, 20.0, 30.0, 40.0)[..., None], *ends, gamma=0.5, n=n)
    assert found.next_features.shape == (5 - n, 1, 1)
    columns = found.reward[:, 0], found.next_features[:, 0, 0], found.terminated[:, 0], found.discount[:, 0]
    return list(zip(*(column.tolist() for column in columns), strict=True))


@EITHER
def test_returns_of_several_steps_are_those_by_hand(transform):
    assert looked_ahead(1) == [(1, 10, 0, 0.5), (2, 20, 0, 0.5), (4, 30, 0, 0.5), (8, 40, 0, 0.5)]
    assert looked_ahead(3, transform=transform) == [(3.0, 30, 0, 0.125), (6.0, 40, 0, 0.125)]


def test_returns_of_several_steps_stop_at_a_termination():
    assert looked_ahead(3, terminated=(0, 1, 0, 0)) == [(2.0, 20, 1, 0.25), (2.0, 20, 1, 0.5)]


def test_returns_of_several_steps_bootstrap_at_a_truncation_from_its_own_observation():
    assert looked_ahead(3, truncated=(0, 1, 0, 0)) == [(2.0, 20, 0, 0.25), (2.0, 20, 0, 0.5)]


def test_a_later_episodes_end_does_not_reach_an_earlier_one():
    assert looked_ahead(3, truncated=(1, 0, 0, 0), terminated=(0, 1, 0, 0))[0] == (1, 10, 0, 0.5)


@pytest.mark.parametrize("n", [0, 5])
def test_a_look_ahead_that_the_steps_do_not_have_is_refused(n):
    with pytest.raises(ValueError, match=f"n must be from 1 to the 4 steps, got {n}"):
        looked_ahead(n)
