"""Minibatches: a batch cut into segments of time, and the segments shuffled."""

import jax
import jax.numpy as jnp

from .sharding import shard


def shuffled(key, count, epochs, minibatches, mesh=None):
    """Which rows each minibatch is made of.

    Args:
        key: a JAX key.
        count: number of rows, a multiple of `minibatches`.
        epochs: passes over the rows.
        minibatches: minibatches in a pass.
        mesh: of `sharding.mesh_of`, or None.
    Returns:
        i32[epochs * minibatches, count / minibatches].
    """
    keys = jax.random.split(key, epochs)
    # Permutations sort; each device makes some of them.
    shared = mesh if mesh is not None and epochs % mesh.size == 0 else None
    rows = shard(shared, jax.vmap(lambda k: permutation(k, count))(shard(shared, keys)))
    return rows.reshape(epochs * minibatches, -1)


def permutation(key, count):
    """The numbers below `count` in random order, i32[count].

    `jax.random.permutation` sorts pairs, twice; XLA:CPU sorts single words ten times as fast. So up to 2**16 numbers
    are the low bits of random words, which are sorted once. Words whose random bits are equal stay in rising order,
    which only affects numbers at the border of two minibatches.
    """
    bits = jax.random.bits(key, (count,))
    if count > 2**16:
        return jnp.argsort(bits).astype(jnp.int32)
    low = jnp.uint32((1 << (count - 1).bit_length()) - 1)
    words = jnp.sort((bits & ~low) | jnp.arange(count, dtype=jnp.uint32))
    return (words & low).astype(jnp.int32)


def segments(x, length):
    """[time, num_envs, ...] -> [segments, length, ...], each of one environment; `length` divides time."""
    pieces = x.reshape(x.shape[0] // length, length, *x.shape[1:])
    return jnp.moveaxis(pieces, 1, 2).reshape(-1, length, *x.shape[2:])
