"""Returns and advantages over time-major arrays, exact at terminations and at truncations."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp


def gae(reward, value, next_value, terminated, truncated, *, gamma, lambda_):
    """Generalised advantage estimates (Schulman et al. 2016, eq. 16).

        A_t = d_t + gamma * lambda * (1 - done_t) * A_{t+1},   d_t = r_t + gamma * (1 - terminated_t) * v'_t - v_t

    Args:
        reward, value, next_value: f32[T, N]; `next_value` is the value of the observation before any reset.
        terminated, truncated: bool[T, N].
        gamma: discount per step, in [0, 1].
        lambda_: trace decay, in [0, 1].
    Returns:
        f32[T, N].
    Raises:
        ValueError: at trace time, if the shapes differ.
        AssertionError: at trace time, for another kind of number.

    >>> import jax.numpy as jnp
    >>> on, off = jnp.array([[True]]), jnp.array([[False]])
    >>> one, two = jnp.array([[1.0]]), jnp.array([[2.0]])
    >>> float(gae(one, one, two, off, on, gamma=0.5, lambda_=1.0)[0, 0])    # truncated: the next value counts
    1.0
    >>> float(gae(one, one, two, on, off, gamma=0.5, lambda_=1.0)[0, 0])    # terminated: it does not
    0.0
    """
    chex.assert_equal_shape([reward, value, next_value, terminated, truncated], exception_type=ValueError)
    chex.assert_type([reward, value, next_value, terminated, truncated], [float, float, float, bool, bool])
    delta = reward + gamma * jnp.where(terminated, 0.0, next_value) - value
    decay = jnp.where(terminated | truncated, 0.0, gamma * lambda_)

    def back(advantage, inputs):
        delta_t, decay_t = inputs
        advantage = delta_t + decay_t * advantage
        return advantage, advantage

    return jax.lax.scan(back, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)[1]


class Bootstrap(NamedTuple):
    """What follows a step, as far as n steps look: a target is `reward + discount * value(next_features)`."""

    #: f32[T, N], the discounted sum of the rewards.
    reward: Any
    #: [T, N, ...], of the observation after the last of the steps, before any reset.
    next_features: Any
    #: bool[T, N], whether the episode terminated: then the target is the reward alone.
    terminated: Any
    #: f32[T, N], gamma to the power of the number of steps.
    discount: Any


def n_step(reward, next_features, terminated, truncated, *, gamma, n):
    """Returns of up to n steps, that no episode's end is crossed by (Sutton and Barto 2018, eq. 7.1).

        R_t = r_t + gamma * r_{t+1} + ... + gamma**(m - 1) * r_{t+m-1}

    m is n, or the number of steps up to the first end of an episode, that step included.

    Args:
        reward: f32[T, N].
        next_features: [T, N, ...], of the observations before any reset.
        terminated, truncated: bool[T, N].
        gamma: discount per step, in [0, 1].
        n: an int, at least 1.
    Returns:
        `Bootstrap` of the first T - n + 1 steps.
    Raises:
        ValueError: at trace time, if the shapes differ, or for an n that is not from 1 to T.
    """
    chex.assert_equal_shape([reward, terminated, truncated], exception_type=ValueError)
    chex.assert_equal_shape_prefix([reward, next_features], 2, exception_type=ValueError)
    count = reward.shape[0] - n + 1
    if n < 1 or count < 1:
        raise ValueError(f"n must be from 1 to the {reward.shape[0]} steps, got {n}")
    done = terminated | truncated
    one = jnp.full_like(reward, gamma)
    found = Bootstrap(*(x[n - 1 :] for x in (reward, next_features, terminated, one)))
    for first in reversed(range(n - 1)):
        now = Bootstrap(*(x[first : first + count] for x in (reward, next_features, terminated, one)))
        ends = done[first : first + count]
        longer = found._replace(reward=now.reward + gamma * found.reward, discount=gamma * found.discount)
        found = jax.tree.map(lambda a, b, ends=ends: _where(ends, a, b), now, longer)
    return found


def _where(condition, first, second):
    return jnp.where(condition.reshape(condition.shape + (1,) * (first.ndim - condition.ndim)), first, second)
