import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from train.floor import networks

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
NETWORK = networks.Network(networks.MLP((64, 32)), 3, scale=0.01)
BOX = spaces.Box(-1.0, 1.0, (5,))


def params(network=NETWORK, inputs=5, seed=0):
    return networks.init(network, jax.random.key(seed), inputs)


def kernels(tree):
    return [x for x in jax.tree.leaves(tree) if x.ndim == 2]


def test_parameters_have_flaxs_names_and_the_sizes_asked_for():
    shapes = jax.tree.map(jnp.shape, params())
    assert shapes == {
        "body": {
            "Dense_0": {"kernel": (5, 64), "bias": (64,)},
            "Dense_1": {"kernel": (64, 32), "bias": (32,)},
        },
        "head": {"kernel": (32, 3), "bias": (3,)},
    }


def test_biases_are_0_at_first():
    assert all((x == 0).all() for x in jax.tree.leaves(params()) if x.ndim == 1)


@pytest.mark.parametrize("layer", ["Dense_0", "Dense_1"])
def test_hidden_kernels_are_orthogonal_with_gain_root_2(layer):
    kernel = params()["body"][layer]["kernel"]
    product = kernel @ kernel.T if kernel.shape[0] < kernel.shape[1] else kernel.T @ kernel
    np.testing.assert_allclose(product, 2.0 * np.eye(min(kernel.shape)), atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_the_heads_kernel_is_orthogonal_with_the_gain_asked_for(scale):
    kernel = params(networks.Network(networks.MLP((64, 32)), 3, scale))["head"]["kernel"]
    np.testing.assert_allclose(kernel.T @ kernel, scale**2 * np.eye(3), atol=1e-5 * scale**2)


def test_layers_differ_from_each_other():
    tree = params(networks.Network(networks.MLP((8, 8)), 1), inputs=8)["body"]
    assert not np.allclose(tree["Dense_0"]["kernel"], tree["Dense_1"]["kernel"])


def test_two_seeds_differ_in_every_layer():
    assert not any(np.allclose(a, b) for a, b in zip(kernels(params(seed=0)), kernels(params(seed=1)), strict=True))


def test_a_network_of_no_hidden_layer_is_affine():
    network = networks.Network(networks.MLP(()), 1)
    tree, x = params(network, 2), jnp.array([[1.0, 2.0], [2.0, 4.0]])
    outputs = networks.apply(network, tree, x)
    np.testing.assert_allclose(2.0 * outputs[0], outputs[1], rtol=1e-6)


def by_hand(activation):
    network = networks.Network(networks.MLP((1,), activation), 1)
    layer = lambda weight, bias: {"kernel": jnp.array([[weight]]), "bias": jnp.array([bias])}  # noqa: E731
    return network, {"body": {"Dense_0": layer(2.0, 1.0)}, "head": layer(3.0, -1.0)}


@EITHER
@pytest.mark.parametrize(
    ("activation", "hidden"),
    [("tanh", math.tanh(-2.0)), ("relu", 0.0), ("linear", -2.0), ("sigmoid", 1 / (1 + math.exp(2.0)))],
)
def test_the_activation_stands_between_the_layers_and_not_after_the_last(transform, activation, hidden):
    network, tree = by_hand(activation)
    found = transform(lambda tree, x: networks.apply(network, tree, x))(tree, jnp.array([-1.5]))
    np.testing.assert_allclose(found, [3.0 * hidden - 1.0], rtol=1e-5)


@pytest.mark.parametrize("leading", [(), (7,), (4, 7)])
def test_a_network_keeps_leading_axes(leading):
    assert networks.apply(NETWORK, params(), jnp.ones((*leading, 5))).shape == (*leading, 3)


def test_a_batchs_outputs_are_those_of_each_sample():
    x, tree = jax.random.normal(jax.random.key(1), (6, 5)), params()
    one_by_one = jax.vmap(lambda row: networks.apply(NETWORK, tree, row))(x)
    np.testing.assert_allclose(networks.apply(NETWORK, tree, x), one_by_one, atol=1e-6)


class Plain(nn.Module):
    """The same perceptron in flax's own layers."""

    @nn.compact
    def __call__(self, x):
        for name, width in (("Dense_0", 64), ("Dense_1", 32)):
            x = jnp.tanh(nn.Dense(width, name=name)(x))
        return nn.Dense(3, name="head")(x)


@EITHER
def test_outputs_and_gradients_are_those_of_flaxs_own_layers(transform):
    tree = params(networks.Network(networks.MLP((64, 32)), 3, scale=1.0))
    flat = {**tree["body"], "head": tree["head"]}
    x = jax.random.normal(jax.random.key(1), (128, 5))
    ours = transform(jax.value_and_grad(lambda tree, x: (networks.apply(NETWORK, tree, x) ** 2).mean(), (0, 1)))
    theirs = jax.value_and_grad(lambda tree, x: (networks.apply(Plain(), tree, x) ** 2).mean(), (0, 1))
    value, (gradient, slope) = ours(tree, x)
    expected, (their_gradient, their_slope) = theirs(flat, x)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slope, their_slope, rtol=1e-4, atol=1e-7)
    flat_gradient = {**gradient["body"], "head": gradient["head"]}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), flat_gradient, their_gradient)


def test_layer_norm_standardises_over_the_features():
    network = networks.MLP((16,), "linear", layer_norm=True)
    x = jax.random.normal(jax.random.key(0), (4, 5))
    outputs = networks.apply(network, networks.init(network, jax.random.key(1), 5), x)
    np.testing.assert_allclose(outputs.mean(-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(outputs.std(-1), 1.0, rtol=1e-3)


def test_kernels_of_a_batch_are_decomposed_one_by_one():
    def draw(key):
        return networks.init(NETWORK, key, 5)

    keys = jax.random.split(jax.random.key(0), 4)
    program = str(jax.make_jaxpr(jax.vmap(draw))(keys))
    # A batch of decompositions can bring XLA:CPU's threads to a standstill.
    shapes = re.findall(r"f32\[([\d,]+)\] = qr\[", program)
    assert shapes and all(shape.count(",") == 1 for shape in shapes)
    together = jax.jit(jax.vmap(draw))(keys)
    for index, key in enumerate(keys):
        jax.tree.map(
            lambda many, one, index=index: np.testing.assert_allclose(many[index], one, atol=1e-6), together, draw(key)
        )


@EITHER
def test_normalised_layers_and_their_gradients_are_flaxs(transform):
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x):
            for width in (64, 32):
                x = nn.relu(nn.LayerNorm(epsilon=1e-6)(nn.Dense(width)(x)))
            return x

    def draw(leaf):
        return leaf + 0.3 * jax.random.normal(jax.random.key(leaf.size), leaf.shape)

    ours, theirs = networks.MLP((64, 32), "relu", layer_norm=True), Plain()
    tree, x = (
        jax.tree.map(draw, networks.init(ours, jax.random.key(0), 5)),
        jax.random.normal(jax.random.key(1), (128, 5)),
    )

    def value(network, tree, x):
        return (networks.apply(network, tree, x) ** 2).mean()

    found = transform(jax.value_and_grad(lambda tree, x: value(ours, tree, x), (0, 1)))(tree, x)
    expected = jax.value_and_grad(lambda tree, x: value(theirs, tree, x), (0, 1))(tree, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6), found, expected)


def test_twins_are_two_networks_of_their_own():
    twins = networks.ensemble(2, networks.MLP((8,)), 1)
    tree, x = networks.init(twins, jax.random.key(0), 5), jnp.ones((3, 5))
    outputs = networks.apply(twins, tree, x)
    assert outputs.shape == (2, 3, 1) and not np.allclose(outputs[0], outputs[1])
    for index in range(2):
        single = jax.tree.map(lambda leaf, index=index: leaf[index], tree)
        alone = networks.apply(networks.Network(networks.MLP((8,)), 1), single, x)
        np.testing.assert_allclose(outputs[index], alone, atol=1e-6)


def test_gradients_of_twins_are_those_of_each():
    twins, single = networks.ensemble(2, networks.MLP((8,)), 1), networks.Network(networks.MLP((8,)), 1)
    tree, x = networks.init(twins, jax.random.key(0), 5), jax.random.normal(jax.random.key(1), (16, 5))
    together = jax.grad(lambda tree: (networks.apply(twins, tree, x) ** 2).sum())(tree)
    for index in range(2):
        member = jax.tree.map(lambda leaf, index=index: leaf[index], tree)
        alone = jax.grad(lambda tree: (networks.apply(single, tree, x) ** 2).sum())(member)
        jax.tree.map(
            lambda a, b, index=index: np.testing.assert_allclose(a[index], b, rtol=1e-4, atol=1e-5), together, alone
        )


def test_the_network_of_mnih_et_al_has_their_sizes():
    network = networks.body("cnn", spaces.Box(0, 255, (84, 84, 4), np.uint8), hidden=(64,), activation="tanh")
    shapes = jax.eval_shape(lambda key: networks.init(network, key, 84 * 84 * 4), jax.random.key(0))
    sizes = [shapes[name]["kernel"].shape for name in ("Conv_0", "Conv_1", "Conv_2", "Dense_0")]
    assert sizes == [(8, 8, 4, 32), (4, 4, 32, 64), (3, 3, 64, 64), (7 * 7 * 64, 512)]


def test_a_convolution_sees_neighbours_as_the_picture_has_them():
    network = networks.CNN((3, 4, 1), channels=(1,), kernels=(3,), strides=(1,), hidden=1, activation="linear")
    tree = networks.init(network, jax.random.key(0), 12)
    kernel = jnp.zeros((3, 3, 1, 1)).at[0, 1].set(1.0)
    tree = {**tree, "Conv_0": {"kernel": kernel, "bias": jnp.zeros(1)}}
    tree["Dense_0"] = {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.zeros(1)}
    picture = jnp.arange(12.0)  # rows 0 to 3, 4 to 7, 8 to 11
    # Two places: the middle of their top rows are pixels 1 and 2.
    np.testing.assert_allclose(networks.apply(network, tree, picture), [1.0 + 10 * 2.0])


@pytest.mark.parametrize("network", ["cnn", "small-cnn"])
@pytest.mark.parametrize("space", [BOX, spaces.Discrete(3), spaces.Box(0, 1, (2, 2, 3))])
def test_convolutions_refuse_what_is_no_picture(network, space):
    with pytest.raises(ValueError, match=r"needs observations of the shape \(height, width, channels\) of at least"):
        networks.body(network, space, hidden=(64,), activation="tanh")


def test_an_unknown_network_or_activation_is_refused_with_those_that_there_are():
    with pytest.raises(
        ValueError, match=r"network must be one of mlp, cnn, small-cnn, or a flax\.linen module, got 'rnn'"
    ):
        networks.check("rnn", (64,), "tanh")
    with pytest.raises(ValueError, match=r"activation must be one of tanh, relu, .*, got 'Tanh'"):
        networks.check("mlp", (64,), "Tanh")


def test_anybodys_module_is_taken_as_it_is():
    class Own(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.relu(nn.Dense(7)(x))

    own = Own()
    assert networks.body(own, BOX, hidden=(64,), activation="tanh") is own
    network = networks.Network(own, 2)
    assert networks.apply(network, networks.init(network, jax.random.key(0), 5), jnp.ones((4, 5))).shape == (4, 2)
