"""`spaces.sample` and `spaces.contains`, compared with Gymnasium's own."""

# A sample is an array, or a dict or tuple of such: each test knows which.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, OneOf, Sequence, Text, Tuple

from jaxenvs.spaces import as_batch, as_element, bounds, check_host_value, contains, jax_dtype, sample

KEY = jax.random.key(0)
INF, HUGE = np.float32(np.inf), np.finfo(np.float32).max

SIMPLE = {
    "box": Box(-2.0, 3.0, (2, 3), np.float32),
    "box of different bounds": Box(np.array([-1, 10], np.float32), np.array([1, 30], np.float32), dtype=np.float32),
    "scalar box": Box(-2.0, 3.0, (), np.float32),
    "box of float16": Box(-2.0, 3.0, (4,), np.float16),
    "box of float64": Box(-2.0, 3.0, (4,), np.float64),
    "box of uint8": Box(0, 255, (3, 4), np.uint8),
    "box of int8": Box(-128, 127, (5,), np.int8),
    "box of int32": Box(np.array([-5, 7], np.int32), np.array([-3, 7], np.int32), dtype=np.int32),
    "box of int64": Box(-5, 5, (3,), np.int64),
    "box bounded below": Box(1.5, INF, (2,), np.float32),
    "box bounded above": Box(-INF, -1.5, (2,), np.float32),
    "unbounded box": Box(-INF, INF, (2,), np.float32),
    "box of every kind of bound": Box(
        np.array([-1, 0, -INF, -INF], np.float32), np.array([1, INF, 0, INF], np.float32), dtype=np.float32
    ),
    "box of huge bounds": Box(-HUGE, HUGE, (3,), np.float32),
    "box of one point": Box(0.1, 0.1, (2,), np.float32),
    "discrete": Discrete(5),
    "discrete from -3": Discrete(4, start=-3),
    "discrete of one": Discrete(1),
    "discrete of many": Discrete(100_000),
    "multi-binary": MultiBinary(5),
    "multi-binary of rank 2": MultiBinary((2, 3)),
    "multi-discrete": MultiDiscrete([2, 3, 4]),
    "multi-discrete of rank 2": MultiDiscrete(np.array([[2, 300], [4, 1]])),
    "multi-discrete from elsewhere": MultiDiscrete([2, 3], start=[-5, 10]),
}
COMPOSITE = {
    "dict": Dict(height=Box(0.0, 1.0, (2,), np.float32), lane=Discrete(3)),
    "tuple": Tuple((Discrete(3), MultiBinary(2))),
    "nested": Dict(inner=Tuple((Discrete(2), Dict(z=Box(-1.0, 1.0, (), np.float32)))), flag=MultiBinary(1)),
    "empty dict": Dict(),
    "empty tuple": Tuple(()),
}
ALL = SIMPLE | COMPOSITE
WITHOUT_SHAPE = [
    Text(5),
    Sequence(Discrete(2)),
    Graph(Discrete(2), None),
    OneOf((Discrete(2), Discrete(3))),
    Dict(word=Text(5)),
    Tuple((Discrete(2), Sequence(Discrete(2)))),
]
each_space = pytest.mark.parametrize("space", ALL.values(), ids=ALL)
each_simple_space = pytest.mark.parametrize("space", SIMPLE.values(), ids=SIMPLE)


def shapes_and_dtypes(space, shape=()):
    """What a sample of a space looks like."""
    if isinstance(space, Dict):
        return {name: shapes_and_dtypes(part, shape) for name, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(shapes_and_dtypes(part, shape) for part in space)
    dtype = {"int64": "int32", "float64": "float32"}.get(space.dtype.name, space.dtype.name)
    return ((*shape, *space.shape), dtype)


def as_gymnasium(space, x):
    """A sample in the types that Gymnasium's `contains` wants."""
    if isinstance(space, Dict):
        return {name: as_gymnasium(part, x[name]) for name, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(as_gymnasium(part, item) for part, item in zip(space, x, strict=True))
    return np.asarray(x).astype(space.dtype)


# Samples.


@functools.cache
def samples(name):
    """Two hundred samples of a space, by vmap over keys inside jit."""
    draw = jax.jit(jax.vmap(functools.partial(sample, ALL[name]), axis_size=200))
    return draw(jax.random.split(KEY, 200))


@each_space
@pytest.mark.parametrize("shape", [(), (4, 3)])
def test_samples_have_the_shape_and_dtype_of_the_space(space, shape):
    found = jax.eval_shape(lambda key: sample(space, key, shape), KEY)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype.name), found) == shapes_and_dtypes(space, shape)


@pytest.mark.parametrize("name", ALL)
def test_samples_are_in_the_space(name):
    assert jax.jit(jax.vmap(functools.partial(contains, ALL[name]), axis_size=200))(samples(name)).all()


@pytest.mark.parametrize("name", ALL)
def test_gymnasium_agrees_that_samples_are_in_the_space(name):
    drawn = jax.device_get(samples(name))
    for index in range(50):
        assert ALL[name].contains(as_gymnasium(ALL[name], jax.tree.map(lambda leaf, i=index: leaf[i], drawn)))


@pytest.mark.parametrize("name", ALL)
def test_samples_under_jit_and_vmap_are_those_without(name):
    together, alone = samples(name), sample(ALL[name], jax.random.split(KEY, 200)[7])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[7], b, rtol=1e-6), together, alone)


def test_two_parts_of_a_composite_are_drawn_independently():
    box = Box(0.0, 1.0, (), np.float32)
    drawn = sample(Dict(a=box, b=Tuple((box, box))), KEY, (10_000,))
    correlations = np.corrcoef(np.stack(jax.tree.leaves(drawn)))[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4.5 / 100


@pytest.mark.parametrize("n", [2, 3, 4, 7, 256, 257, 1000])
def test_discrete_samples_are_uniform(n):
    counts = np.bincount(sample(Discrete(n), jax.random.key(n), (100_000,)), minlength=n)
    assert len(counts) == n and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_discrete_samples_begin_at_start():
    assert np.unique(sample(Discrete(3, start=-4), KEY, (1000,))).tolist() == [-4, -3, -2]


@pytest.mark.parametrize("nvec", [[2, 3, 5], [2, 3, 700]])
def test_each_axis_of_multi_discrete_samples_is_uniform(nvec):
    drawn = np.asarray(sample(MultiDiscrete(nvec), KEY, (100_000,)))
    for axis, n in enumerate(nvec):
        counts = np.bincount(drawn[:, axis], minlength=n)
        assert len(counts) == n and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_the_axes_of_multi_discrete_samples_are_independent():
    drawn = np.asarray(sample(MultiDiscrete([2, 3]), KEY, (60_000,)))
    assert scipy.stats.chisquare(np.bincount(drawn @ np.array([3, 1]), minlength=6)).pvalue > 1e-3


def test_multi_binary_samples_are_fair():
    counts = np.asarray(sample(MultiBinary(3), KEY, (60_000,)), int) @ np.array([4, 2, 1])
    assert scipy.stats.chisquare(np.bincount(counts, minlength=8)).pvalue > 1e-3


def test_integer_box_samples_are_uniform_with_both_ends():
    counts = np.bincount(np.asarray(sample(Box(-3, 3, (1,), np.int8), KEY, (70_000,))).ravel() + 3, minlength=7)
    assert len(counts) == 7 and scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("low", "high", "distribution"),
    [
        (-2.0, 3.0, scipy.stats.uniform(-2, 5)),
        (1.5, INF, scipy.stats.expon(1.5)),
        (-INF, INF, scipy.stats.norm()),
        (-HUGE, HUGE, scipy.stats.uniform(-float(HUGE), 2 * float(HUGE))),
    ],
)
def test_box_samples_are_distributed_as_gymnasiums(low, high, distribution):
    drawn = np.asarray(sample(Box(low, high, (1,), np.float32), KEY, (20_000,)), np.float64).ravel()
    assert scipy.stats.kstest(drawn, distribution.cdf).pvalue > 1e-3


def test_samples_bounded_above_only_are_exponential_downwards():
    drawn = np.asarray(sample(Box(-INF, -1.5, (1,), np.float32), KEY, (20_000,))).ravel()
    assert scipy.stats.kstest(-1.5 - drawn, "expon").pvalue > 1e-3


@pytest.mark.parametrize(
    ("low", "width"), [(0.1, 0.0), (0.7, 0.0), (-0.7, 0.0), (0.3, 1e-7), (1000.0, 1e-4), (0.1, 0.2)]
)
def test_samples_of_narrow_boxes_are_inside(low, width):
    space = Box(np.float32(low), np.float32(low) + np.float32(width), (1,), np.float32)
    drawn = np.asarray(sample(space, KEY, (100_000,)))
    assert np.all((drawn >= space.low) & (drawn <= space.high))


def test_two_keys_give_two_samples():
    space = SIMPLE["box"]
    assert not np.array_equal(sample(space, KEY), sample(space, jax.random.key(1)))


def test_raw_keys_sample_as_typed_ones():
    np.testing.assert_array_equal(sample(Discrete(9), jax.random.PRNGKey(0), (5,)), sample(Discrete(9), KEY, (5,)))


def test_an_integer_box_beyond_int32_is_refused():
    with pytest.raises((TypeError, ValueError), match="int32"):
        bounds(Box(0, 2**40, (1,), np.int64))


def test_a_box_of_doubles_beyond_float32_is_refused():
    with pytest.raises(ValueError, match="float32"):
        bounds(Box(-1e300, 1.0, (1,), np.float64))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int16, np.uint8])
def test_samples_of_all_integers_of_a_dtype_are_uniform(dtype):
    limits = np.iinfo(dtype)
    drawn = np.asarray(sample(Box(limits.min, limits.max, (1,), dtype), KEY, (50_000,)), np.int64).ravel()
    counts = np.bincount((drawn - limits.min) * 16 // (int(limits.max) - limits.min + 1), minlength=16)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_each_axis_of_an_integer_box_has_its_own_range():
    limits = np.iinfo(np.int32)
    low, high = np.array([limits.min, -2, 7], np.int32), np.array([limits.max, 1, 7], np.int32)
    drawn = np.asarray(sample(Box(low, high, dtype=np.int32), KEY, (10_000,)))
    assert scipy.stats.kstest(drawn[:, 0] / 2.0**32, "uniform", (-0.5, 1.0)).pvalue > 1e-3
    assert scipy.stats.chisquare(np.bincount(drawn[:, 1] + 2, minlength=4)).pvalue > 1e-3
    assert np.all(drawn[:, 2] == 7)


# Membership.


def neighbours(space, rng):
    """Elements at, near and far beyond the bounds, and random ones, in the space's dtype; half or so are inside."""
    low, high = (np.asarray(bound, np.float64) for bound in bounds(space))
    floor, ceiling = np.maximum(low, -50.0), np.minimum(high, 50.0)
    floor, ceiling = np.minimum(floor, ceiling), np.maximum(floor, ceiling)
    drawn = [np.broadcast_to(end, space.shape) for end in (floor, ceiling, floor - 1, ceiling + 1)]
    drawn += [rng.uniform(floor - 1, ceiling + 1) for _ in range(6)] + [rng.uniform(floor, ceiling) for _ in range(6)]
    limits = np.finfo(space.dtype) if space.dtype.kind == "f" else np.iinfo(space.dtype)
    return [np.array(np.clip(x, float(limits.min), float(limits.max)), space.dtype) for x in drawn]


@each_simple_space
def test_gymnasium_agrees_on_random_elements(space):
    for x in neighbours(space, np.random.default_rng(0)):
        assert bool(contains(space, x)) == space.contains(x), x


@pytest.mark.parametrize("name", ["box", "box of different bounds", "box bounded below", "unbounded box"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gymnasium_agrees_on_nan_and_infinities(name, value):
    space = SIMPLE[name]
    x = np.clip(np.zeros(space.shape, np.float32), space.low, space.high)
    x.flat[0] = value
    assert bool(contains(space, x)) == space.contains(x)


def test_nan_is_in_no_box():
    assert not contains(SIMPLE["unbounded box"], jnp.array([0.0, jnp.nan]))


@each_simple_space
def test_elements_of_another_shape_are_outside(space):
    x = np.asarray(space.sample())
    for wrong in (x[None], np.stack([x, x]), x.reshape(-1)[:0]):
        assert not contains(space, wrong) and not space.contains(wrong)


@pytest.mark.parametrize("space", [Discrete(3), MultiDiscrete([3, 3]), MultiBinary(2), SIMPLE["box of uint8"]])
def test_floats_are_in_no_space_of_integers(space):
    assert not contains(space, np.zeros(space.shape, np.float32))


@pytest.mark.parametrize("space", [Discrete(3), SIMPLE["box"]])
def test_booleans_are_neither_actions_nor_numbers(space):
    assert not contains(space, np.ones(space.shape, bool))


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("dict", {"height": np.array([0.5, 0.5], np.float32)}),
        ("dict", {"height": np.array([0.5, 0.5], np.float32), "lane": 1, "more": 0}),
        ("dict", {"height": np.array([0.5, 1.5], np.float32), "lane": 1}),
        ("dict", {"height": np.array([0.5, 0.5], np.float32), "lane": 3}),
        ("dict", (np.array([0.5, 0.5], np.float32), 1)),
        ("tuple", (1,)),
        ("tuple", (1, np.array([0, 1], np.int8), 1)),
        ("tuple", (3, np.array([0, 1], np.int8))),
        ("tuple", {"a": 1}),
        ("nested", {"inner": (1, {"z": np.array(2.0, np.float32)}), "flag": np.array([0], np.int8)}),
    ],
)
def test_gymnasium_agrees_on_what_is_no_element_of_a_composite(name, x):
    assert not contains(COMPOSITE[name], x) and not COMPOSITE[name].contains(x)


@each_simple_space
def test_contains_under_vmap_and_jit_is_contains(space):
    elements = np.stack(neighbours(space, np.random.default_rng(1)))
    together = jax.jit(jax.vmap(functools.partial(contains, space)))(elements)
    assert together.tolist() == [bool(contains(space, x)) for x in elements]


# What has no fixed shape.


@pytest.mark.parametrize("space", WITHOUT_SHAPE)
@pytest.mark.parametrize("use", [lambda space: sample(space, KEY), lambda space: contains(space, space.sample())])
def test_spaces_without_a_fixed_shape_are_refused_by_name(space, use):
    with pytest.raises(TypeError, match=r"one fixed shape, got (Text|Sequence|Graph|OneOf)\("):
        use(space)


def test_bounds_of_a_composite_are_refused():
    with pytest.raises(TypeError, match="one fixed shape, got Dict"):
        bounds(COMPOSITE["dict"])


# What the layers above ask for.


@each_simple_space
def test_bounds_are_in_the_space_and_nothing_is_beyond(space):
    low, high = bounds(space)
    assert low.dtype == high.dtype == jax_dtype(space) and low.shape == high.shape == space.shape
    assert contains(space, low) and contains(space, high)


def test_as_element_casts_to_the_dtype_of_the_space():
    assert as_element(SIMPLE["box"], np.zeros((2, 3)), where="x").dtype == jnp.float32
    assert as_element(Discrete(3), np.int64(2), where="x").dtype == jnp.int32


def test_as_element_names_the_place_the_kind_and_the_space():
    with pytest.raises(TypeError, match=r"here must have a dtype like int32 for Discrete\(3\), got float32"):
        as_element(Discrete(3), jnp.float32(1), where="here")


def test_as_element_names_the_place_and_the_shapes():
    with pytest.raises(ValueError, match=r"here must have the shape \(2, 3\) for Box.*, got \(2,\)"):
        as_element(SIMPLE["box"], jnp.zeros(2), where="here")


def test_as_element_refuses_another_structure():
    with pytest.raises((TypeError, ValueError), match="here must be an element of Dict"):
        as_element(COMPOSITE["dict"], {"height": jnp.zeros(2)}, where="here")


def test_as_batch_takes_a_batch_of_a_composite():
    space = COMPOSITE["nested"]
    batch = as_batch(space, sample(space, KEY, (4,)), 4, where="here")
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype.name), batch) == shapes_and_dtypes(space, (4,))


@pytest.mark.parametrize("x", [jnp.zeros(3, jnp.int32), jnp.int32(0)])
def test_as_batch_refuses_another_batch_size(x):
    with pytest.raises(ValueError, match="here must have a leading axis of 4"):
        as_batch(Discrete(3), x, 4, where="here")


def test_check_host_value_leaves_jax_arrays_unread():
    check_host_value(Discrete(3), jnp.int32(7), where="here")


def test_check_host_value_names_value_and_space():
    with pytest.raises(ValueError, match=r"here must be in Discrete\(3\), got 7"):
        check_host_value(Discrete(3), 7, where="here")
