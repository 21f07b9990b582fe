"""The elements of a `Program`'s arrays, and how a primitive is applied to them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Lanes(NamedTuple):
    """The block of environments that is computed at once."""

    size: int
    #: The place in the batch of each lane, as an array of a dtype.
    places: Callable[[Any], jax.Array]
    #: Whether the code must suit Triton.
    triton: bool


class Key(NamedTuple):
    """One JAX key, as its words."""

    words: tuple


class Pair(NamedTuple):
    """A complex number, as generators use it to carry two words: Triton has none."""

    real: Any
    imag: Any


def filled(shape, items):
    """An array of objects, row by row."""
    array = np.empty(int(np.prod(shape)), object)
    for place, item in enumerate(items):
        array[place] = item
    return array.reshape(shape)


def spread(item, shape):
    """An element as an array of the lanes' shape."""
    if isinstance(item, np.generic):
        return lax.full(shape, item.item(), item.dtype)
    return item if item.shape == shape else lax.broadcast(item, shape)


def bind(primitive, params, items):
    """A primitive on elements: computed now if all are known, and on scalars if no lane differs."""
    items = tuple(items)
    if any(isinstance(item, Pair) for item in items):
        halves = ([_half(item, part) for item in items] for part in Pair._fields)
        return Pair(*(bind(primitive, params, half) for half in halves))
    if all(isinstance(item, np.generic) for item in items):
        with jax.ensure_compile_time_eval():
            return np.asarray(primitive.bind(*map(jnp.asarray, items), **params))[()]
    shape = max((item.shape for item in items), key=len)
    return primitive.bind(*(spread(item, shape) for item in items), **params)


def _half(item, part):
    return getattr(item, part) if isinstance(item, Pair | np.complexfloating) else item


def shape_of(variable):
    """The shape of a variable's array of elements, in which the batch axis has size 1."""
    return tuple(1 if axis == variable.batch else size for axis, size in enumerate(variable.aval.shape))
