"""Exploration for learners of action values."""

import jax
import jax.numpy as jnp


def epsilon_greedy(key, values, epsilon):
    """The best action of each state, or with the probability epsilon any action, each being equally likely.

    Args:
        key: a JAX key.
        values: f32[..., actions].
        epsilon: f32[] or a float, in [0, 1]; with 0 the result is `argmax`.
    Returns:
        i32[...].
    """
    explore_key, choice_key = jax.random.split(key)
    leading, count = values.shape[:-1], values.shape[-1]
    explores = jax.random.uniform(explore_key, leading) < epsilon
    return jnp.where(explores, jax.random.randint(choice_key, leading, 0, count), best_action(values))


def at_random(key, shape, count):
    """i32[*shape], actions below `count`, each equally likely: what `epsilon_greedy` gives with an epsilon of 1."""
    return jax.random.randint(jax.random.split(key)[1], shape, 0, count)


def best_action(values):
    """i32[...], the first of the best actions of f32[..., actions]."""
    return jnp.argmax(values, axis=-1).astype(jnp.int32)


def taken(values, action):
    """The values of the actions that were taken.

    Args:
        values: f32[..., actions, n].
        action: i32[...].
    Returns:
        f32[..., n].
    """
    # A masked sum instead of a gather: its gradient needs no scatter.
    return jnp.sum(jax.nn.one_hot(action, values.shape[-2])[..., None] * values, axis=-2)
