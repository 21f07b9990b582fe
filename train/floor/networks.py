"""Networks as flax modules: an affine layer that is fast on CPUs, perceptrons, and convolutions for pictures.

A network is a body, which any `flax.linen` module f32[..., inputs] -> f32[..., width] can be, and an affine head.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from gymnasium import spaces

ACTIVATIONS = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "elu": nn.elu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "sigmoid": nn.sigmoid,
    "linear": lambda x: x,
}
#: Names that `body` knows.
NETWORKS = "mlp", "cnn", "small-cnn"


def orthogonal(scale):
    """flax's initialiser of orthogonal kernels, whose batches under `vmap` are drawn one after the other.

    XLA:CPU spreads a batch of decompositions over its threads, and waits for them in one of these. Where as many
    programs or layers do so as there are threads, all of them wait for ever (jaxlib 0.10.2).
    """
    draw = nn.initializers.orthogonal(scale)

    def init(key, shape, dtype=jnp.float32):
        return jax.custom_batching.sequential_vmap(lambda key: draw(key, shape, dtype))(key)

    return init


class Dense(nn.Module):
    """An affine layer whose samples are columns, f32[inputs, samples] -> f32[features, samples].

    Kernels are orthogonal at first and biases 0 (Saxe et al. 2014; gains as in Andrychowicz et al. 2021). Gradients are
    by reverse mode only (`jax.grad`, `jax.vjp`).
    """

    features: int
    #: Gain of the orthogonal kernel.
    scale: float = math.sqrt(2)
    #: Subtract from a sample's outputs their mean, as `LayerNorm` needs it: from kernel and bias, which are smaller.
    centred: bool = False

    @nn.compact
    def __call__(self, columns):
        kernel = self.param("kernel", orthogonal(self.scale), (columns.shape[0], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if self.centred:
            kernel, bias = kernel - kernel.mean(1, keepdims=True), bias - bias.mean()
        return _affine(kernel, bias, columns)


class LayerNorm(nn.Module):
    """Divides each sample by its root mean square, and scales and shifts it: f32[features, samples] -> the same.

    After `Dense(centred=True)`, that is layer normalisation (Ba et al. 2016, arXiv:1607.06450) with flax's names and
    its epsilon of 1e-6. Gradients are by reverse mode only.
    """

    @nn.compact
    def __call__(self, columns):
        features = columns.shape[:1]
        scale = self.param("scale", nn.initializers.ones_init(), features)
        bias = self.param("bias", nn.initializers.zeros_init(), features)
        return _normalised(scale, bias, columns)


class MLP(nn.Module):
    """Affine layers with an activation after each, f32[..., inputs] -> f32[..., hidden[-1]]."""

    hidden: tuple[int, ...] = (64, 64)
    #: One of `ACTIVATIONS`.
    activation: str = "tanh"
    #: Normalise each layer's outputs before the activation (Ba et al. 2016).
    layer_norm: bool = False

    @nn.compact
    def __call__(self, x):
        columns = _columns(x)
        for width in self.hidden:
            columns = Dense(width, centred=self.layer_norm)(columns)
            if self.layer_norm:
                columns = LayerNorm()(columns)
            columns = ACTIVATIONS[self.activation](columns)
        return _rows(columns, x)


class CNN(nn.Module):
    """Convolutions and an affine layer, f32[..., height * width * channels] -> f32[..., hidden].

    The defaults are the network of Mnih et al. 2015 (Nature 518) for 84 x 84 pictures.
    """

    #: Height, width and channels of a picture, whose numbers come as one flat vector.
    shape: tuple[int, int, int]
    channels: tuple[int, ...] = (32, 64, 64)
    kernels: tuple[int, ...] = (8, 4, 3)
    strides: tuple[int, ...] = (4, 2, 1)
    hidden: int = 512
    activation: str = "relu"

    @nn.compact
    def __call__(self, x):
        activation = ACTIVATIONS[self.activation]
        picture = x.reshape(-1, *self.shape)
        for channels, kernel, stride in zip(self.channels, self.kernels, self.strides, strict=True):
            convolution = nn.Conv(
                channels, (kernel, kernel), (stride, stride), padding="VALID", precision=_precision(),
                kernel_init=orthogonal(math.sqrt(2)),
            )  # fmt: skip
            picture = activation(convolution(picture))
        columns = Dense(self.hidden)(picture.reshape(picture.shape[0], -1).T)
        return _rows(activation(columns), x)


class Network(nn.Module):
    """A body and an affine head, f32[..., inputs] -> f32[..., outputs]."""

    body: nn.Module
    outputs: int
    #: Gain of the head's orthogonal kernel.
    scale: float = 1.0

    @nn.compact
    def __call__(self, x):
        hidden = self.body(x)
        return _rows(Dense(self.outputs, self.scale, name="head")(_columns(hidden)), hidden)


def ensemble(count, body, outputs, scale=1.0) -> Any:
    """Several networks of one form with parameters of their own, such as twin critics.

    Returns:
        A module f32[..., inputs] -> f32[count, ..., outputs]; its parameters have an axis of `count` in front.
    """
    shared: Any = None
    together = nn.vmap(
        Network, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=shared, axis_size=count
    )
    return together(body, outputs, scale)


def body(network, space, *, hidden, activation, layer_norm=False):
    """The body of a network.

    Args:
        network: a `flax.linen` module, which is taken as it is, or one of `NETWORKS`: "mlp" is `MLP(hidden,
            activation, layer_norm)`, "cnn" the network of Mnih et al. 2015, "small-cnn" one for small pictures (one
            layer of 16 convolutions of 3 x 3 and an affine layer of 128, as Young and Tian 2019 for MinAtar).
        space: the observation space; pictures are Boxes of the shape (height, width, channels).
        hidden: widths of the perceptron's layers.
        activation: one of `ACTIVATIONS`.
        layer_norm: whether the perceptron normalises the outputs of its layers; the others never do.
    Raises:
        ValueError: for another network or activation, or a space that is not one of pictures large enough.
    """
    if isinstance(network, nn.Module):
        return network
    check(network, hidden, activation)
    if network == "mlp":
        return MLP(tuple(hidden), activation, layer_norm)
    least = 36 if network == "cnn" else 3
    if not (isinstance(space, spaces.Box) and len(space.shape) == 3 and min(space.shape[:2]) >= least):
        raise ValueError(
            f"network={network!r} needs observations of the shape (height, width, channels) of at least {least} x "
            f"{least}, got {space}"
        )
    height, width, channels = space.shape
    if network == "cnn":
        return CNN((height, width, channels))
    return CNN((height, width, channels), channels=(16,), kernels=(3,), strides=(1,), hidden=128)


def body_of(config, envs):
    """The body for the observations of `envs` that a `Config` names by network, hidden, activation and layer_norm."""
    return body(
        config.network, envs.single_observation_space, hidden=config.hidden, activation=config.activation,
        layer_norm=config.layer_norm,
    )  # fmt: skip


def check(network, hidden, activation):
    """Refuses names and widths that `body` does not know, with a ValueError that says which there are."""
    if not (network in NETWORKS if isinstance(network, str) else isinstance(network, nn.Module)):
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, or a flax.linen module, got {network!r}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if min(hidden, default=1) < 1:
        raise ValueError(f"hidden must be widths of at least 1, got {hidden}")


def init(network, key, inputs) -> Any:
    """The initial parameters of a network for vectors of `inputs` numbers: a dict, with flax's names."""
    return network.init(key, jnp.zeros((1, inputs)))["params"]


def apply(network, params, x) -> Any:
    """`network` with these parameters at f32[..., inputs]."""
    return network.apply({"params": params}, x)


def _columns(x):
    # Samples are columns inside: XLA:CPU multiplies these matrices, and their gradients, at full speed.
    return x.reshape(-1, x.shape[-1]).T


def _rows(columns, like):
    rows = columns.T
    return rows.reshape(*like.shape[:-1], rows.shape[-1])


@jax.custom_vjp
def _affine(kernel, bias, columns):
    """f32[inputs, samples] -> f32[outputs, samples]."""
    # XLA:CPU's fast kernels take no transposed left operand. A barrier keeps the compiler from taking back a transpose.
    outputs = _product("oi,is->os", jax.lax.optimization_barrier(kernel.T), columns)
    return outputs + jnp.broadcast_to(bias[:, None], outputs.shape)


def _affine_forward(kernel, bias, columns):
    return _affine(kernel, bias, columns), (kernel, columns)


def _affine_backward(saved, slope):
    kernel, columns = saved
    inputs, outputs = kernel.shape
    # Nor do they take a left operand of fewer rows than the right one has: 20 times slower for a layer of two outputs.
    if outputs < inputs:
        change = _product("is,os->io", columns, slope)
    else:
        change = jax.lax.optimization_barrier(_product("os,is->oi", slope, columns)).T
    return change, slope.sum(1), _product("io,os->is", kernel, slope)


_affine.defvjp(_affine_forward, _affine_backward)


@jax.custom_vjp
def _normalised(scale, bias, columns):
    """f32[features, samples] -> f32[features, samples]."""
    return _normalised_forward(scale, bias, columns)[0]


def _normalised_forward(scale, bias, columns):
    factor = jax.lax.rsqrt(_mean(columns**2) + 1e-6)
    unit = columns * factor
    return unit * scale[:, None] + bias[:, None], (unit, factor, scale)


def _normalised_backward(saved, slope):
    unit, factor, scale = saved
    inner = slope * scale[:, None]
    change = factor * (inner - unit * _mean(inner * unit))
    return (slope * unit).sum(1), slope.sum(1), change


_normalised.defvjp(_normalised_forward, _normalised_backward)


def _mean(columns):
    """The mean of each column, f32[1, samples]."""
    # As a product: XLA:CPU sums columns one number at a time, far apart in memory, and takes five times as long.
    features = columns.shape[0]
    return _product("oi,is->os", jnp.full((1, features), 1 / features, columns.dtype), columns)


def _product(subscripts, left, right):
    return jnp.einsum(subscripts, left, right, precision=_precision())


def _precision() -> Any:
    """Float32, unless `jax_default_matmul_precision` asks for another precision: GPUs use TF32 by default."""
    asked = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    return "highest" if asked is None else None
