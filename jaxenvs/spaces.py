"""Gymnasium's spaces in JAX: sampling with a key, and membership under `jit`.

Box, Discrete, MultiBinary, MultiDiscrete, Dict and Tuple have elements of fixed shape and work everywhere; Text,
Sequence, Graph and OneOf do not, and are refused with a `TypeError`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jax.core import Tracer

from jaxenvs.misuse import brief, checked_shape
from jaxenvs.precision import in_32_bits
from jaxenvs.random import one_key

# Below this many actions, one scaled random word is used instead of `jax.random.randint`, which draws two; each
# element's probability is then right within a factor of 1 +- 2**-16.
_FEW = 256


@in_32_bits
def sample(space, key, shape=()):
    """Draws elements of a space, as Gymnasium's `space.sample()` distributes them.

    Bounded Box axes are uniform (over integers, both ends included, for an integer dtype), half-bounded ones
    exponential from their bound, unbounded ones standard normal; discrete spaces are uniform.

    Args:
        space: a `gymnasium.spaces` Box, Discrete, MultiBinary, MultiDiscrete, Dict or Tuple.
        key: a JAX key.
        shape: leading axes of the result, such as `(num_envs,)`.
    Returns:
        An array of `shape + space.shape` and the space's dtype (int32 for int64), or a dict or tuple of these.
    Raises:
        TypeError: for a space without a fixed shape.

    >>> import jax, gymnasium, jaxenvs
    >>> jaxenvs.spaces.sample(gymnasium.spaces.Discrete(4), jax.random.key(0), (3,)).shape
    (3,)
    """
    checked_shape("spaces.sample: shape", shape)
    key = one_key(key, "spaces.sample")
    match space:
        case spaces.Discrete():
            return _integers(key, shape, int(space.n)) + jnp.int32(space.start)
        case spaces.MultiDiscrete():
            shape = (*shape, *space.shape)
            return _integers(key, shape, space.nvec) + jnp.broadcast_to(space.start.astype(np.int32), shape)
        case spaces.MultiBinary():
            return jax.random.bernoulli(key, shape=(*shape, *space.shape)).astype(jnp.int8)
        case spaces.Box():
            return _sample_box(space, key, (*shape, *space.shape))
        case spaces.Dict():
            keys = jax.random.split(key, len(space.spaces))
            return {name: sample(part, k, shape) for (name, part), k in zip(space.spaces.items(), keys, strict=True)}
        case spaces.Tuple():
            keys = jax.random.split(key, len(space.spaces))
            return tuple(sample(part, k, shape) for part, k in zip(space.spaces, keys, strict=True))
    raise _no_fixed_shape(space)


def contains(space, x):
    """Whether `x` is an element of `space`; it traces, so it can be used inside `jit` and `vmap`.

    Args:
        space: as for `sample`.
        x: an array of the space's shape, or a dict or tuple of these.
    Returns:
        bool[]. False for NaN, and for values whose shape or kind of number does not fit the space.
    Raises:
        TypeError: for a space without a fixed shape.
    """
    match space:
        case spaces.Dict():
            if not isinstance(x, dict) or x.keys() != space.spaces.keys():
                return jnp.bool_(False)
            return _all(contains(part, x[name]) for name, part in space.spaces.items())
        case spaces.Tuple():
            if not isinstance(x, tuple | list) or len(x) != len(space.spaces):
                return jnp.bool_(False)
            return _all(contains(part, item) for part, item in zip(space.spaces, x, strict=True))
    low, high = bounds(space)
    if not isinstance(x, jax.Array):
        return jnp.bool_(_contains_host(space, x))
    if x.shape != space.shape or not _same_kind(space, x.dtype):
        return jnp.bool_(False)
    # Numbers of several kinds may be compared, whatever JAX's rule is for the code around.
    with jax.numpy_dtype_promotion("standard"):
        return jnp.all((x >= low) & (x <= high))


def _contains_host(space, x):
    array = _host_array(x)
    if array is None or array.shape != space.shape or not _same_kind(space, array.dtype):
        return False
    low, high = bounds(space)
    with np.errstate(over="ignore"):
        array = array.astype(low.dtype) if low.dtype.kind == "f" else array
    return bool(np.all((array >= low) & (array <= high)))


def _host_array(x):
    """A Python or NumPy value as an array of numbers; None if it is none."""
    try:
        array = np.asarray(x)
    except ValueError:
        return None
    return array if array.dtype.kind in "biuf" else None


def bounds(space):
    """(low, high): NumPy arrays of the space's shape and dtype (int32 for int64), both ends included.

    Raises:
        TypeError: for a composite space, or one without a fixed shape.
    """
    match space:
        case spaces.Discrete():
            return np.int32(space.start), np.int32(space.start + space.n - 1)
        case spaces.MultiDiscrete():
            return space.start.astype(np.int32), (space.start + space.nvec - 1).astype(np.int32)
        case spaces.MultiBinary():
            return np.zeros(space.shape, np.int8), np.ones(space.shape, np.int8)
        case spaces.Box():
            return _in_jax_dtype(space, space.low), _in_jax_dtype(space, space.high)
    raise _no_fixed_shape(space)


def _in_jax_dtype(space, bound):
    """A Box's bound in JAX's storage dtype, where 64 bits become 32; bounds that do not fit are refused."""
    with np.errstate(over="ignore"):
        stored = bound.astype(jax_dtype(space))
    if space.dtype.kind == "f" and (np.isinf(stored) & np.isfinite(bound)).any():
        raise ValueError(f"JAX stores 64-bit floats as {stored.dtype}, in which the bounds of {space} do not fit")
    if space.dtype.kind in "iu" and (stored.astype(np.float64) != bound.astype(np.float64)).any():
        raise ValueError(f"JAX stores 64-bit integers as int32 or uint32, in which the bounds of {space} do not fit")
    return stored


def jax_dtype(space):
    """The dtype in which JAX stores the elements of a simple space: the space's own, 64 bits reduced to 32."""
    return jax.dtypes.canonicalize_dtype(space.dtype)


def as_element(space, x, *, where):
    """`x` as arrays of the space's shapes and dtypes, checked at trace time; values are not checked.

    Raises:
        TypeError: if `x` has a different structure or kind of number.
        ValueError: if `x` has a different shape.
    """
    match space:
        case spaces.Dict() | spaces.Tuple():
            parts = dict(space.spaces) if isinstance(space, spaces.Dict) else tuple(space.spaces)
            is_space = lambda part: isinstance(part, spaces.Space)  # noqa: E731
            try:
                return jax.tree.map(lambda part, item: as_element(part, item, where=where), parts, x, is_leaf=is_space)
            except (ValueError, TypeError) as error:
                raise type(error)(f"{where} must be an element of {space}: {error}") from None
    bounds(space)
    try:
        array = jnp.asarray(x)
    except (TypeError, ValueError):
        raise TypeError(f"{where} must be in {space}, got {brief(x)}") from None
    if not _same_kind(space, array.dtype):
        raise TypeError(f"{where} must have a dtype like {jax_dtype(space)} for {space}, got {array.dtype}")
    if array.shape != space.shape:
        raise ValueError(f"{where} must have the shape {space.shape} for {space}, got {array.shape}")
    return array.astype(jax_dtype(space))


def as_batch(space, x, size, *, where):
    """Like `as_element`, for `size` elements with a leading batch axis."""
    for leaf in jax.tree.leaves(x):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != size:
            raise ValueError(f"{where} must have a leading axis of {size}, got the shape {jnp.shape(leaf)}")
    return jax.vmap(lambda element: as_element(space, element, where=where))(x)


def check_host_value(space, x, *, where):
    """Refuses a Python or NumPy value outside the space; JAX arrays and tracers are not checked.

    Raises:
        ValueError: naming the value, the space and the argument.
    """
    if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(x)):
        return
    match space:
        case spaces.Dict() if isinstance(x, dict) and x.keys() == space.spaces.keys():
            for name, part in space.spaces.items():
                check_host_value(part, x[name], where=f"{where}[{name!r}]")
        case spaces.Tuple() if isinstance(x, tuple | list) and len(x) == len(space.spaces):
            for index, part in enumerate(space.spaces):
                check_host_value(part, x[index], where=f"{where}[{index}]")
        case spaces.Dict() | spaces.Tuple():
            return
        case _:
            _check_host_array(space, x, where)


def greatest(value):
    """The largest value of a constant over a batch of environments; infinity if it is traced.

    For the bounds of an observation space, which contain every member of a batch.

    >>> greatest(2.4), greatest(np.array([1.0, 3.0]))
    (2.4, 3.0)
    """
    return math.inf if isinstance(value, Tracer) else float(np.max(value))


def least(value):
    """Like `greatest`, for the smallest value; minus infinity if it is traced."""
    return -math.inf if isinstance(value, Tracer) else float(np.min(value))


def _check_host_array(space, x, where):
    low, high = bounds(space)
    array = _host_array(x)
    if array is None:
        raise TypeError(f"{where} must be in {space}, got {brief(x)}")
    if array.shape == space.shape and _same_kind(space, array.dtype) and not np.all((array >= low) & (array <= high)):
        raise ValueError(f"{where} must be in {space}, got {brief(x)}")


def _integers(key, shape, n):
    """Integers uniform in [0, n), for an int or an array n that broadcasts against `shape`."""
    n = np.asarray(n)
    if n.max() > _FEW:
        return jax.random.randint(key, shape, 0, jnp.broadcast_to(n.astype(np.int32), shape))
    bits = jax.random.bits(key, shape)
    if math.log2(int(n.max())).is_integer() and n.ndim == 0:
        return (bits & jnp.uint32(int(n) - 1)).astype(jnp.int32)
    return ((bits >> 8) * jnp.broadcast_to(n.astype(np.uint32), shape) >> 24).astype(jnp.int32)


def _sample_box(space, key, shape):
    low, high = bounds(space)
    if low.dtype.kind in "iu":
        return _sample_integers(key, shape, low, high)
    below, above = np.isfinite(low), np.isfinite(high)
    floor, ceiling = (jnp.broadcast_to(np.where(known, end, 0), shape) for known, end in ((below, low), (above, high)))
    if (below & above).all():
        return _between(jax.random.uniform(key, shape, low.dtype), floor, ceiling)
    below, above = jnp.broadcast_to(below, shape), jnp.broadcast_to(above, shape)
    uniform_key, normal_key, exponential_key = jax.random.split(key, 3)
    uniform = _between(jax.random.uniform(uniform_key, shape, low.dtype), floor, ceiling)
    normal = jax.random.normal(normal_key, shape, low.dtype)
    tail = jax.random.exponential(exponential_key, shape, low.dtype)
    one_sided = jnp.where(below, floor + tail, jnp.where(above, ceiling - tail, normal))
    return jnp.where(below & above, uniform, one_sided)


def _sample_integers(key, shape, low, high):
    """Uniform in [low, high], both ends included, for integers of up to 32 bits; sums wrap around as intended."""
    span = (high.astype(np.int64) - low).astype(np.uint32)
    everything = span == np.uint32(2**32 - 1)
    end = jnp.broadcast_to(np.where(everything, np.uint32(1), span + np.uint32(1)), shape)
    within = jax.random.randint(key, shape, jnp.zeros(shape, jnp.uint32), end, jnp.uint32)
    full_range = jnp.broadcast_to(everything, shape)
    offset = jnp.where(full_range, jax.random.bits(key, shape), within) if everything.any() else within
    return (jnp.broadcast_to(low, shape).astype(jnp.uint32) + offset).astype(low.dtype)


def _between(uniform, low, high):
    # Not `low + uniform * (high - low)`: the range of Gymnasium's widest boxes overflows float32.
    # Rounding may then leave a narrow box, so the result is clipped.
    return jnp.clip((1 - uniform) * low + uniform * high, low, high)


def _same_kind(space, dtype):
    if isinstance(space, spaces.Box) and space.dtype.kind == "f":
        return jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
    return jnp.issubdtype(dtype, jnp.integer)


def _all(flags):
    return jnp.all(jnp.stack([jnp.bool_(True), *flags]))


def _no_fixed_shape(space):
    return TypeError(f"jaxenvs needs a space whose elements have one fixed shape, got {brief(space)}")
