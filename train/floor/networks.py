"""Multilayer perceptrons as plain pytrees."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp


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
