"""The constants of an environment: how they are declared, and how their values are checked."""

import dataclasses
import difflib
import math
import numbers
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxenvs.misuse import brief

_INT32 = np.iinfo(np.int32)
# What people call the time limit.
_LIMITS = {"max_episode_steps", "max_steps", "max_episode_length", "max_steps_in_episode", "time_limit", "horizon"}
_KIND_WORDS = {bool: "True or False", int: "an integer", float: "a number"}


def constant(default, *, low=None, high=None, above=None, below=None) -> Any:
    """Declares a physical constant and its allowed values.

    A field with a plain default (`gravity: float = 9.8`) is a constant that may be any finite number.

    Args:
        default: float, int, bool, or a (nested) tuple of floats for an array constant. Other values must have the same
            kind: a float constant is stored as a Python float or a float32 array.
        low, high: the smallest and the largest allowed value.
        above, below: exclusive bounds.

    >>> import jaxenvs
    >>> class Fall(jaxenvs.Environment):
    ...     gravity: float = jaxenvs.constant(9.8, above=0.0)
    >>> Fall(gravity=-1.0)
    Traceback (most recent call last):
        ...
    ValueError: Fall: gravity must be above 0.0, got -1.0
    """
    return dataclasses.field(default=default, metadata={"limits": _limits(low, high, above, below)})


def static(default, *, low=None, high=None, above=None, below=None) -> Any:
    """Declares a field that determines shapes or Python control flow: changing it recompiles, and it cannot be batched.

    The kind and limits of a number are checked as for `constant`. Any other value must be hashable.

    >>> import jaxenvs
    >>> class Chain(jaxenvs.Environment):
    ...     length: int = jaxenvs.static(5)
    """
    limits = _limits(low, high, above, below)
    return dataclasses.field(default=default, metadata={"static": True, "limits": limits})


def _limits(low, high, above, below):
    limits = {"low": low, "high": high, "above": above, "below": below}
    for name, limit in limits.items():
        if limit is not None and not isinstance(limit, numbers.Real):
            raise TypeError(f"{name} of a constant must be a number or None, got {brief(limit)}")
    least = [limit for limit in (low, above) if limit is not None]
    most = [limit for limit in (high, below) if limit is not None]
    if least and most and max(least) > min(most):
        raise ValueError(f"no constant can be {describe(limits)}: change the limits")
    return limits


def is_static(field):
    return field.metadata.get("static", False)


def checked(cls, given):
    """The values given for a class's fields, each in its stored form.

    Args:
        cls: the environment's class, a dataclass.
        given: dict of field name to value.
    Raises:
        TypeError: for a name that is not a field, or a value of the wrong kind.
        ValueError: for a number that is not finite or out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    for name in given:
        if name not in fields:
            raise TypeError(_unknown(cls, name, list(fields)))
    return {name: _checked_field(cls.__name__, fields[name], value) for name, value in given.items()}


def _unknown(cls, name, names):
    owner, value = cls.__name__, getattr(cls, name, None)
    if isinstance(value, bool | int | float):
        kind = type(value).__name__
        return f"{owner}: {name} is not a constant, because it has no type: write {name}: {kind} = {value}"
    if name in cls.not_constants:
        return f"{owner} has no constant {name!r}: {cls.not_constants[name]}"
    if name in _LIMITS:
        return f"{owner} has no constant {name!r}: the time limit is max_episode_steps, of make_vec and of register"
    if name == "render_mode":
        return f'{owner} has no render_mode, but render(state); gymnasium.make("jaxenvs/...") takes one'
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = f"It has: {', '.join(names) or 'none'}"
    # TorchRL leaves out an argument of its own where the message has these words.
    return f"{owner} has no constant {name!r}.{hint} {known} (unexpected keyword argument {name!r})"


def _checked_field(owner, field, value):
    where = f"{owner}: {field.name}"
    if not is_static(field):
        return _checked_value(where, field, value)
    if isinstance(value, Tracer):
        raise TypeError(f"{where} is static: it cannot be traced, mapped or differentiated, got {value}")
    if not isinstance(field.default, numbers.Real):
        return value
    kind = kind_of(field.default)
    if not isinstance(value, numbers.Real | np.generic):
        raise TypeError(f"{where} must be {_KIND_WORDS[kind]}, not several, got {brief(value)}")
    array = np.asarray(value)
    _check_kind(where, kind, array)
    _check_limits(where, field.metadata["limits"], kind, array)
    return kind(array.item())


def _checked_value(where, field, value):
    kind = kind_of(field.default)
    if not isinstance(value, Tracer):
        array = _as_array(where, value)
        _check_kind(where, kind, array)
        _check_limits(where, field.metadata.get("limits", {}), kind, array)
    if isinstance(value, numbers.Real | np.generic):
        return kind(np.asarray(value).item())
    dtype = {float: np.float32, int: np.int32, bool: np.bool_}[kind]
    return value.astype(dtype) if isinstance(value, jax.Array) else np.asarray(value, dtype)


def kind_of(default):
    """`float`, `int` or `bool`: the kind of number of a constant with this default."""
    dtype = np.asarray(default).dtype
    if np.issubdtype(dtype, np.bool_):
        return bool
    return int if np.issubdtype(dtype, np.integer) else float


def _as_array(where, value):
    try:
        array = np.asarray(value)
    except Exception as error:
        raise TypeError(f"{where} must be a number or an array of numbers, got {brief(value)}") from error
    if array.dtype.kind not in "biuf" and not isinstance(value, jax.Array):
        raise TypeError(f"{where} must be a number or an array of numbers, got {brief(value)} ({type(value).__name__})")
    return array


def _check_kind(where, kind, array):
    if kind is bool and array.dtype.kind != "b":
        raise TypeError(f"{where} must be {_KIND_WORDS[kind]}, got {array}")
    if kind is int and array.dtype.kind not in "iu":
        raise TypeError(f"{where} must be {_KIND_WORDS[kind]}, got {array}")
    if kind is float and array.dtype.kind == "b":
        raise TypeError(f"{where} must be {_KIND_WORDS[kind]}, got {array}")


def _check_limits(where, limits, kind, array):
    if (
        kind is int
        and (wide := (array.astype(np.float64) > _INT32.max) | (array.astype(np.float64) < _INT32.min)).any()
    ):
        raise ValueError(f"{where} must fit in 32 bits, {_INT32.min} to {_INT32.max}, got {array[wide].flat[0]}")
    # Checked as float32, so that a value which becomes infinite or zero there is refused.
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float32).astype(np.float64)
    low, high, above, below = (_as_float32(limits.get(name)) for name in ("low", "high", "above", "below"))
    wrong = ~np.isfinite(rounded)
    wrong |= rounded < (-math.inf if low is None else low)
    wrong |= rounded > (math.inf if high is None else high)
    if above is not None:
        wrong |= rounded <= above
    if below is not None:
        wrong |= rounded >= below
    if wrong.any():
        raise ValueError(f"{where} must be {describe(limits)}, got {kind(array[wrong].flat[0])}")


def _as_float32(limit):
    return None if limit is None else float(np.float32(limit))


def describe(limits):
    """The allowed values in words, such as `at least 0.0 and at most 1.0`."""
    words = {"low": "at least", "above": "above", "high": "at most", "below": "below"}
    parts = [f"{words[name]} {limits[name]}" for name in words if limits.get(name) is not None]
    return " and ".join(parts) or "a finite number"
