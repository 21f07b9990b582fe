"""What both Gymnasium bridges refuse: seeds and states that do not fit, and a process in which JAX cannot run."""

import collections.abc
import os

import jax
import numpy as np
from jax._src import xla_bridge

from jaxenvs.misuse import as_int, brief

_FORKED = {"here": False, "jax_runs": False}
_KINDS = {"b": "True or False", "i": "an integer", "u": "an integer of at least 0", "f": "a number"}


def _before_fork():
    # Without this private function of JAX, any fork counts.
    _FORKED["jax_runs"] = getattr(xla_bridge, "backends_are_initialized", lambda: True)()


def _after_fork():
    _FORKED["here"] |= _FORKED["jax_runs"]


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def is_forked():
    """Whether this process was forked from one in which JAX was running: any computation of JAX would hang here."""
    return _FORKED["here"]


def check_process():
    """Refuses to compute in a process that was forked after JAX had begun, with a RuntimeError."""
    if _FORKED["here"]:
        raise RuntimeError(
            "this process was forked after JAX had started, where JAX hangs: start processes by spawn, such as "
            'gymnasium.vector.AsyncVectorEnv(..., context="spawn")'
        )


def checked_seed(seed):
    """A seed as an int, or None.

    Raises:
        TypeError: for what is not an integer.
        ValueError: for a negative one.
    """
    if seed is None:
        return None
    number = as_int(seed)
    if number is None:
        raise TypeError(f"seed must be an integer of at least 0, or None; got {brief(seed)}")
    if number < 0:
        raise ValueError(f"seed must be at least 0, got {number}")
    return number


def checked_mode(env, render_mode, modes):
    """A render mode, one of `modes` or None; a ValueError for another."""
    if render_mode is not None and not (isinstance(render_mode, str) and render_mode in modes):
        raise ValueError(f"{type(env).__name__}: render_mode must be one of {[None, *modes]}, got {brief(render_mode)}")
    return render_mode


def checked_options(options, known):
    """The options of a reset, a dict.

    Args:
        options: a mapping, or None for none.
        known: the names that it may have.
    Raises:
        TypeError: for what is neither.
        ValueError: for another name.
    """
    options = {} if options is None else options
    if not isinstance(options, collections.abc.Mapping):
        raise TypeError(f"reset(options=...) must be a dict or None, got {brief(options)}")
    if unknown := [name for name in options if name not in known]:
        raise ValueError(f"reset(options=...) accepts only {' and '.join(map(repr, known))}, got {unknown[0]!r}")
    return dict(options)


def given_state(state, given):
    """A state with the values that a person gives instead of its own.

    Args:
        state: a pytree of arrays, the state of a random start.
        given: a mapping from field names to values, or a full state.
    Returns:
        The state, of NumPy arrays with the shapes and dtypes of `state`.
    Raises:
        TypeError: for what is neither, and for a value of another kind of number.
        ValueError: for an unknown field, another shape, and numbers that are not finite or do not fit the dtype.
    """
    if hasattr(given, "_asdict"):
        given = given._asdict()
    if not hasattr(state, "_fields"):
        return _like("state", given, state)
    if not hasattr(given, "keys"):
        raise TypeError(f"options['state'] must map names of fields to numbers, or be a full state, got {brief(given)}")
    if unknown := [name for name in given if name not in state._fields]:
        raise ValueError(f"a state has the fields {', '.join(state._fields)}; got {unknown[0]!r}")
    return state._replace(**{name: _like(f"state.{name}", given[name], getattr(state, name)) for name in given})


def _like(where, given, old):
    """The given value with the structure, shapes and dtypes of the old one."""
    leaves, structure = jax.tree.flatten(old)
    # None is an empty pytree, and would be lost.
    found, there = jax.tree.flatten(given, is_leaf=lambda x: x is None)
    if structure == jax.tree.structure(0):
        return _like_array(where, given, old)
    if there != structure:
        raise TypeError(f"{where} must have the structure {structure}, got {brief(given)}")
    return jax.tree.unflatten(structure, [_like_array(where, *pair) for pair in zip(found, leaves, strict=True)])


def _like_array(where, given, old):
    old = np.asarray(old)
    try:
        value = np.asarray(given)
    except (ValueError, TypeError):
        raise TypeError(f"{where} must be an array of one shape, got {brief(given)}") from None
    kind = old.dtype.kind
    if value.dtype.kind not in {"b": "b", "f": "fiu"}.get(kind, "iu"):
        raise TypeError(f"{where} must be {_KINDS.get(kind, old.dtype)}, got {brief(given)}")
    if value.shape != old.shape:
        raise ValueError(f"{where} must have the shape {old.shape}, got {value.shape}")
    with np.errstate(over="ignore"):
        stored = value.astype(old.dtype)
    # A start that is infinite, or NaN to say that there is none yet, may be given back.
    wrong = ~np.isfinite(stored) & np.isfinite(old) if kind == "f" else stored.astype(object) != value.astype(object)
    if np.any(wrong):
        raise ValueError(f"{where} must be {_KINDS[kind]} that fits {old.dtype}, got {value[wrong].flat[0]}")
    return stored
