"""JAX's own random numbers in a form that XLA can fuse with other code, and an optional faster generator.

On the CPU, JAX hashes a default key (`threefry2x32`) with a loop. XLA cannot fuse this loop, and it takes longer than
the physics of a simple environment. `fusable` changes the type of such a key. The key data, the `jax.random` functions
and the numbers stay the same bit for bit, but the hash is straight-line arithmetic.

`fast` makes a key for a faster generator of the same family, with different numbers. `threefry.py` has both hashes.
"""

import jax
import jax.numpy as jnp

from jaxenvs.misuse import brief
from jaxenvs.random.threefry import TAGS, fast_threefry, fused_threefry


def fusable(key):
    """Returns the same key in a form whose draws XLA can fuse.

    Args:
        key: a JAX key array of any shape, typed (`jax.random.key(0)`) or raw (`jax.random.PRNGKey(0)`).
    Returns:
        A typed key array of the same shape. Keys that are not `threefry2x32`, and all keys where
        `jax_threefry_partitionable` is off, are returned unchanged (raw ones as typed ones).
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
    """Returns a key with the same data for a faster generator: different numbers, equally good for simulation.

    It takes about half the time. Use it instead of any key: in `jax.random`, `rollout`, `VectorEnv.step`, `env.step`.
    Threefry-2x32 makes two words at a time. `jax.random` combines them into one (by exclusive or). This generator uses
    both, and 16 rounds instead of 20. The generator's authors know of no statistical flaw with 13 or more rounds
    (Random123, `threefry.h`); `benchmarks/random/quality.py` has our tests. Keys are split and folded with 20 rounds,
    like ordinary keys.

    A number depends only on the key and on its position in the array, not on the array's size: word [i, ..., k] of an
    array is the same in longer arrays. So a draw of the shape (num_envs,), (num_envs, n) or (n, num_envs) gives each
    environment the same numbers in batches of any size, and on any number of devices.

    Args:
        key: a `threefry2x32` key array of any shape, typed or raw, such as `jax.random.key(0)`.
    Returns:
        A typed key array of the same shape.
    Raises:
        TypeError: if `key` is not a JAX key, or not a threefry2x32 key.

    >>> import jax, jaxenvs
    >>> key = jaxenvs.random.fast(jax.random.key(0))
    >>> longer, shorter = jax.random.uniform(key, (2, 5)), jax.random.uniform(key, (2, 3))
    >>> bool((longer[:, :3] == shorter).all())
    True
    """
    key = as_key(key)
    data = jax.random.key_data(key)
    if data.shape[key.ndim :] != (2,):
        raise TypeError(f"fast needs a threefry2x32 key, got a key of the kind {jax.random.key_impl(key)}")
    return jax.random.wrap_key_data(data, impl=fast_threefry())


def one_key(key, where):
    """The fusable form of a single key.

    Raises:
        TypeError: if `key` is not a JAX key.
        ValueError: for an array of keys, naming the place.
    """
    used = fusable(key)
    if used.ndim:
        raise ValueError(f"{where}: key must be one JAX key, got {used.size} keys of the shape {used.shape}")
    return used


def with_keys(function, key, *args):
    """`function(key, *args)` with the fusable form of a key, or with JAX's own where the function needs that.

    `jax.random.poisson` takes threefry2x32 keys only, and `jnp.where` two keys of one kind. An ordinary key gives the
    same numbers in both forms; a `fast` one then gives those of the ordinary key with its data.
    """
    used = fusable(key)
    try:
        return function(used, *args)
    except (NotImplementedError, TypeError, ValueError):
        if str(jax.random.key_impl(used)) not in TAGS:
            raise
    return function(jax.random.wrap_key_data(jax.random.key_data(used), impl="threefry2x32"), *args)


def checked_key(key):
    """`key`; one that is not a JAX array is checked here, where an error can still name its value."""
    return key if isinstance(key, jax.Array) else as_key(key)


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
    kind = "" if isinstance(key, jax.Array) else f" ({type(key).__name__})"
    raise TypeError(f"key must be a JAX key, such as jax.random.key(0); got {brief(key)}{kind}")
