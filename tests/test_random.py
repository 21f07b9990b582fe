"""`fusable`: the same numbers as `jax.random`, bit for bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.random import as_key, fusable

# On both sides of the size from which words are drawn behind a conditional, and ranks 0 to 3. Hashes are slow to
# compile, so that only what reaches each of our functions first is drawn in every shape.
SHAPES = [(), (1,), (255,), (256,), (300, 7), (2, 3, 5), (0,), (3, 0)]
FEW_SHAPES = [(), (300, 7)]

DRAWS = {
    "uniform": jax.random.uniform,
    "normal": jax.random.normal,
    "randint": lambda key, shape: jax.random.randint(key, shape, -7, 1000),
    "bits of 8": lambda key, shape: jax.random.bits(key, shape, jnp.uint8),
    "bits of 16": lambda key, shape: jax.random.bits(key, shape, jnp.uint16),
    "bits of 32": lambda key, shape: jax.random.bits(key, shape, jnp.uint32),
    "split": lambda key, shape: jax.random.key_data(jax.random.split(key, shape)),
    "fold_in": lambda key, shape: jax.random.key_data(jax.random.fold_in(key, 17 * len(shape))),
    "permutation": lambda key, shape: jax.random.permutation(key, sum(shape)),
    "fold_in, then split, then uniform": lambda key, shape: jax.random.uniform(
        jax.random.split(jax.random.fold_in(key, 2**32 - 1))[0], shape
    ),
}


def draws_of(draw, shapes, of, key):
    return [draw(of(key), shape) for shape in shapes]


def assert_identical(ours, theirs):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("kind", DRAWS)
def test_jitted_draws_are_those_of_jax(kind):
    shapes = SHAPES if kind in ("uniform", "split", "bits of 8", "bits of 16") else FEW_SHAPES
    ours, theirs = (jax.jit(functools.partial(draws_of, DRAWS[kind], shapes, of)) for of in (fusable, as_key))
    for seed in (0, 1, 2**31 + 5):
        assert_identical(ours(jax.random.key(seed)), theirs(jax.random.key(seed)))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_draws_vmapped_over_keys_are_those_of_jax(draw):
    ours, theirs = (jax.jit(jax.vmap(functools.partial(draws_of, draw, FEW_SHAPES, of))) for of in (fusable, as_key))
    keys = jax.random.split(jax.random.key(3), 4)
    assert_identical(ours(keys), theirs(keys))


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("shape", [(), (256,)])
def test_draws_without_jit_are_those_of_jax(draw, shape):
    key = jax.random.key(4)
    assert_identical(draw(fusable(key), shape), draw(key, shape))


def test_draws_inside_scan_are_those_of_jax():
    def walk(of):
        def advance(key, index):
            key, draw_key = jax.random.split(key)
            return key, jax.random.uniform(jax.random.fold_in(draw_key, index), (300,))

        return jax.lax.scan(advance, of(jax.random.key(5)), jnp.arange(4))[1]

    assert_identical(walk(fusable), walk(as_key))


def test_draws_of_a_batch_of_keys_have_its_shape():
    keys = jax.random.split(jax.random.key(6), (2, 3))
    assert fusable(keys).shape == (2, 3)
    np.testing.assert_array_equal(jax.random.key_data(fusable(keys)), jax.random.key_data(keys))


def test_a_key_without_elements_is_taken():
    assert fusable(jax.random.split(jax.random.key(0), 0)).shape == (0,)


def test_two_keys_draw_differently():
    first, second = (jax.random.uniform(fusable(jax.random.key(seed)), (1000,)) for seed in (0, 1))
    assert np.mean(np.asarray(first) == np.asarray(second)) < 0.01


def test_fusable_of_fusable_changes_nothing():
    key = fusable(jax.random.key(0))
    assert fusable(key).dtype == key.dtype
    assert_identical(jax.random.bits(fusable(key), (3,)), jax.random.bits(key, (3,)))


def test_raw_keys_draw_as_typed_ones():
    assert_identical(
        jax.random.uniform(fusable(jax.random.PRNGKey(7)), (3,)), jax.random.uniform(jax.random.key(7), (3,))
    )


def test_raw_numpy_keys_are_taken():
    key = np.array([0, 7], np.uint32)
    assert_identical(jax.random.uniform(fusable(key), (3,)), jax.random.uniform(jax.random.key(7), (3,)))


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_of_another_kind_come_back_as_they_are(impl):
    key = jax.random.key(0, impl=impl)
    assert fusable(key) is key


def test_without_partitionable_threefry_keys_come_back_as_they_are():
    key = jax.random.key(0)
    with jax.threefry_partitionable(False):
        assert fusable(key) is key


@pytest.mark.parametrize("what", [0, 1.5, None, "key", np.zeros(2), jnp.zeros(2, jnp.int32), np.uint32(3), (0, 1)])
def test_what_is_no_key_is_refused_by_value(what):
    with pytest.raises(TypeError, match="key must be a JAX key"):
        fusable(what)


def test_a_raw_key_of_another_size_is_refused():
    with pytest.raises((TypeError, ValueError)):
        fusable(jnp.zeros(3, jnp.uint32))


def test_a_draw_of_two_to_the_32_numbers_is_refused():
    with pytest.raises(ValueError, match=r"fewer than 2\*\*32 numbers"):
        jax.jit(lambda key: jax.random.bits(key, (2**16, 2**16))).lower(fusable(jax.random.key(0)))


def test_fused_uniforms_have_the_moments_of_uniforms():
    draws = np.asarray(jax.random.uniform(jaxenvs.random.fusable(jax.random.key(8)), (100_000,)))
    assert abs(draws.mean() - 1 / 2) < 4.5 * np.sqrt(1 / 12 / draws.size)
    assert abs(draws.var() - 1 / 12) < 4.5 * np.sqrt(1 / 180 / draws.size)
