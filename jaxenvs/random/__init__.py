"""JAX's own random numbers in a form that XLA fuses with the code around them, and faster ones by choice.

A JAX key of the default kind (`threefry2x32`) is hashed, on the CPU, by a rolled loop that XLA cannot fuse and that
costs more than the physics of a simple environment. `fusable` re-labels such a key: the same key data, the same
`jax.random` functions, the same numbers bit for bit, but the hash is written out as straight-line arithmetic.

`fast` makes a key for a faster generator of the same family, with other numbers. `threefry.py` has the hash of both.
"""

import jax
import jax.numpy as jnp

from jaxenvs.random.threefry import fast_threefry, fused_threefry


def fusable(key):
    """The same key, whose draws XLA can fuse.

    Args:
        key: a JAX key array of any shape, typed (`jax.random.key(0)`) or raw (`jax.random.PRNGKey(0)`).
    Returns:
        A typed key array of the same shape. Keys that are not `threefry2x32`, and all keys where
        `jax_threefry_partitionable` is off, come back as they are (raw ones as typed ones).
    Raises:
        TypeError: if `key` is not a JAX key.

    >>> import jax, jaxenvs
    >>> key = jax.random.key(0)
    >>> bool((jax.random.uniform(key, (3,)) == jax.random.uniform(jaxenvs.random.fusable(key), (3,))).all())
    True
    """
    key = as_key(key)
    partitionable = getattr(jax.config, "jax_threefry_partitionable", True)
    if jax.random.key_impl(key) != "threefry2x32" or not partitionable:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=fused_threefry())


def fast(key):
    """A key with the same data for a faster generator: other numbers, as good for simulation, in about half the time.

    Use it wherever a key goes: `jax.random`, `rollout`, `VectorEnv.step`, `env.step`. Threefry-2x32 makes two words at
    a time; `jax.random` throws one away (it takes their exclusive or), this generator uses both, and makes 16 rounds
    in place of 20. The generator's authors know of no statistical flaw from 13 rounds on (Random123, `threefry.h`);
    `benchmarks/random/quality.py` has what was tested here. Keys are split, and folded, with 20 rounds, as ordinary
    ones are.

    A number depends on the key and on its place in the array alone, not on the array's size: word [i, ..., k] of an
    array is the same in longer arrays. So a draw of the shape (num_envs,), (num_envs, n) or (n, num_envs) gives each
    environment the same numbers in batches of any size, and on any number of devices.

    Args:
        key: a `threefry2x32` key array of any shape, typed or raw, such as `jax.random.key(0)`.
    Returns:
        A typed key array of the same shape.
    Raises:
        TypeError: if `key` is not a JAX key, or of another kind.

    >>> import jax, jaxenvs
    >>> key = jaxenvs.random.fast(jax.random.key(0))
    >>> longer, shorter = jax.random.uniform(key, (2, 5)), jax.random.uniform(key, (2, 3))
    >>> bool((longer[:, :3] == shorter).all())
    True
    """
    key = as_key(key)
    data = jax.random.key_data(key)
    if data.shape[key.ndim :] != (2,):
        raise TypeError(f"fast takes keys of the kind threefry2x32, got one of the kind {jax.random.key_impl(key)}")
    return jax.random.wrap_key_data(data, impl=fast_threefry())


def as_key(key):
    """A typed key array, from a typed or a raw one.

    Raises:
        TypeError: if `key` is neither.
    """
    dtype = getattr(key, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return key
    if dtype == jnp.uint32 and getattr(key, "ndim", 0) >= 1:
        try:
            return jax.random.wrap_key_data(key)
        except TypeError as error:
            raise TypeError(f"key must be a JAX key; got uint32 numbers of the shape {key.shape}: {error}") from None
    raise TypeError(f"key must be a JAX key, such as jax.random.key(0); got {key!r} ({type(key).__name__})")
