"""Distributions over actions: what a policy network's outputs mean."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.spaces import bounds


class Categorical(NamedTuple):
    """One of n choices."""

    #: f32[..., n], unnormalised log-probabilities.
    logits: jax.Array

    def sample(self, key):
        """i32[...]"""
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self):
        """i32[...], the likeliest choice."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, choice):
        """f32[...], of i32[...]."""
        log_probs = jax.nn.log_softmax(self.logits)
        # A masked sum in place of a gather: its gradient needs no scatter.
        return jnp.sum(jax.nn.one_hot(choice, log_probs.shape[-1]) * log_probs, axis=-1)

    def entropy(self):
        """f32[...], nats."""
        log_probs = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


class Normal(NamedTuple):
    """Independent normals over the last axis."""

    #: f32[..., n]
    mean: jax.Array
    #: f32[n] or f32[..., n]
    log_std: jax.Array

    def sample(self, key):
        """f32[..., n]"""
        return self.mean + self._spread(jnp.exp(self.log_std)) * jax.random.normal(key, self.mean.shape)

    def mode(self):
        """f32[..., n]"""
        return self.mean

    def log_prob(self, x):
        """f32[...], of f32[..., n]."""
        z = (x - self.mean) * self._spread(jnp.exp(-self.log_std))
        return jnp.sum(-0.5 * z**2 - self._spread(self.log_std) - 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self):
        """f32[...], nats."""
        return jnp.sum(self._spread(self.log_std) + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def _spread(self, per_axis):
        return jnp.broadcast_to(per_axis, self.mean.shape)


def num_outputs(space):
    """How many numbers a policy network puts out for an action space.

    Raises:
        TypeError: for a space that is neither Discrete nor a Box of bounded floats.
    """
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.Box) and space.dtype.kind == "f" and space.is_bounded():
        return math.prod(space.shape)
    raise TypeError(f"the action space must be Discrete or a bounded Box of floats, got {space!r}")


def to_action(space, sample):
    """A distribution's sample as an action.

    A choice is counted from the space's start. A normal's sample lives where the box is [-1, 1] on each axis: it is
    clipped to that, and mapped onto the box; learning goes on from the unclipped sample.
    """
    if isinstance(space, spaces.Discrete):
        return sample + jnp.int32(space.start)
    low, high = bounds(space)
    unit = jnp.clip(sample, -1.0, 1.0).reshape(*sample.shape[:-1], *space.shape)
    centre, reach = (low + high) / np.float32(2), (high - low) / np.float32(2)
    return jnp.broadcast_to(centre, unit.shape) + jnp.broadcast_to(reach, unit.shape) * unit
