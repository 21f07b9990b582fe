"""Distributions over actions: what a policy network's outputs mean."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


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
        # A masked sum instead of a gather: its gradient needs no scatter.
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


class TanhNormal(NamedTuple):
    """Independent normals over the last axis, squashed by tanh into (-1, 1) (Haarnoja et al. 2018, arXiv:1812.05905).

    x = tanh(u),   u = mean + std * noise,   log p(x) = log N(u; mean, std) - sum log(1 - x**2)   (appendix C)
    """

    #: f32[..., n], before squashing.
    mean: jax.Array
    #: f32[..., n], before squashing.
    log_std: jax.Array

    def sample(self, key):
        """f32[..., n]"""
        return self.squashed(jax.random.normal(key, self.mean.shape))

    def mode(self):
        """f32[..., n], the squashed mean; the density can be higher elsewhere."""
        return jnp.tanh(self.mean)

    def squashed(self, noise):
        """f32[..., n], the sample that standard normals f32[..., n] stand for."""
        return jnp.tanh(self.mean + jnp.exp(self.log_std) * noise)

    def log_prob_at(self, noise):
        """f32[...], of `squashed(noise)`; exact where tanh rounds to 1, where a function of the sample cannot be."""
        u = self.mean + jnp.exp(self.log_std) * noise
        # log(1 - tanh(u)**2), without a difference of numbers that are almost equal.
        correction = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return jnp.sum(-0.5 * noise**2 - self.log_std - 0.5 * math.log(2 * math.pi) - correction, axis=-1)
