"""What people do to environments that cannot work, and the sentence that says what to do instead."""

import contextlib
import operator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_ARRAYS = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
# The states of environments, by their classes and static constants.
_STATES = {}


class Absent:
    """Stands for an argument that was not given; a class, since the copy of an object would be another one."""


ABSENT: Any = Absent


def misused(env, signature):
    """The error for a call as of one of Gymnasium's environments."""
    return TypeError(
        f"{type(env).__name__} has {signature}, and no state of its own; Gymnasium's interface is "
        f'gymnasium.make("jaxenvs/...")'
    )


def refuse_batched(env, names):
    """Refuses constants with an axis for a batch, outside of a `vmap`; `names` are those to look at."""
    for name in names:
        value = getattr(env, name)
        if np.ndim(value) > np.ndim(getattr(type(env), name, value)):
            raise ValueError(
                f"{type(env).__name__}: {name} has the shape {np.shape(value)}, a value for each environment of a "
                "batch: use jax.vmap or jaxenvs.make_vec"
            )


@contextlib.contextmanager
def explained_state(reset, state, where):
    """Turns an error that a state of the wrong kind causes into one that says so.

    Args:
        reset: a function without arguments that returns what a state should be.
        state: what was given.
        where: the method, for the message.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError, IndexError, AssertionError) as error:
        failed = error
    else:
        return
    try:
        expected = jax.eval_shape(reset)
    except Exception:
        # `reset` itself calls the method that fails.
        raise failed from None
    check_form(expected, state, where, failed)
    raise failed


def check_form(expected, given, where, cause=None, what="state"):
    """Refuses a pytree of another structure or other shapes than the one that `reset` returns, with a TypeError.

    Args:
        expected: what it should be, arrays or their shapes and dtypes.
        given: what was given.
        where: the method, for the message.
        cause: the exception that this one explains.
        what: the name of the argument.
    """
    if _form(given) != _form(expected):
        raise TypeError(
            f"{where}: {what} must be {shown(expected)}, as reset returns it, got {shown(given)}"
        ) from cause


def check_names(env, state, where):
    """Refuses a state, outside of traces, whose arrays have other names than those of `env`, with a TypeError.

    Another environment's state may have the fields that a method reads, and mean something else by them.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((env, state))):
        return
    expected = _states(env)
    if expected is not None and _names(state) != _names(expected):
        raise TypeError(f"{where}: state must be {shown(expected)}, as reset returns it, got {shown(state)}")


def _states(env):
    """What `env.reset` returns as the state, arrays as their shapes; None where it fails."""
    structure = jax.tree.structure(env)
    if structure not in _STATES:
        try:
            _STATES[structure] = jax.eval_shape(env.reset, jax.random.key(0))[0]
        except Exception:
            return None
    return _STATES[structure]


def _names(tree):
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def shown(tree):
    """A state in few words, such as `State(x f32[3], y i32[])`."""
    if hasattr(tree, "_fields"):
        return f"{type(tree).__name__}({', '.join(f'{name} {shown(part)}' for name, part in tree._asdict().items())})"
    if not isinstance(tree, _ARRAYS):
        return brief(tree)
    return f"{tree.dtype}[{','.join(map(str, tree.shape))}]"


class _Bare(str):
    """Text that is printed without quotes."""

    __repr__ = str.__str__


def brief(value, length=80):
    """A value in one short line; arrays of JAX by dtype and shape, unless they are plain numbers."""
    with contextlib.suppress(Exception):
        value = jax.tree.map(lambda leaf: _Bare(_brief_array(leaf)) if isinstance(leaf, jax.Array) else leaf, value)
    return f"{' '.join(repr(value).split()):.{length}}"


def _brief_array(array):
    number = not isinstance(array, Tracer) and array.shape == () and getattr(array.dtype, "kind", "V") in "biufc"
    return str(array) if number else shown(array)


def as_int(value):
    """A value as an int; None if it is not an integer, or has no value yet, as inside `jax.jit`."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def checked_int(where, value, least=0):
    """An integer of at least `least` that fits in 32 bits, as an int.

    Raises:
        TypeError: for what is not an integer.
        ValueError: for one that is too small or too large.
    """
    number = as_int(value)
    if number is None:
        raise TypeError(f"{where} must be an integer of at least {least}, got {brief(value)}")
    if number < least:
        raise ValueError(f"{where} must be at least {least}, got {number}")
    if number >= 2**31:
        raise ValueError(f"{where} must be below 2**31, got {number}")
    return number


def checked_shape(where, shape):
    """A shape; refuses what is not a tuple of integers of at least 0, with a ValueError."""
    sizes = [as_int(size) for size in shape] if type(shape) is tuple else [None]
    if any(size is None or not 0 <= size < 2**31 for size in sizes):
        raise ValueError(f"{where} must be a tuple of integers of at least 0, such as (3,), got {brief(shape)}")
    return shape


def _form(tree):
    # Not the structure itself: what parts of it are equal is the author's affair.
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    known = _ARRAYS | bool | int | float
    shapes = [
        (jax.tree_util.keystr(path), np.shape(leaf) if isinstance(leaf, known) else None) for path, leaf in leaves
    ]
    return shapes if isinstance(tree, _ARRAYS) else (type(tree), shapes)
