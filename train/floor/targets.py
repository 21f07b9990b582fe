"""Targets of values, and target networks: parameters that follow others slowly."""

import chex
import jax
import jax.numpy as jnp


def polyak(targets, params, rate):
    """Moves targets a part of the way to the parameters (Lillicrap et al. 2016, arXiv:1509.02971, algorithm 1).

        target' = (1 - rate) * target + rate * param

    Args:
        targets, params: pytrees of one structure.
        rate: in [0, 1]; 1 copies.
    Returns:
        A pytree like `targets`.
    """
    return jax.tree.map(lambda target, param: target + rate * (param - target), targets, params)


def bootstrapped(reward, next_value, terminated, discount):
    """Targets of values: y = reward + discount * next_value, and the reward alone where the episode terminated.

    Args:
        reward, next_value, discount: f32[...].
        terminated: bool[...]; a truncation does not count.
    Returns:
        f32[...].
    """
    chex.assert_equal_shape([reward, next_value, terminated, discount])
    return reward + jnp.where(terminated, 0.0, discount * next_value)
