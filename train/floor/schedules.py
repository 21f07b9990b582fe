"""Rates that change over a run."""

import dataclasses

import jax.numpy as jnp


def linear(start, final_part, updates, horizon):
    """A rate that goes linearly from `start` to `final_part * start`.

    Args:
        start: the rate at first, f32[] or a float.
        final_part: the rate at the end, as a part of `start`.
        updates: i32[], updates made.
        horizon: updates over which the rate changes; it stays constant with 0.
    Returns:
        f32[].

    >>> import jax.numpy as jnp
    >>> float(linear(2.0, 0.5, jnp.int32(5), 10.0))
    1.5
    """
    done = jnp.clip(updates.astype(jnp.float32) / jnp.maximum(horizon, 1.0), 0.0, 1.0)
    done = jnp.where(horizon > 0, done, 0.0)
    return start * (1 - (1 - final_part) * done)


def scheduled(config, num_updates):
    """See `algorithm.Algorithm.scheduled`: a `schedule_updates` of 0 is the length of the run."""
    horizon = jnp.where(config.schedule_updates == 0, float(num_updates), config.schedule_updates)
    return dataclasses.replace(config, schedule_updates=horizon)


def learning_rate(config, updates):
    """The step size of a `Config` after this number of updates, f32[]."""
    return linear(config.learning_rate, config.final_learning_rate, updates, config.schedule_updates)


def exploration(config, updates):
    """The probability of a random action of a `Config` after this number of updates, f32[]."""
    horizon = config.exploration_fraction * config.schedule_updates
    return linear(config.epsilon, config.final_epsilon, updates, horizon)
