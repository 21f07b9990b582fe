"""The Threefry-2x32 hash as straight-line code, and the two kinds of key that use it.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Threefry-2x32 with 20
rounds; `tests/test_random.py` compares the streams with `jax.random`, and the words of `fast` with the authors'
known answers.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.extend import random as jex_random

from jaxenvs.random.varying import varying_as

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_KEY_PARITY = 0x1BD11BDA
# In groups of four.
_ROUNDS, _FAST_ROUNDS = 20, 16

#: What `jax.random.key_impl` calls the two kinds of key.
TAGS = _FUSED, _FAST = "fry_fused", "fry_fast"


@functools.cache
def fused_threefry():
    return _threefry("threefry2x32_fused", _FUSED, _random_bits)


@functools.cache
def fast_threefry():
    return _threefry("threefry2x32_fast", _FAST, _fast_bits)


def _threefry(name, tag, random_bits):
    """A kind of key that is seeded, split and folded like JAX's own, with its own random bits."""
    return jex_random.define_prng_impl(
        key_shape=(2,),
        seed=jex_random.threefry_prng_impl.seed,
        split=_split,
        random_bits=random_bits,
        fold_in=_fold_in,
        name=name,
        tag=tag,
    )


@functools.partial(jax.jit, static_argnames="rounds")
def threefry2x32(key, high, low, rounds=_ROUNDS):
    """Rounds of Threefry-2x32 on the counters (high, low); u32 arrays of one shape in, two out."""
    # Functions of jax.lax, in a jitted function: a program has dozens of hashes, and tracing each one again, with array
    # operators, took as long as tracing all the rest.
    first, second = (jax.lax.index_in_dim(key, index, keepdims=False) for index in (0, 1))
    parity = jax.lax.full_like(first, _KEY_PARITY)
    schedule = [first, second, jax.lax.bitwise_xor(jax.lax.bitwise_xor(first, second), parity)]
    schedule = [jax.lax.broadcast(word, high.shape) for word in schedule]
    high, low = jax.lax.add(high, schedule[0]), jax.lax.add(low, schedule[1])
    for group in range(rounds // 4):
        for rotation in _ROTATIONS[group % 2]:
            high = jax.lax.add(high, low)
            low = jax.lax.bitwise_xor(high, _rotated(low, rotation))
        high = jax.lax.add(high, schedule[(group + 1) % 3])
        low = jax.lax.add(jax.lax.add(low, schedule[(group + 2) % 3]), jax.lax.full_like(low, group + 1))
    return high, low


def _rotated(words, places):
    left = jax.lax.shift_left(words, jax.lax.full_like(words, places))
    return jax.lax.bitwise_or(left, jax.lax.shift_right_logical(words, jax.lax.full_like(words, 32 - places)))


def _counters(shape):
    """The position of each element in row-major order as (high, low) words; sizes of 2**32 and more are refused."""
    if math.prod(shape) >= 2**32:
        raise ValueError(f"one draw must have fewer than 2**32 numbers, got the shape {shape}; draw in parts")
    low, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(shape))):
        low = low + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
        stride *= shape[axis]
    return jnp.zeros(shape, jnp.uint32), low


def _split(key, shape):
    shape = tuple(shape)
    return _computed_once(key, lambda: jnp.stack(threefry2x32(key, *_counters(shape)), axis=-1))


def _fold_in(key, data):
    seed = jex_random.threefry_prng_impl.seed(jnp.asarray(data, jnp.uint32))
    return _computed_once(key, lambda: jnp.stack(threefry2x32(key, seed[0], seed[1])))


def _random_bits(key, bit_width, shape):
    if bit_width == 64:
        return jex_random.threefry_prng_impl.random_bits(key, bit_width, shape)
    shape = tuple(shape)
    # Counters of a part of a batch start at the device's number: before the branch, XLA moves that out of the loop.
    counters = _counters(shape)
    words = _computed_once(key, lambda: jnp.bitwise_xor(*threefry2x32(key, *counters)))
    return words if bit_width == 32 else words.astype(jnp.uint8 if bit_width == 8 else jnp.uint16)


def _fast_bits(key, bit_width, shape):
    if bit_width == 64:
        return jex_random.threefry_prng_impl.random_bits(key, bit_width, shape)
    shape = tuple(shape)
    words = _rows_in_pairs(key, shape) if len(shape) > 1 else _row(key, shape)
    return words if bit_width == 32 else words.astype(jnp.uint8 if bit_width == 8 else jnp.uint16)


def _row(key, shape):
    """The first word of the block of each position; u32[n], or u32[] of position 0."""
    places = _places(shape)
    return _computed_once(key, lambda: threefry2x32(key, *places, _FAST_ROUNDS)[0])


def _rows_in_pairs(key, shape):
    """Rows 2i and 2i + 1 are the two words of the blocks of row i; u32[n, ...]."""
    rows, *rest = shape
    if math.prod(rest) == 1:
        # A word from the next lane of a vector costs more than hashing twice.
        row = jax.lax.broadcasted_iota(jnp.uint32, shape, 0)

        def own_word():
            even, odd = threefry2x32(key, row >> 1, jnp.zeros(shape, jnp.uint32), _FAST_ROUNDS)
            return jnp.where(row % 2 == 0, even, odd)

        return _computed_once(key, own_word)
    half = (-(-rows // 2), *rest)
    places = _places(half)

    # Two arrays would be two loops, each with the full hash; complex numbers need one.
    def both_words():
        even, odd = threefry2x32(key, *places, _FAST_ROUNDS)
        return jax.lax.complex(*(jax.lax.bitcast_convert_type(word, jnp.float32) for word in (even, odd)))

    both = _computed_once(key, both_words)
    even, odd = (jax.lax.bitcast_convert_type(part, jnp.uint32) for part in (both.real, both.imag))
    return jnp.stack([even, odd], axis=1).reshape(2 * half[0], *rest)[:rows]


def _places(shape):
    """Counters of each element, (high, low), for any size of the first or last axis: low counts along the last."""
    *leading, last = shape or (1,)
    if last >= 2**32 or math.prod(leading) >= 2**32:
        raise ValueError(
            f"one draw must have fewer than 2**32 numbers along its last axis, and along the others together, got the "
            f"shape {shape}; draw in parts"
        )
    high, stride = jnp.zeros(shape, jnp.uint32), 1
    for axis in reversed(range(len(leading))):
        high = high + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
        stride *= shape[axis]
    return high, jax.lax.broadcasted_iota(jnp.uint32, shape, len(leading)) if shape else jnp.uint32(0)


def _computed_once(key, words):
    """`words()`, computed once and stored.

    XLA:CPU recomputes a fused hash in every fusion that reads a word, and a key's hash in every hash that uses the key:
    that made runs three times slower, and some compilations never ended (jax 0.12). The result of a branch is stored.
    """

    # Outside `jit` nothing is fused, and a conditional would be compiled at each call.
    if not any(isinstance(x, Tracer) for x in (key, jnp.zeros(()))):
        return words()

    def stored(key):
        # Always true, but no compiler pass can know it.
        always = jnp.minimum(key[0] | jnp.uint32(1), jnp.uint32(1)) == 1
        return jax.lax.cond(
            always,
            words,
            lambda: varying_as(key, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(words))),
        )

    # On other platforms a branch waits for the device, and XLA makes one kernel of operations that share a hash.
    return jax.lax.platform_dependent(key, cpu=stored, default=lambda key: words())
