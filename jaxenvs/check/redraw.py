"""Replaces single numbers that a method draws, by a generator whose keys say which number to replace, and with what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import random as jex_random

from jaxenvs.check.keys import record, recorded

_threefry = jex_random.threefry_prng_impl

#: What replaces the bits of a number: uniforms of 0, 1/3, 2/3 and nearly 1.
BITS = (0, 0x55555555, 0xAAAAAAAA, 0xFFFFFFFF)
#: The most numbers of one array that are replaced.
_MOST = 32
# A key has six words: those of threefry, its path of splits as a number, and which path's number to replace with what.
_WORDS = 6


def redrawing(key, path=0, index=0, bits=0):
    """The same key, which draws the same numbers except one.

    Args:
        key: a threefry2x32 key, or an array of keys.
        path: the split that leads to the key which draws the number to replace; 0 for none.
        index: the position of the number in the array that is drawn.
        bits: what replaces its bits, up to 32.
    """
    words = jax.random.key_data(key)
    rest = np.broadcast_to(np.array([1, path, index, bits], np.uint32), (*words.shape[:-1], 4))
    return jax.random.wrap_key_data(jnp.concatenate([words, rest], axis=-1), impl=_redrawing_threefry())


def drawn_numbers(method, key, files):
    """The numbers that a method draws: a list of (author's line or None, position, [(path, index) of its words]).

    Args:
        method: a function of a key, called without `jax.jit`.
        key: a threefry2x32 key.
        files: the names of the files with the author's code.
    """
    with jax.disable_jit(), recorded(files) as uses:
        method(redrawing(key))
    numbers = {}
    for use in uses:
        if use.what == "drawn from":
            path, size = int(np.frombuffer(use.key, np.uint32)[2]), int(np.prod(use.shape))
            # One call of a library function, such as jax.random.randint, may draw two words for a number.
            call = path if use.call is None else use.call
            for index in sorted({int(i) for i in np.linspace(0, size - 1, min(size, _MOST))} if size else ()):
                position = tuple(int(i) for i in np.unravel_index(index, use.shape))
                numbers.setdefault((call, use.place, position), []).append((path, index))
    return [(place, position, paths) for (_, place, position), paths in numbers.items()]


@functools.cache
def _redrawing_threefry():
    return jex_random.define_prng_impl(
        key_shape=(_WORDS,),
        seed=lambda seed: jnp.append(_threefry.seed(seed), jnp.zeros(_WORDS - 2, jnp.uint32)),
        split=_split,
        random_bits=_random_bits,
        fold_in=_fold_in,
        name="threefry2x32_redrawn",
        tag="fry_redrawn",
    )


def _split(key, shape):
    children = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.uint32).reshape(shape)
    with jax.disable_jit(False):
        return _descendants(key, _threefry.split(key[:2], shape), children)


def _fold_in(key, data):
    with jax.disable_jit(False):
        return _descendants(key, _threefry.fold_in(key[:2], data), ~data.astype(jnp.uint32))


def _descendants(key, words, children):
    paths = (key[2] * jnp.uint32(0x9E3779B1) + children + jnp.uint32(1)) * jnp.uint32(0x85EBCA6B)
    rest = jnp.broadcast_to(key[3:], (*children.shape, _WORDS - 3))
    return jnp.concatenate([words, paths[..., None], rest], axis=-1)


def _random_bits(key, bit_width, shape):
    record("drawn from", key, shape)
    with jax.disable_jit(False):
        bits = _threefry.random_bits(key[:2], bit_width, shape)
        chosen = jnp.arange(bits.size, dtype=jnp.uint32).reshape(shape) == key[4]
        return jnp.where(chosen & (key[2] == key[3]), key[5].astype(bits.dtype), bits)
