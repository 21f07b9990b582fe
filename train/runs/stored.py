"""`checked`: the values of a `config.json`, each of which a person may have changed."""

import dataclasses
import json
import math

from ..presets import is_schedule

#: Seeds: JAX makes a key of the last 32 bits of one, and a run uses the next one as well.
LARGEST_SEED = 2**32 - 2


class StoredError(ValueError):
    """A value that is missing or cannot be; the message names it, says what is allowed, and what it is."""


def checked(stored, algorithms, keys):
    """The values that decide a run.

    Args:
        stored: what `json.loads` returned.
        algorithms: {name: module}.
        keys: the allowed kinds of keys.
    Returns:
        dict of the fields of `Plan`; "config" is a dict of hyperparameters, whose ranges are not checked yet.
    Raises:
        StoredError: for a value that is missing, or of another kind.

    >>> checked({"algorithm": "sarsa"}, {"ppo": None}, ("ordinary",))
    Traceback (most recent call last):
        ...
    train.runs.stored.StoredError: algorithm must be one of ppo, got "sarsa"
    """
    if not isinstance(stored, dict):
        raise StoredError(f"it must hold an object, got {_shown(stored)}")
    found = {}
    for name, (allowed, accepts, required) in _kinds(algorithms, keys).items():
        if name in stored:
            _require(name, stored[name], accepts, allowed)
            found[name] = stored[name]
        elif required:
            raise StoredError(f"{name} is missing")
    found["config"] = _hyperparameters(algorithms[found["algorithm"]].Config, found["config"])
    return found


def _kinds(algorithms, keys):
    """{field: (what is allowed in words, whether a value is, whether it must be there)}."""
    return {
        "algorithm": (f"one of {', '.join(algorithms)}", lambda v: isinstance(v, str) and v in algorithms, True),
        "env": ("a registered id, or where a class is", lambda v: isinstance(v, str), True),
        "constants": ("an object of constants", lambda v: isinstance(v, dict), True),
        "training": ("an object of constants", lambda v: isinstance(v, dict), True),
        "curve_as_trained": ("true or false", lambda v: isinstance(v, bool), True),
        "config": ("an object of hyperparameters", lambda v: isinstance(v, dict), True),
        "total_steps": ("an integer of at least 1", lambda v: _is_integer(v) and v >= 1, True),
        "seed": (f"an integer from 0 to {LARGEST_SEED:,}", lambda v: _is_integer(v) and 0 <= v <= LARGEST_SEED, True),
        "until": ("a finite number, or null", lambda v: v is None or (_is_number(v) and math.isfinite(v)), False),
        "schedule": ("a list of parts with from_step, to_step and values", is_schedule, False),
        "keys": (f"one of {', '.join(keys)}", lambda v: isinstance(v, str) and v in keys, False),
    }


def _hyperparameters(cls, values):
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    for name, value in values.items():
        if name not in defaults:
            raise StoredError(f"there is no hyperparameter {name!r}")
        default = defaults[name]
        if isinstance(default, bool):
            _require(name, value, lambda v: isinstance(v, bool), "true or false")
        elif isinstance(default, int):
            _require(name, value, _is_integer, "an integer")
        elif isinstance(default, float):
            _require(name, value, _is_number, "a number")
        elif isinstance(default, str):
            _require(name, value, lambda v: isinstance(v, str), "a string")
        elif isinstance(default, tuple):
            _require(name, value, lambda v: isinstance(v, list) and all(map(_is_integer, v)), "a list of integers")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _require(name, value, accepts, allowed):
    if not accepts(value):
        raise StoredError(f"{name} must be {allowed}, got {_shown(value)}")


def _shown(value):
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
