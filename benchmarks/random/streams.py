"""Words for `benchmarks.random.quality`: of `jaxenvs.random.fast` and others, drawn as environments draw them."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.random.statistics import ones
from jaxenvs.random import fast, fusable
from jaxenvs.random.threefry import threefry2x32

CHUNK = 2**20


class Generator(NamedTuple):
    """Where words come from."""

    #: A function of an ordinary key to the one that is split, folded and drawn from.
    key: Callable[[Any], Any]
    #: A function of such a key and of a shape to u32[shape].
    bits: Callable[[Any, tuple], Any]
    #: Words of each test and sequence.
    draws: int


def drawn(key, shape):
    return jax.random.bits(key, shape, jnp.uint32)


def fewer_rounds(rounds, key, shape):
    """As `fast` lays words out, of a hash with fewer rounds."""
    rows, rest = (shape[0], shape[1:]) if len(shape) > 1 else (1, shape)
    half = (-(-rows // 2), *rest)
    place = jnp.arange(math.prod(half), dtype=jnp.uint32).reshape(half)
    low = place % jnp.uint32(rest[-1])
    high = place // jnp.uint32(rest[-1])
    both = threefry2x32(jax.random.key_data(key), high, low, rounds)
    return jnp.stack(both, axis=1).reshape(-1, *rest)[:rows].reshape(shape)


def weyl(key, shape):
    """Multiples of the golden ratio, from the key on."""
    first, second = jax.random.key_data(key)
    return (first ^ second) + jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape) * jnp.uint32(0x9E3779B9)


GENERATORS = {
    "fast": Generator(fast, drawn, 2**26),
    "jax.random": Generator(fusable, drawn, 2**24),
    "4 rounds": Generator(fusable, functools.partial(fewer_rounds, 4), 2**22),
    "8 rounds": Generator(fusable, functools.partial(fewer_rounds, 8), 2**22),
    "12 rounds": Generator(fusable, functools.partial(fewer_rounds, 12), 2**24),
    "Weyl sequence": Generator(fusable, weyl, 2**22),
}


class Sequence(NamedTuple):
    """An order in which words are read."""

    #: Shape of a draw, and how many draws make a chunk.
    shape: tuple
    steps: int
    #: Axes of [step, *shape] in the order in which they are read, the fastest last.
    order: tuple
    #: A function of a key and of the number of a step to the key of the draw.
    step_key: Callable[[Any, Any], Any]


def rollouts_key(key, step):
    """The key with which `VectorEnv.step` draws in step t of a `rollout`."""
    return jax.random.split(jax.random.split(jax.random.fold_in(key, step))[1])[0]


def next_seed(key, step):
    """The key of a seed a number of seeds later."""
    first, second = jax.random.key_data(key)
    return jax.random.wrap_key_data(jnp.stack([first, second + step.astype(jnp.uint32)]), impl=jax.random.key_impl(key))


def key_of_each(key, step):
    """A key for each environment, as those without `draw` get."""
    return jax.random.split(rollouts_key(key, step), 2**14)


SEQUENCES = {
    "(n,), along 65536 environments": Sequence((2**16,), 2**4, (0, 1), rollouts_key),
    "(n,), along steps of 256 environments": Sequence((2**8,), 2**12, (1, 0), rollouts_key),
    "(4, n), along 16384 environments": Sequence((4, 2**14), 2**4, (0, 1, 2), rollouts_key),
    "(4, n), draws and steps of each of 1024 environments": Sequence((4, 2**10), 2**8, (2, 0, 1), rollouts_key),
    "(n, 4), along 16384 environments": Sequence((2**14, 4), 2**4, (0, 2, 1), rollouts_key),
    "(n, 4), draws and steps of each of 1024 environments": Sequence((2**10, 4), 2**8, (1, 0, 2), rollouts_key),
    "(n, 1), along 65536 environments": Sequence((2**16, 1), 2**4, (0, 1, 2), rollouts_key),
    "(n, 1), along steps of 256 environments": Sequence((2**8, 1), 2**12, (1, 2, 0), rollouts_key),
    "(4,) of a key for each of 16384 environments": Sequence((2**14, 4), 2**4, (0, 1, 2), key_of_each),
    "(4, n), along adjacent seeds": Sequence((4, 2**8), 2**10, (1, 2, 0), next_seed),
}


def chunks(generator, sequence):
    """A jitted function of a key and of the number of a chunk to its words, u32[CHUNK]."""

    @jax.jit
    def words(key, number):
        def step(index):
            step_key = sequence.step_key(generator.key(key), index)
            if step_key.ndim:
                return jax.vmap(lambda key: generator.bits(key, sequence.shape[1:]))(step_key)
            return generator.bits(step_key, sequence.shape)

        made = jax.lax.map(step, number * sequence.steps + jnp.arange(sequence.steps))
        return made.transpose(sequence.order).reshape(-1)

    return words


def flips(generator):
    """Jitted functions of a key and a number to how often flips changed each bit of a block, and of how many flips."""

    def both(key, shape):
        return generator.bits(key, shape).reshape(shape if shape[1] > 1 else (-1, 2))

    @jax.jit
    def key_bits(key, number):
        key = rollouts_key(generator.key(key), number)
        before = both(key, (2, 2**13))

        def flip(bit):
            mask = jnp.where(jnp.arange(2) == bit // 32, jnp.uint32(1) << (bit % 32).astype(jnp.uint32), 0)
            data = jax.random.key_data(key) ^ mask.astype(jnp.uint32)
            after = both(jax.random.wrap_key_data(data, impl=jax.random.key_impl(key)), before.shape)
            return jax.vmap(ones)(before ^ after)

        return jax.lax.map(flip, jnp.arange(64))

    def place_bits(shape, axis):
        def flip(key, number):
            words = jnp.moveaxis(both(rollouts_key(generator.key(key), number), shape), axis, -1)
            pairs = [words.reshape(2, -1, 2, 2**bit) for bit in range(19)]
            return jnp.stack([jax.vmap(ones)(pair[:, :, 0] ^ pair[:, :, 1]) for pair in pairs])

        return jax.jit(flip)

    return {
        "key bits": (key_bits, 2**13, 65 * 2**14),
        "low places, (2, n)": (place_bits((2, 2**19), 1), 2**18, CHUNK),
        "high places, (n, 1)": (place_bits((2**20, 1), 0), 2**18, CHUNK),
    }
