"""Ids: `register`, `make` and `make_vec`."""

import dataclasses
import difflib
import re
from typing import Any

import gymnasium

from jaxenvs.core import Environment
from jaxenvs.entries import is_entry, load
from jaxenvs.envs.acrobot import Acrobot
from jaxenvs.envs.cartpole import CartPole
from jaxenvs.envs.five_choices import FiveChoices
from jaxenvs.envs.heartpole import HeartPole
from jaxenvs.envs.heartpole_v1 import HeartPoleV1
from jaxenvs.envs.lunar_lander import LunarLander, LunarLanderContinuous
from jaxenvs.envs.mountain_car import MountainCar
from jaxenvs.envs.mountain_car_continuous import MountainCarContinuous
from jaxenvs.envs.pendulum import Pendulum
from jaxenvs.envs.point_intercept import PointIntercept, PointInterceptContinuous
from jaxenvs.envs.rocket_landing import RocketLanding
from jaxenvs.envs.simple_rocket import SimpleRocket
from jaxenvs.vector import VectorEnv, constant_axes

_ID = re.compile(r"^(?:[\w-]+/)?[\w.-]+-v\d+$")
_DEFAULT: Any = object()


@dataclasses.dataclass(frozen=True)
class Spec:
    """What an id stands for."""

    id: str
    #: The class, or where it is: "module:Class" or "path.py:Class", loaded at the first use.
    entry_point: type | str
    #: Steps after which an episode is truncated; None is never.
    max_episode_steps: int | None
    #: Constants that differ from the class's defaults.
    constants: dict

    def load(self):
        """The environment's class."""
        return load(self.entry_point) if isinstance(self.entry_point, str) else self.entry_point


#: Every registered `Spec`, by id.
registry: dict[str, Spec] = {}


def register(id, entry_point, *, max_episode_steps=_DEFAULT, **constants):
    """Gives an environment an id, so that `make`, the trainers and the bridges find it.

    Args:
        id: "Name-v0", or "namespace/Name-v0".
        entry_point: a subclass of `Environment`, "module:Class" or "path.py:Class".
        max_episode_steps: the time limit; the class's own by default, None for none.
        constants: constants that differ from the class's defaults.
    Raises:
        ValueError: for an id that is malformed, or taken by another environment.
        TypeError: for an entry point that is no environment.

    >>> import jaxenvs
    >>> jaxenvs.register("CalmHeartPole-v0", jaxenvs.HeartPole, heart_attack_proclivity=0.1)
    >>> jaxenvs.make("CalmHeartPole-v0")
    HeartPole(heart_attack_proclivity=0.1)
    """
    if not _ID.match(id):
        raise ValueError(f"an id must look like 'Name-v0' or 'namespace/Name-v0', got {id!r}")
    if not (isinstance(entry_point, str) and ":" in entry_point) and not _is_environment(entry_point):
        raise TypeError(f"{id}: entry_point must be an Environment class or 'module:Class', got {entry_point!r}")
    spec = Spec(id, entry_point, max_episode_steps, constants)
    if id in registry and registry[id] != spec:
        raise ValueError(f"the id {id!r} is taken by {registry[id].entry_point!r}; choose another, or another version")
    registry[id] = spec
    _register_with_gymnasium(id, spec)


def make(id, **constants):
    """The environment that an id stands for.

    Args:
        id: a registered id, such as "HeartPole-v0", or where a class is: "my_env.py:MyEnv", "module:MyEnv".
        constants: constants that differ from the defaults.
    Raises:
        ValueError: for an unknown id, with the nearest known ones, a class that cannot be loaded, or a constant out
            of range.
        TypeError: for an unknown constant, or one of the wrong kind.

    >>> import jaxenvs
    >>> jaxenvs.make("HeartPole-v0", heart_attack_proclivity=0.3)
    HeartPole(heart_attack_proclivity=0.3)
    """
    found = spec(id)
    return found.load()(**{**found.constants, **constants})


def make_vec(id, num_envs, *, max_episode_steps=_DEFAULT, **constants):
    """A batch of the environment that an id stands for, with time limit and autoreset.

    Args:
        id: as for `make`, an `Environment`, or a `VectorEnv` whose environment and time limit are taken.
        num_envs: size of the batch, at least 1.
        max_episode_steps: overrides the time limit; None for none.
        constants: as for `make`; an array with an axis of `num_envs` in front gives each member its own.
    Returns:
        A `VectorEnv`.
    Raises:
        ValueError: as for `make`; for `num_envs` or `max_episode_steps` below 1; for constants of another batch size.
        TypeError: as for `make`; for `num_envs` or `max_episode_steps` that are no whole numbers.

    >>> import jax.numpy as jnp, jaxenvs
    >>> envs = jaxenvs.make_vec("HeartPole-v0", num_envs=3, heart_attack_proclivity=jnp.array([0.1, 0.3, 0.5]))
    """
    if isinstance(id, VectorEnv):
        env, limit = id.env.replace(**constants), id.max_episode_steps
    elif isinstance(id, Environment):
        env, limit = id.replace(**constants), type(id).max_episode_steps
    else:
        env, limit = make(id, **constants), time_limit(id)
    num_envs = _whole("num_envs", num_envs)
    if max_episode_steps is not _DEFAULT:
        limit = max_episode_steps
    constant_axes(env, num_envs)
    return VectorEnv(env, num_envs, None if limit is None else _whole("max_episode_steps", limit))


def spec(id):
    """The `Spec` of an id, or of an entry such as "my_env.py:MyEnv".

    Raises:
        ValueError: for an unknown id, with the nearest known ones.
    """
    if id in registry:
        return registry[id]
    if is_entry(id):
        return Spec(id, id, _DEFAULT, {})
    near = difflib.get_close_matches(str(id), registry, n=3, cutoff=0.4)
    known = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(sorted(registry))}"
    raise ValueError(f"unknown environment id {id!r}; {known}")


def time_limit(id):
    """The time limit of an id, steps; None for none."""
    found = spec(id)
    return found.load().max_episode_steps if found.max_episode_steps is _DEFAULT else found.max_episode_steps


def _register_with_gymnasium(id, found):
    """Makes `gymnasium.make("jaxenvs/Name-v0")` work; an id with a namespace of its own keeps it."""
    name = id if "/" in id else f"jaxenvs/{id}"
    if name in gymnasium.registry:
        return
    # The limit of a class that is not imported yet is not known yet: then the entry point sets it.
    known = found.max_episode_steps is not _DEFAULT or not isinstance(found.entry_point, str)
    gymnasium.register(
        name,
        entry_point="jaxenvs.bridges.gymnasium:" + ("GymnasiumEnv" if known else "make_with_time_limit"),
        vector_entry_point="jaxenvs.bridges.gymnasium_vector:GymnasiumVectorEnv",
        max_episode_steps=time_limit(id) if known else None,
        kwargs={"env_id": id},
    )


def _whole(name, value):
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number of at least 1, got {value!r}")
    if value.__index__() < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value.__index__()


def _is_environment(entry_point):
    return isinstance(entry_point, type) and issubclass(entry_point, Environment)


register("Acrobot-v1", Acrobot)
register("CartPole-v0", CartPole, max_episode_steps=200)
register("CartPole-v1", CartPole)
register("FiveChoices-v0", FiveChoices)
register("HeartPole-v0", HeartPole)
register("HeartPole-v1", HeartPoleV1)
register("LunarLander-v3", LunarLander)
register("LunarLanderContinuous-v3", LunarLanderContinuous)
register("MountainCar-v0", MountainCar)
register("MountainCarContinuous-v0", MountainCarContinuous)
register("Pendulum-v1", Pendulum)
register("PointIntercept-v0", PointIntercept)
register("PointInterceptContinuous-v0", PointInterceptContinuous)
register("PointInterceptContinuousRandom-v0", PointInterceptContinuous, random_target=True)
register("PointInterceptRandom-v0", PointIntercept, random_target=True)
register("RocketLanding-v0", RocketLanding)
register("SimpleRocket-v0", SimpleRocket)
