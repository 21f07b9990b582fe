import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.floor.networks import init_mlp, mlp


@functools.cache
def layers(sizes=(5, 64, 32, 3), last_scale=0.01, seed=0):
    return init_mlp(jax.random.key(seed), sizes, last_scale=last_scale)


def test_layers_have_the_sizes_asked_for():
    assert [layer.weight.shape for layer in layers()] == [(5, 64), (64, 32), (32, 3)]


def test_biases_begin_at_0():
    assert all((layer.bias == 0).all() for layer in layers())


@pytest.mark.parametrize("index", [0, 1])
def test_hidden_weights_are_orthogonal_with_gain_root_2(index):
    weight = layers()[index].weight
    product = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(product, 2.0 * np.eye(min(weight.shape)), atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_last_weights_are_orthogonal_with_the_gain_asked_for(scale):
    weight = layers(last_scale=scale)[-1].weight
    np.testing.assert_allclose(weight.T @ weight, scale**2 * np.eye(3), atol=1e-5 * scale**2)


def test_layers_differ_from_each_other():
    first, second, _ = layers((8, 8, 8, 1))
    assert not np.allclose(first.weight, second.weight)


def test_two_seeds_differ_in_every_layer():
    assert not any(np.allclose(a.weight, b.weight) for a, b in zip(layers(seed=0), layers(seed=1), strict=True))


def test_a_network_of_no_hidden_layer_is_affine():
    only = layers((2, 1))
    x = jnp.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(2.0 * mlp(only, x)[0], mlp(only, x)[1], rtol=1e-6)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
def test_mlp_is_tanh_between_the_layers_and_none_after_the_last(transform):
    hand = layers((1, 1, 1))
    hand = [hand[0]._replace(weight=jnp.array([[2.0]]), bias=jnp.array([1.0])),
            hand[1]._replace(weight=jnp.array([[3.0]]), bias=jnp.array([-1.0]))]  # fmt: skip
    found = transform(mlp)(hand, jnp.array([0.5]))
    np.testing.assert_allclose(found, [3.0 * math.tanh(2.0) - 1.0], rtol=1e-6)


@pytest.mark.parametrize("leading", [(), (7,), (4, 7)])
def test_mlp_keeps_leading_axes(leading):
    assert jax.eval_shape(mlp, layers(), jnp.ones((*leading, 5))).shape == (*leading, 3)


def test_mlp_of_a_batch_is_the_batch_of_mlp():
    x = jax.random.normal(jax.random.key(1), (6, 5))
    one_by_one = jax.vmap(mlp, (None, 0))(layers(), x)
    np.testing.assert_allclose(mlp(layers(), x), one_by_one, atol=1e-6)
