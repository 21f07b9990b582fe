"""Losses of values: of means by a squared or Huber error, and of quantiles."""

import chex
import jax.numpy as jnp


def squared(error):
    """error**2 / 2."""
    return 0.5 * error**2


def huber(error, delta=1.0):
    """error**2 / 2 up to |error| = delta, and delta * (|error| - delta / 2) beyond (Huber 1964).

    >>> float(huber(0.5)), float(huber(-3.0))
    (0.125, 2.5)
    """
    size = jnp.abs(error)
    return jnp.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def quantile_loss(quantiles, targets, cost):
    """The loss of quantile regression (Dabney et al. 2018, arXiv:1710.10044, eq. 10).

        sum over i of the mean over j of |tau_i - 1[u_ij < 0]| * cost(u_ij),   u_ij = target_j - quantile_i

    The levels are the middles of n equal parts, tau_i = (i + 1/2) / n.

    Args:
        quantiles: f32[..., n].
        targets: f32[..., m], samples or quantiles of the distribution aimed at.
        cost: a function of the errors, such as `huber`; `jnp.abs` gives exact quantiles.
    Returns:
        f32[...].
    """
    chex.assert_equal_shape_prefix([quantiles, targets], quantiles.ndim - 1)
    count = quantiles.shape[-1]
    levels = (jnp.arange(count, dtype=jnp.float32) + 0.5) / count
    error = targets[..., None, :] - quantiles[..., :, None]
    weight = jnp.abs(jnp.broadcast_to(levels[:, None], error.shape) - (error < 0).astype(jnp.float32))
    return (weight * cost(error)).mean(-1).sum(-1)
