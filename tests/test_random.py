"""`fusable`: the same numbers as `jax.random`, bit for bit. `fast`: those of Threefry-2x32 with 16 rounds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.random import as_key, fast, fusable

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


def reference_threefry2x32(key, high, low, rounds):
    """The two words of a block, by Python's integers."""
    mask, (first, second) = 2**32 - 1, key
    schedule = (first, second, 0x1BD11BDA ^ first ^ second)
    high, low = (high + first) & mask, (low + second) & mask
    for done in range(rounds):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[done % 8]
        high = (high + low) & mask
        low = (((low << rotation) | (low >> (32 - rotation))) & mask) ^ high
        if done % 4 == 3:
            turn = done // 4 + 1
            high = (high + schedule[turn % 3]) & mask
            low = (low + schedule[(turn + 1) % 3] + turn) & mask
    return high, low


# Random123's tests/kat_vectors.
KNOWN = [
    (13, (0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    (13, (2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0xFD36D048, 0x2D17272C)),
    (13, (0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xBA3E4725, 0xF27D669E)),
    (20, (0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
]


@pytest.mark.parametrize(("rounds", "key", "counter", "words"), KNOWN)
def test_the_reference_gives_the_known_answers(rounds, key, counter, words):
    assert reference_threefry2x32(key, counter[0], counter[1], rounds) == words


@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (3, 4), (5, 1), (1, 1), (3, 2, 2), (0, 3), (2, 0)])
def test_fast_words_are_those_of_16_rounds_at_their_places(shape):
    key = (7, 2**31 + 9)
    made = jax.random.bits(fast(jnp.array(key, jnp.uint32)), shape, jnp.uint32)
    assert made.shape == shape
    for place in np.ndindex(shape):
        row, *rest = place or (0,)
        if len(shape) < 2:
            expected = reference_threefry2x32(key, 0, row, 16)[0]
        else:
            high = row // 2 if len(shape) == 2 else (row // 2) * shape[1] + rest[0]
            expected = reference_threefry2x32(key, high, rest[-1], 16)[row % 2]
        assert int(made[place]) == expected, place


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_fast_keys_give_an_environment_the_same_episode_in_a_batch_of_any_size(id):
    def played(num_envs, key):
        envs = jaxenvs.make_vec(id, num_envs, max_episode_steps=3)
        state, obs = envs.reset(key)
        random = functools.partial(lambda envs, key, obs: envs.sample_actions(key), envs)
        steps = jaxenvs.rollout(envs, random, key, state, obs, 5)[2]
        return jax.tree.map(lambda x: x[:, :3], steps)

    small, large = (jax.jit(played, static_argnums=0)(size, fast(jax.random.key(4))) for size in (3, 8))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), small, large)
    assert float(jnp.abs(jax.tree.leaves(small.action)[0]).sum()) > 0


def test_fast_is_another_generator_with_the_same_key_data():
    key = jax.random.key(3)
    assert jnp.array_equal(jax.random.key_data(fast(key)), jax.random.key_data(key))
    assert not jnp.array_equal(jax.random.bits(fast(key), (8,)), jax.random.bits(key, (8,)))
    for split in (jax.random.split, lambda key: jax.random.fold_in(key, 5)):
        assert jnp.array_equal(jax.random.key_data(split(fast(key))), jax.random.key_data(split(key)))
    assert fast(fast(key)).dtype == fast(key).dtype == fast(jax.random.PRNGKey(3)).dtype
    assert fusable(fast(key)).dtype == fast(key).dtype


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint16])
def test_narrow_fast_bits_are_low_bits_of_wide_ones(dtype):
    key = fast(jax.random.key(0))
    wide = jax.random.bits(key, (4, 3), jnp.uint32)
    assert jnp.array_equal(jax.random.bits(key, (4, 3), dtype), wide.astype(dtype))


def test_fast_draws_vmapped_over_keys_are_those_of_each_key():
    keys = jax.random.split(fast(jax.random.key(0)), 3)
    for shape in ((), (5,), (4, 3)):
        alone = jnp.stack([jax.random.uniform(key, shape) for key in keys])
        assert jnp.array_equal(jax.vmap(lambda key, shape=shape: jax.random.uniform(key, shape))(keys), alone)


def test_fast_refuses_keys_of_other_kinds():
    with pytest.raises(TypeError, match="threefry2x32 key, got a key of the kind rbg"):
        fast(jax.random.key(0, impl="rbg"))
    with pytest.raises(TypeError, match="must be a JAX key"):
        fast(0)
