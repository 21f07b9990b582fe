"""Running discounted sums of rewards, and running moments of what a trainer sees."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


def discounted_sums(reward, done, start, *, gamma):
    """Running discounted sums of past rewards, G_t = gamma * G_{t-1} + r_t, restarted after each end.

    Args:
        reward: f32[T, N].
        done: bool[T, N], true where an episode ended with step t.
        start: f32[N], the sums carried in.
        gamma: discount per step, in [0, 1].
    Returns:
        (f32[T, N], f32[N]): the sums, and those to carry on.
    """

    chex.assert_equal_shape([reward, done])
    chex.assert_equal_shape([reward[0], start])

    def forward(total, inputs):
        reward_t, done_t = inputs
        total = gamma * total + reward_t
        return jnp.where(done_t, 0.0, total), total

    carried, sums = jax.lax.scan(forward, start, (reward, done))
    return sums, carried


class Moments(NamedTuple):
    """Running mean and variance of vectors, with the number of samples they stand for."""

    #: f32[...]
    mean: jax.Array
    #: f32[...]
    variance: jax.Array
    #: f32[]
    count: jax.Array


def init_moments(shape):
    """Moments of nothing yet: mean 0, variance 1."""
    return Moments(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))


def update_moments(moments, samples):
    """Adds samples to running moments (Chan, Golub, LeVeque 1983).

    Args:
        moments: `Moments` of shape s.
        samples: f32[..., *s].
    Returns:
        `Moments`.
    """
    chex.assert_shape(samples, (..., *moments.mean.shape))
    chex.assert_type([samples, moments.mean], float)
    axes = tuple(range(samples.ndim - moments.mean.ndim))
    new = jnp.float32(samples.size // max(moments.mean.size, 1))
    mean = samples.mean(axes)
    variance = samples.var(axes)
    count = moments.count + new
    delta = mean - moments.mean
    weight = new / count
    # Variance as a weighted mean, not a growing sum of squares: float32 keeps its digits however long the run.
    spread = (1 - weight) * moments.variance + weight * variance + weight * (1 - weight) * delta**2
    return Moments(moments.mean + weight * delta, spread, count)


def standardise(moments, x, *, clip):
    """(x - mean) / std, cut to [-clip, clip].

    The cut and a least standard deviation of 1e-4 keep features that have hardly varied yet from exploding.
    """
    mean, std = moments.mean, jnp.maximum(jnp.sqrt(moments.variance), 1e-4)
    return jnp.clip((x - jnp.broadcast_to(mean, x.shape)) / jnp.broadcast_to(std, x.shape), -clip, clip)
