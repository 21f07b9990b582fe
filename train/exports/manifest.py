"""Spaces and constants as JSON."""

import numpy as np
from gymnasium import spaces


def space_json(space):
    """A space as what JSON can hold; a bound that is infinite is null.

    >>> space_json(spaces.Discrete(2))
    {'type': 'Discrete', 'shape': [], 'dtype': 'int64', 'n': 2, 'start': 0}
    """
    match space:
        case spaces.Dict():
            return {"type": "Dict", "spaces": {name: space_json(part) for name, part in space.spaces.items()}}
        case spaces.Tuple():
            return {"type": "Tuple", "spaces": [space_json(part) for part in space.spaces]}
    basis = {"type": type(space).__name__, "shape": list(space.shape), "dtype": str(space.dtype)}
    names = {spaces.Box: ("low", "high"), spaces.Discrete: ("n", "start"), spaces.MultiDiscrete: ("nvec", "start")}
    return basis | {name: value_json(getattr(space, name)) for name in names.get(type(space), ())}


def value_json(value):
    """A constant as what JSON can hold: numbers and lists of them; null for what is not finite, text for the rest."""
    array = np.asarray(value)
    if array.dtype.kind in "US" or value is None:
        return value if isinstance(value, str) else None if value is None else array.tolist()
    if array.dtype.kind not in "biuf":
        return repr(value)
    return _finite(array.tolist())


def _finite(value):
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return value if not isinstance(value, float) or np.isfinite(value) else None
