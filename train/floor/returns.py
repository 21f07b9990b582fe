"""Returns and advantages over time-major arrays, exact at terminations and at truncations."""

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
