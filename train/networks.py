"""Multilayer perceptrons as plain pytrees, and the flat features that they read."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces


class Dense(NamedTuple):
    """One affine layer."""

    #: f32[inputs, outputs]
    weight: jax.Array
    #: f32[outputs]
    bias: jax.Array


def init_mlp(key, sizes, *, last_scale):
    """Orthogonal weights and zero biases (Saxe et al. 2014; gains as in Andrychowicz et al. 2021).

    Args:
        key: a JAX key.
        sizes: widths of the layers, inputs and outputs included.
        last_scale: gain of the last layer; the hidden ones have sqrt(2).
    Returns:
        A tuple of `Dense`.
    """
    keys = jax.random.split(key, len(sizes) - 1)
    scales = [math.sqrt(2)] * (len(sizes) - 2) + [last_scale]
    layers = zip(keys, scales, sizes[:-1], sizes[1:], strict=True)
    return tuple(Dense(_orthogonal(k, scale, n, m), jnp.zeros(m)) for k, scale, n, m in layers)


def mlp(layers, x):
    """tanh between the layers, none after the last; f32[..., inputs] -> f32[..., outputs].

    Gradients are by reverse mode only (`jax.grad`, `jax.vjp`).
    """
    # Samples are columns inside: XLA:CPU multiplies these matrices, and their gradients, at full speed.
    columns = x.reshape(-1, x.shape[-1]).T
    for layer in layers[:-1]:
        columns = jnp.tanh(_affine(layer, columns))
    outputs = _affine(layers[-1], columns).T
    return outputs.reshape(*x.shape[:-1], outputs.shape[-1])


def num_features(space):
    """How many numbers `features` makes of an observation."""
    match space:
        case spaces.Box() | spaces.MultiBinary():
            return math.prod(space.shape)
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
        case spaces.Dict():
            return sum(num_features(part) for part in space.spaces.values())
        case spaces.Tuple():
            return sum(num_features(part) for part in space.spaces)
    raise TypeError(f"no features are defined for the observation space {space!r}")


def features(space, obs):
    """An observation as one flat vector: numbers as they are, choices one-hot, composite spaces concatenated.

    Args:
        space: a Box, Discrete, MultiBinary, MultiDiscrete, Dict or Tuple.
        obs: its element, with any leading axes.
    Returns:
        f32[..., num_features(space)].
    Raises:
        TypeError: for another space.
    """
    match space:
        case spaces.Box() | spaces.MultiBinary():
            leading = obs.shape[: obs.ndim - len(space.shape)]
            return obs.astype(jnp.float32).reshape(*leading, math.prod(space.shape))
        case spaces.Discrete():
            return jax.nn.one_hot(obs - space.start, int(space.n))
        case spaces.MultiDiscrete():
            flat = (obs - jnp.broadcast_to(space.start, obs.shape)).reshape(
                *obs.shape[: obs.ndim - len(space.shape)], -1
            )
            hot = [jax.nn.one_hot(flat[..., i], int(n)) for i, n in enumerate(space.nvec.flat)]
            return jnp.concatenate(hot, axis=-1)
        case spaces.Dict():
            return jnp.concatenate([features(part, obs[name]) for name, part in space.spaces.items()], axis=-1)
        case spaces.Tuple():
            return jnp.concatenate([features(p, o) for p, o in zip(space.spaces, obs, strict=True)], axis=-1)
    raise TypeError(f"no features are defined for the observation space {space!r}")


@jax.custom_vjp
def _affine(layer, columns):
    """f32[inputs, samples] -> f32[outputs, samples]."""
    # XLA:CPU's fast kernels take no transposed left operand. A barrier keeps the compiler from taking back a transpose.
    outputs = _product("oi,is->os", jax.lax.optimization_barrier(layer.weight.T), columns)
    return outputs + jnp.broadcast_to(layer.bias[:, None], outputs.shape)


def _affine_forward(layer, columns):
    return _affine(layer, columns), (layer, columns)


def _affine_backward(kept, slope):
    layer, columns = kept
    inputs, outputs = layer.weight.shape
    # Nor do they take a left operand of fewer rows than the right one has: 20 times slower for a layer of two outputs.
    if outputs < inputs:
        weight = _product("is,os->io", columns, slope)
    else:
        weight = jax.lax.optimization_barrier(_product("os,is->oi", slope, columns)).T
    return Dense(weight, slope.sum(1)), _product("io,os->is", layer.weight, slope)


def _product(subscripts, left, right):
    """A matrix product in float32, unless `jax_default_matmul_precision` asks for another: GPUs use TF32 by default."""
    asked = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return jnp.einsum(subscripts, left, right, precision="highest" if asked is None else None)


_affine.defvjp(_affine_forward, _affine_backward)


def _orthogonal(key, scale, rows, columns):
    return jax.nn.initializers.orthogonal(scale)(key, (rows, columns), jnp.float32)
