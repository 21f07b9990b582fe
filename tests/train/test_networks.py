import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from train.networks import features, init_mlp, mlp, num_features

BOX = spaces.Box(-1.0, 1.0, (2, 3), np.float32)
NESTED = spaces.Dict(
    {
        "where": spaces.Box(-1.0, 1.0, (2,), np.float32),
        "which": spaces.Tuple((spaces.Discrete(3, start=-1), spaces.MultiBinary(2))),
        "levels": spaces.MultiDiscrete([2, 3]),
    }
)
EVERY = [
    pytest.param(BOX, 6, id="Box"),
    pytest.param(spaces.Box(0, 255, (4, 4), np.uint8), 16, id="uint8 Box"),
    pytest.param(spaces.Box(-1.0, 1.0, (), np.float32), 1, id="scalar Box"),
    pytest.param(spaces.Discrete(5), 5, id="Discrete"),
    pytest.param(spaces.Discrete(5, start=-2), 5, id="Discrete with start"),
    pytest.param(spaces.MultiBinary(4), 4, id="MultiBinary"),
    pytest.param(spaces.MultiBinary((2, 2)), 4, id="MultiBinary of two axes"),
    pytest.param(spaces.MultiDiscrete([2, 3]), 5, id="MultiDiscrete"),
    pytest.param(spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])), 14, id="MultiDiscrete of two axes"),
    pytest.param(spaces.MultiDiscrete([2, 3], start=[5, -1]), 5, id="MultiDiscrete with start"),
    pytest.param(NESTED, 12, id="nested Dict and Tuple"),
]


def element(space, shape=()):
    for size in reversed(shape):
        space = batch_space(space, size)
    space.seed(0)
    return jax.tree.map(jnp.asarray, space.sample())


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


@pytest.mark.parametrize(("space", "count"), EVERY)
def test_num_features_counts(space, count):
    assert num_features(space) == count


@pytest.mark.parametrize("leading", [(), (2, 3)])
@pytest.mark.parametrize(("space", "count"), EVERY)
def test_features_are_one_flat_float32_vector_after_the_leading_axes(space, count, leading):
    found = jax.eval_shape(lambda obs: features(space, obs), element(space, leading))
    assert found.shape == (*leading, count) and found.dtype == jnp.float32


@pytest.mark.parametrize(("space", "count"), EVERY)
def test_features_of_a_batch_are_the_batch_of_features(space, count):
    both = jax.jit(lambda obs: (features(space, obs), jax.vmap(lambda one: features(space, one))(obs)))
    np.testing.assert_array_equal(*both(element(space, (5,))))


def test_numbers_stay_as_they_are():
    obs = jnp.arange(6.0).reshape(2, 3)
    assert features(BOX, obs).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_choice_is_one_hot_from_the_start_of_its_space():
    assert features(spaces.Discrete(3, start=-1), jnp.array([-1, 0, 1])).tolist() == np.eye(3).tolist()


def test_several_choices_are_one_hot_each():
    found = features(spaces.MultiDiscrete([2, 3], start=[5, -1]), jnp.array([6, -1]))
    assert found.tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]


def test_a_table_of_choices_is_read_row_by_row():
    found = features(spaces.MultiDiscrete(np.full((2, 2), 2)), jnp.array([[0, 1], [1, 0]]))
    assert found.tolist() == [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0]


def test_parts_of_a_composite_follow_each_other_in_the_order_of_the_space():
    obs = {
        "where": jnp.array([0.25, -0.5]),
        "which": (jnp.int32(1), jnp.array([0, 1], jnp.int8)),
        "levels": jnp.array([1, 0]),
    }
    by_part = {
        "where": [0.25, -0.5],
        "which": [0.0, 0.0, 1.0, 0.0, 1.0],
        "levels": [0.0, 1.0, 1.0, 0.0, 0.0],
    }
    assert features(NESTED, obs).tolist() == [x for name in NESTED.spaces for x in by_part[name]]


def test_different_elements_have_different_features():
    found = np.asarray(features(NESTED, element(NESTED, (50,))))
    assert len(np.unique(found, axis=0)) == 50


@pytest.mark.parametrize(
    "space", [spaces.Text(5), spaces.Sequence(spaces.Discrete(2)), spaces.Dict({"words": spaces.Text(5)})],
    ids=["Text", "Sequence", "Text within Dict"],
)  # fmt: skip
@pytest.mark.parametrize("function", [num_features, lambda space: features(space, {"words": jnp.zeros(3)})])
def test_spaces_of_no_fixed_shape_are_refused_by_name(space, function):
    with pytest.raises(TypeError, match=r"no features are defined for the observation space (Text|Sequence)"):
        function(space)
