"""Distributions over actions: what a policy network's outputs mean."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.spaces import bounds

_MOST_CHOICES = 4096


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


class Categoricals(NamedTuple):
    """Several independent choices, of `sizes` possibilities each."""

    #: f32[..., sum(sizes)], unnormalised log-probabilities, one choice after the other.
    logits: jax.Array
    sizes: tuple[int, ...]

    def sample(self, key):
        """i32[..., choices]"""
        keys = jax.random.split(key, len(self.sizes))
        return jnp.stack([part.sample(k) for part, k in zip(self._parts(), keys, strict=True)], axis=-1)

    def mode(self):
        """i32[..., choices], the likeliest of each."""
        return jnp.stack([part.mode() for part in self._parts()], axis=-1)

    def log_prob(self, choices):
        """f32[...], of i32[..., choices]."""
        parts = [part.log_prob(choices[..., index]) for index, part in enumerate(self._parts())]
        return jnp.sum(jnp.stack(parts), axis=0)

    def entropy(self):
        """f32[...], nats."""
        return jnp.sum(jnp.stack([part.entropy() for part in self._parts()]), axis=0)

    def _parts(self):
        ends = np.cumsum(self.sizes).tolist()
        return [Categorical(self.logits[..., end - size : end]) for size, end in zip(self.sizes, ends, strict=True)]


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


def choices(space):
    """How many possibilities each choice of an action has; none where actions are no choices.

    Returns:
        A tuple of ints: one for Discrete, one an axis for MultiDiscrete, MultiBinary and a Box of integers.
    """
    match space:
        case spaces.Discrete():
            return (int(space.n),)
        case spaces.MultiDiscrete() | spaces.MultiBinary():
            low, high = bounds(space)
        case spaces.Box() if space.dtype.kind in "iu" and space.is_bounded():
            low, high = bounds(space)
        case _:
            return ()
    return tuple((np.ravel(high).astype(np.int64) - np.ravel(low) + 1).tolist())


def num_outputs(space):
    """How many numbers a policy network puts out for an action space.

    Raises:
        TypeError: for a space that is neither made of choices nor a Box of bounded floats, or has too many choices.
    """
    if 0 < sum(choices(space)) <= _MOST_CHOICES:
        return sum(choices(space))
    if isinstance(space, spaces.Box) and space.dtype.kind == "f" and space.is_bounded():
        return math.prod(space.shape)
    raise TypeError(
        f"the action space must be a bounded Box of floats, or choices (Discrete, MultiDiscrete, MultiBinary, a Box of "
        f"integers) of at most {_MOST_CHOICES} possibilities together, got {space!r}"
    )


def distribution_over(space, outputs, log_std):
    """What a network's outputs f32[..., num_outputs(space)] mean; `log_std` f32[axes] is used for a Box of floats."""
    match choices(space):
        case ():
            return Normal(outputs, log_std)
        case (_,) if isinstance(space, spaces.Discrete):
            return Categorical(outputs)
        case sizes:
            return Categoricals(outputs, sizes)


def to_action(space, sample):
    """A distribution's sample as an action.

    Choices are counted from the space's start, or lower bound. A normal's sample lives where the box is [-1, 1] on
    each axis: it is clipped to that, and mapped onto the box; learning goes on from the unclipped sample.
    """
    if isinstance(space, spaces.Discrete):
        return sample + jnp.int32(space.start)
    low, high = bounds(space)
    if choices(space):
        return sample.reshape(*sample.shape[:-1], *space.shape).astype(low.dtype) + low
    unit = jnp.clip(sample, -1.0, 1.0).reshape(*sample.shape[:-1], *space.shape)
    centre, reach = (low + high) / np.float32(2), (high - low) / np.float32(2)
    return jnp.broadcast_to(centre, unit.shape) + jnp.broadcast_to(reach, unit.shape) * unit
