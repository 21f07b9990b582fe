"""What spaces mean to networks: the features of an observation, and an action from a network's outputs."""

import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.spaces import bounds

from .distributions import Categorical, Categoricals, Normal

_MAX_CHOICES = 4096


def num_features(space):
    """How many numbers `features` makes of an observation."""
    match space:
        case spaces.Box() | spaces.MultiBinary():
            return math.prod(space.shape)
        case spaces.Discrete():
            return int(space.n)
        case spaces.MultiDiscrete():
            return int(np.sum(space.nvec))
        case spaces.Dict():
            return sum(num_features(part) for part in space.spaces.values())
        case spaces.Tuple():
            return sum(num_features(part) for part in space.spaces)
    raise TypeError(f"no features are defined for the observation space {space!r}")


def features(space, obs):
    """An observation as one flat vector: numbers as they are, choices one-hot, composite spaces concatenated.

    Args:
        space: a Box, Discrete, MultiBinary, MultiDiscrete, Dict or Tuple.
        obs: its element, with any leading axes.
    Returns:
        f32[..., num_features(space)].
    Raises:
        TypeError: for another space.
    """
    match space:
        case spaces.Box() | spaces.MultiBinary():
            leading = obs.shape[: obs.ndim - len(space.shape)]
            return obs.astype(jnp.float32).reshape(*leading, math.prod(space.shape))
        case spaces.Discrete():
            return jax.nn.one_hot(obs - space.start, int(space.n))
        case spaces.MultiDiscrete():
            flat = (obs - jnp.broadcast_to(space.start, obs.shape)).reshape(
                *obs.shape[: obs.ndim - len(space.shape)], -1
            )
            hot = [jax.nn.one_hot(flat[..., i], int(n)) for i, n in enumerate(space.nvec.flat)]
            return jnp.concatenate(hot, axis=-1)
        case spaces.Dict():
            return jnp.concatenate([features(part, obs[name]) for name, part in space.spaces.items()], axis=-1)
        case spaces.Tuple():
            return jnp.concatenate([features(p, o) for p, o in zip(space.spaces, obs, strict=True)], axis=-1)
    raise TypeError(f"no features are defined for the observation space {space!r}")


def choices(space):
    """How many possibilities each choice of an action has; none where actions are no choices.

    Returns:
        A tuple of ints: one for Discrete, one an axis for MultiDiscrete, MultiBinary and a Box of integers.
    """
    match space:
        case spaces.Discrete():
            return (int(space.n),)
        case spaces.MultiDiscrete() | spaces.MultiBinary():
            low, high = bounds(space)
        case spaces.Box() if space.dtype.kind in "iu" and space.is_bounded():
            low, high = bounds(space)
        case _:
            return ()
    return tuple((np.ravel(high).astype(np.int64) - np.ravel(low) + 1).tolist())


def num_outputs(space):
    """How many numbers a policy network puts out for an action space.

    Raises:
        TypeError: for a space that is neither made of choices nor a Box of bounded floats, or has too many choices.
    """
    if 0 < sum(choices(space)) <= _MAX_CHOICES:
        return sum(choices(space))
    if isinstance(space, spaces.Box) and space.dtype.kind == "f" and space.is_bounded():
        return math.prod(space.shape)
    raise TypeError(
        f"the action space must be a bounded Box of floats, or choices (Discrete, MultiDiscrete, MultiBinary, a Box of "
        f"integers) of at most {_MAX_CHOICES} possibilities together, got {space!r}"
    )


#: The kinds of action spaces: one choice, several choices, a box of bounded floats.
KINDS = {"discrete": "Discrete", "choices": "choices", "box": "a Box of bounded floats"}
#: The kinds that each loaded algorithm acts in.
_ACTORS = {}


def acts_in(algorithm, *kinds):
    """Declares what an algorithm acts in, so that the errors of others can name it.

    Args:
        algorithm: its name on the command line.
        kinds: of `KINDS`.
    Returns:
        `kinds`, for the `ACTIONS` of the algorithm's module.
    """
    _ACTORS[algorithm] = kinds
    return kinds


def check_actions(algorithm, space):
    """Refuses an action space that an algorithm cannot act in.

    Args:
        algorithm: its name, which `acts_in` was called with.
        space: an action space.
    Raises:
        TypeError: naming the algorithms that can act in it, or as `num_outputs` for a space that none can act in.
    """
    num_outputs(space)
    kind = "discrete" if isinstance(space, spaces.Discrete) else "choices" if choices(space) else "box"
    if kind not in _ACTORS[algorithm]:
        able = " and ".join(KINDS[one] for one in _ACTORS[algorithm])
        # The other algorithms declare theirs when they are loaded. This package is `train`, or `jaxenvs.train`.
        importlib.import_module("..presets", __package__)
        others = sorted(name for name, kinds in _ACTORS.items() if kind in kinds)
        use = f"; use {' or '.join(others)}" if others else ""
        raise TypeError(f"{algorithm} needs actions in {able}, got {space!r}{use}")


def dueling(outputs):
    """Q(s, a) = V(s) + A(s, a) - mean over a of A(s, a) (Wang et al. 2016, arXiv:1511.06581, eq. 9).

    Args:
        outputs: f32[..., 1 + actions, n]: V, and A of each action.
    Returns:
        f32[..., actions, n].
    """
    value, advantage = outputs[..., :1, :], outputs[..., 1:, :]
    return value + advantage - advantage.mean(-2, keepdims=True)


def distribution_over(space, outputs, log_std):
    """What a network's outputs f32[..., num_outputs(space)] mean; `log_std` f32[axes] is used for a Box of floats."""
    match choices(space):
        case ():
            return Normal(outputs, log_std)
        case (_,) if isinstance(space, spaces.Discrete):
            return Categorical(outputs)
        case sizes:
            return Categoricals(outputs, sizes)


def to_action(space, sample):
    """A distribution's sample as an action.

    Choices are counted from the space's start, or lower bound. A normal's sample lives where the box is [-1, 1] on
    each axis: it is clipped to that, and mapped onto the box; learning uses the unclipped sample.
    """
    if isinstance(space, spaces.Discrete):
        return sample + jnp.int32(space.start)
    low, high = bounds(space)
    if choices(space):
        chosen = sample.reshape(*sample.shape[:-1], *space.shape).astype(low.dtype)
        return chosen + jnp.broadcast_to(low, chosen.shape)
    unit = jnp.clip(sample, -1.0, 1.0).reshape(*sample.shape[:-1], *space.shape)
    centre, reach = (low + high) / np.float32(2), (high - low) / np.float32(2)
    return jnp.broadcast_to(centre, unit.shape) + jnp.broadcast_to(reach, unit.shape) * unit


def log_reach(space):
    """f32[], the sum of the logarithms of half the widths of a Box, over its axes.

    The log-density of an action that `to_action` makes is lower by it than that of the sample, and the entropy higher.
    """
    low, high = bounds(space)
    return jnp.sum(jnp.log((high - low) / np.float32(2)))
