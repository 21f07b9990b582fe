import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from jaxenvs.spaces import contains
from train import presets  # noqa: F401 - all algorithms declare what they act in
from train.floor.distributions import Categoricals
from train.floor.heads import (
    check_actions,
    choices,
    distribution_over,
    features,
    log_reach,
    num_features,
    num_outputs,
    to_action,
)

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])
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


@pytest.mark.parametrize(
    ("space", "count"),
    [(spaces.Discrete(4), 4), (spaces.Discrete(4, start=2), 4), (spaces.Box(-1.0, 1.0, (3,)), 3),
     (spaces.Box(0.0, 2.0, (2, 3)), 6), (spaces.Box(-1.0, 1.0, ()), 1),
     (spaces.Box(-1, 5, (2,), np.int32), 14), (spaces.MultiDiscrete([2, 3]), 5), (spaces.MultiBinary(3), 6)],
)  # fmt: skip
def test_a_policy_puts_out_one_number_per_choice_or_axis(space, count):
    assert num_outputs(space) == count


@pytest.mark.parametrize(
    "space",
    [spaces.Box(-np.inf, np.inf, (1,)), spaces.Box(0.0, np.inf, (1,)),
     spaces.Box(np.array([-1.0, -np.inf], np.float32), np.ones(2, np.float32)),
     spaces.Box(0, 255, (64, 64), np.uint8), spaces.Discrete(5000), spaces.Dict({"a": spaces.Discrete(2)})],
    ids=["unbounded", "half-bounded", "one axis unbounded", "pixels", "5000 choices", "Dict"],
)  # fmt: skip
def test_action_spaces_that_no_policy_fits_are_refused_by_name(space):
    with pytest.raises(TypeError, match=f"must be a bounded Box of floats, or choices .* got {type(space).__name__}"):
        num_outputs(space)


@EITHER
def test_choices_are_counted_from_the_start_of_the_space(transform):
    found = transform(lambda choice: to_action(spaces.Discrete(3, start=-1), choice))(jnp.array([0, 1, 2]))
    assert found.tolist() == [-1, 0, 1] and found.dtype == jnp.int32


SEVERAL = [
    (spaces.MultiDiscrete([2, 3]), [0, 0], [1, 2]),
    (spaces.MultiDiscrete([2, 3], start=[5, -1]), [5, -1], [6, 1]),
    (spaces.MultiBinary(2), [0, 0], [1, 1]),
    (spaces.Box(np.array([-3, 7], np.int16), np.array([0, 8], np.int16), dtype=np.int16), [-3, 7], [0, 8]),
]


@pytest.mark.parametrize(("space", "first", "last"), SEVERAL)
def test_several_choices_are_counted_from_their_lower_bounds(space, first, last):
    sizes = np.array(choices(space))
    found = [to_action(space, jnp.array(sample)) for sample in ([0, 0], sizes - 1)]
    assert [x.tolist() for x in found] == [first, last]
    assert all(bool(contains(space, x)) for x in found)


@pytest.mark.parametrize("space", [space for space, _, _ in SEVERAL])
def test_several_choices_are_what_a_space_of_several_gets(space):
    assert isinstance(distribution_over(space, jnp.zeros(num_outputs(space)), jnp.zeros(0)), Categoricals)


@EITHER
def test_numbers_from_minus_1_to_1_are_spread_over_the_box(transform):
    box = spaces.Box(np.array([2.0, -4.0], np.float32), np.array([6.0, 0.0], np.float32))
    found = transform(lambda x: to_action(box, x))(jnp.array([[-1.0, -1.0], [0.0, 0.5], [1.0, 1.0]]))
    assert found.tolist() == [[2.0, -4.0], [4.0, -1.0], [6.0, 0.0]]


def test_numbers_beyond_are_clipped_to_the_box():
    found = to_action(spaces.Box(0.0, 4.0, (1,)), jnp.array([[-3.0], [7.0]]))
    assert found.tolist() == [[0.0], [4.0]]


@pytest.mark.parametrize("leading", [(), (5,), (4, 5)])
def test_actions_have_the_shape_of_the_box_after_the_leading_axes(leading):
    assert to_action(spaces.Box(-1.0, 1.0, (2, 3)), jnp.zeros((*leading, 6))).shape == (*leading, 2, 3)


def test_an_action_of_a_box_without_axes_has_none():
    assert to_action(spaces.Box(-1.0, 1.0, ()), jnp.zeros((5, 1))).shape == (5,)


def test_actions_have_the_dtype_of_the_box():
    assert to_action(spaces.Box(-1.0, 1.0, (1,), np.float32), jnp.zeros((5, 1))).dtype == jnp.float32


@pytest.mark.parametrize(
    "algorithm, space, refusal",
    [
        ("ppo", spaces.Discrete(2), None),
        ("dqn", spaces.Discrete(2), None),
        ("td3", spaces.Box(-1.0, 1.0, (2,)), None),
        ("dqn", spaces.MultiDiscrete([2, 3]), r"dqn needs actions in Discrete, got MultiDiscrete.*; use ppo"),
        ("pqn", spaces.Box(-1.0, 1.0, (2,)), r"pqn needs actions in Discrete, got Box.*; use ppo or sac or td3"),
        ("sac", spaces.Discrete(2), r"sac needs actions in a Box of bounded floats, got Disc.*; use dqn or ppo or pqn"),
        ("dqn", spaces.Box(-np.inf, np.inf, (2,)), r"the action space must be a bounded Box of floats, or choices"),
    ],
)
def test_a_space_that_an_algorithm_cannot_act_in_is_refused_with_those_that_can(algorithm, space, refusal):
    if refusal is None:
        return check_actions(algorithm, space)
    with pytest.raises(TypeError, match=refusal):
        check_actions(algorithm, space)


@pytest.mark.parametrize(("low", "high"), [(np.full((2, 3), -2.0), np.full((2, 3), 6.0)), ([0.0, -1.0], [50.0, 3.0])])
def test_log_reach_is_the_change_of_a_log_density_by_the_map_onto_the_box(low, high):
    space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))
    slopes = jax.jacobian(lambda unit: to_action(space, unit).ravel())(jnp.full(num_outputs(space), 0.3))
    assert float(log_reach(space)) == pytest.approx(np.linalg.slogdet(np.asarray(slopes))[1], rel=1e-5)
