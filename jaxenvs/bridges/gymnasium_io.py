"""Observations out of words, and actions into them, each checked against its space."""

import functools

import jax
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction

from jaxenvs.misuse import brief

#: An action outside a Box of floats by at most this part of its range is clipped: networks and their scaling round.
NEAR = 1e-3


def observation_reader(space, program):
    """A function that reads an observation, as the space declares it, from the output words and their floats."""
    at, packing = program.observation_slice, program.observations
    if isinstance(space, spaces.Box) and space.dtype == np.float32:
        shape = space.shape
        if len(shape) == 1:
            return lambda out, floats: floats[at].copy()
        return lambda out, floats: floats[at].reshape(shape).copy()
    if isinstance(space, spaces.Discrete):
        return lambda out, floats: np.int64(out.view(np.int32)[at.start])
    return lambda out, floats: _as_declared(space, packing.unpack_host(out[at]))


def info_reader(fields, program):
    """A function from the output words to `info`: the named fields of the state; None where there are none.

    Raises:
        ValueError: for a field that the state does not have.
    """
    if not fields:
        return None
    places, leaves = program.states.places, {}
    if unknown := [name for name in fields if name not in places]:
        raise ValueError(f"info_fields must be arrays of the state, {', '.join(places)}; got {unknown[0]!r}")
    for name in fields:
        start, shape, dtype = places[name]
        leaves[name] = _word_reader(start, dtype) if shape == () else _part_reader(program, name)
    return lambda out: {name: read(out) for name, read in leaves.items()}


def _word_reader(at, dtype):
    """A function that reads one number out of the output words."""
    if dtype == np.bool_:
        return lambda out: out.item(at) != 0
    wide = np.float32 if np.issubdtype(dtype, np.floating) else np.int32
    wide = np.uint32 if dtype == np.uint32 else wide
    return lambda out: out.view(wide).item(at)


def _part_reader(program, name):
    at, states = program.state_slice, program.states
    return lambda out: getattr(states.unpack_host(out[at]), name)


def _as_declared(space, value):
    match space:
        case spaces.Dict():
            return {name: _as_declared(part, value[name]) for name, part in space.spaces.items()}
        case spaces.Tuple():
            return tuple(_as_declared(part, item) for part, item in zip(space.spaces, value, strict=True))
        case spaces.Discrete():
            return np.int64(value)
    return value.astype(space.dtype)


def action_writer(space, program):
    """A function that checks an action and writes it into the input words."""
    at = program.action_slice
    match space:
        case spaces.Discrete():
            return functools.partial(_write_choice, space, int(space.start), int(space.start + space.n), at.start)
        case spaces.Box() if space.dtype in (np.float32, np.int32):
            low, high = space.low.ravel().tolist(), space.high.ravel().tolist()
            kinds = "fiu" if space.dtype == np.float32 else "iu"
            return functools.partial(_write_numbers, space, kinds, low, high, at)
    return functools.partial(_write_any, space, program.actions, at)


def _write_choice(space, first, end, at, words, action):
    try:
        index = action.__index__()
    except (AttributeError, TypeError):
        raise _refused(space, action) from None
    if not first <= index < end or isinstance(action, bool | np.bool_):
        raise _refused(space, action)
    words[at] = index & 0xFFFFFFFF


def _write_numbers(space, kinds, low, high, at, words, action):
    try:
        array = np.asarray(action)
    except (TypeError, ValueError):
        raise _refused(space, action) from None
    if array.shape != space.shape or array.dtype.kind not in kinds:
        raise _refused(space, action)
    numbers = array.ravel().tolist()
    # Plain comparisons are faster than NumPy's up to a few dozen numbers; NaN fails them.
    for number, least, greatest in zip(numbers, low, high, strict=True):
        if not least <= number <= greatest:
            numbers = _clipped(space, action).ravel()
            break
    words.view(space.dtype)[at] = numbers


def _clipped(space, action):
    clipped, outside = clip_near(space, np.asarray(action))
    if outside.any():
        raise _refused(space, action)
    return clipped


def clip_near(space, array):
    """Clips what is just outside a Box of floats, as rounding leaves it.

    Args:
        space: a Box.
        array: numbers whose last axes are the space's.
    Returns:
        (clipped, outside): the array inside the space, and where it was further outside than `NEAR` of the range,
        or not a number; integers must be inside.
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    slack = NEAR * np.where(np.isfinite(high - low), high - low, 1.0) if space.dtype.kind == "f" else 0.0
    outside = ~((array >= low - slack) & (array <= high + slack))
    return np.clip(array, low, high).astype(space.dtype), outside


def _write_any(space, packing, at, words, action):
    if not space.contains(action):
        raise _refused(space, action)
    words[at] = packing.pack_rows(jax.tree.map(lambda x: np.asarray(x)[None], action))[0]


def _refused(space, action):
    return InvalidAction(f"an action must be in {space}, got {brief(action)} ({type(action).__name__})")
