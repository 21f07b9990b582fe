"""Ids: `register`, `make` and `make_vec`."""

import dataclasses
import difflib
import functools
import re
from typing import Any

from jaxenvs.constants import checked
from jaxenvs.core import Environment
from jaxenvs.ids import IDS, register_with_gymnasium
from jaxenvs.loading import is_entry, load
from jaxenvs.misuse import brief, checked_int
from jaxenvs.vector import VectorEnv, constant_axes

_ID = re.compile(r"^(?:[\w-]+/)?[\w.-]+-v\d+$")
_DEFAULT: Any = object()


@dataclasses.dataclass(frozen=True)
class Spec:
    """The environment that an id names."""

    id: str
    #: The class, or its location: "module:Class" or "path.py:Class", loaded when first used.
    entry_point: type | str
    #: Steps after which an episode is truncated; None for never.
    max_episode_steps: int | None
    #: Constants that differ from the class's defaults.
    constants: dict

    def load(self):
        """The environment's class, with the id's time limit."""
        cls = load(self.entry_point) if isinstance(self.entry_point, str) else self.entry_point
        limit = self.max_episode_steps
        return cls if limit is _DEFAULT or limit == cls.max_episode_steps else _variant(self.id, cls, limit)


@functools.cache
def _variant(id, cls, limit):
    """A subclass with an id's own time limit. It is not in any module, so its members are pickled by what made them."""

    def reduced(self):
        return _restored, (id, cls, limit, dict(vars(self)))

    def shown(self):
        constants = cls.__repr__(self).removeprefix(f"{cls.__name__}(").removesuffix(")")
        return f"make({', '.join(part for part in (repr(id), constants) if part)})"

    same = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(cls)(
        cls.__name__, (cls,), {**same, "max_episode_steps": limit, "__reduce__": reduced, "__repr__": shown}
    )


def _restored(id, cls, limit, values):
    env = object.__new__(_variant(id, cls, limit))
    vars(env).update(values)
    return env


#: Every registered `Spec`, by id.
registry: dict[str, Spec] = {}


def register(id, entry_point, *, max_episode_steps=_DEFAULT, force=False, **constants):
    """Registers an environment under an id, for `make`, the trainers and the bridges.

    Args:
        id: "Name-v0", or "namespace/Name-v0".
        entry_point: a subclass of `Environment`, "module:Class" or "path.py:Class".
        max_episode_steps: the time limit, at least 1, or None for no limit; by default the limit of the class.
        force: True replaces an existing registration. A number is a constant of that name.
        constants: constants that differ from the class's defaults. They are checked immediately if `entry_point` is a
            class, and when the class is first loaded if it is a location.
    Raises:
        ValueError: for a malformed id, an id that is already registered, a time limit below 1, or a constant out of
            range.
        TypeError: for an entry point that is not an environment, a time limit that is not an integer, or an unknown
            constant or one of the wrong kind.

    >>> import jaxenvs
    >>> jaxenvs.register("CalmHeartPole-v0", jaxenvs.HeartPole, heart_attack_proclivity=0.1)
    >>> jaxenvs.make("CalmHeartPole-v0")
    HeartPole(heart_attack_proclivity=0.1)
    """
    if not _ID.match(id):
        raise ValueError(f"an id must look like 'Name-v0' or 'namespace/Name-v0', got {id!r}")
    if not (isinstance(entry_point, str) and ":" in entry_point) and not _is_environment(entry_point):
        raise TypeError(f"{id}: entry_point must be an Environment class or 'module:Class', got {brief(entry_point)}")
    if not isinstance(force, bool):
        constants, force = {"force": force, **constants}, False
    if id in registry and not force:
        raise ValueError(
            f"the id {id!r} already names {registry[id].entry_point!r}; choose another id, or another version, or "
            "replace it by force=True"
        )
    if max_episode_steps is not _DEFAULT and max_episode_steps is not None:
        max_episode_steps = checked_int(f"{id}: max_episode_steps", max_episode_steps, 1)
    if not isinstance(entry_point, str):
        constants = checked(entry_point, constants)
    registry[id] = Spec(id, entry_point, max_episode_steps, constants)
    # The limit of a class that is not yet imported is unknown: then the entry point sets it.
    if max_episode_steps is not _DEFAULT or not isinstance(entry_point, str):
        register_with_gymnasium(id, time_limit(id), force=force)
    else:
        register_with_gymnasium(id, None, entry_point="make_with_time_limit", force=force)


def make(id, **constants):
    """Makes the environment with the given id.

    Args:
        id: a registered id, such as "HeartPole-v0", or the location of a class: "my_env.py:MyEnv", "module:MyEnv".
        constants: constants that differ from the defaults.
    Returns:
        An instance of the id's class, or of a subclass with the id's time limit if it has one.
    Raises:
        ValueError: for an unknown id (the message has the nearest known ids), a class that cannot be loaded, or a
            constant out of range.
        TypeError: for an unknown constant, or one of the wrong kind.

    >>> import jaxenvs
    >>> jaxenvs.make("HeartPole-v0", heart_attack_proclivity=0.3)
    HeartPole(heart_attack_proclivity=0.3)
    """
    found = spec(id)
    return found.load()(**{**found.constants, **constants})


def make_vec(id, num_envs, *, max_episode_steps=_DEFAULT, **constants):
    """Makes a batch of the environment with the given id, with time limit and autoreset.

    Args:
        id: as for `make`, an `Environment`, or a `VectorEnv`, whose environment and time limit are used.
        num_envs: size of the batch, at least 1.
        max_episode_steps: overrides the time limit; None for no limit.
        constants: as for `make`; an array with a leading axis of `num_envs` gives each environment its own value.
    Returns:
        A `VectorEnv`.
    Raises:
        ValueError: as for `make`; for `num_envs` or `max_episode_steps` below 1; for constants of another batch size.
        TypeError: as for `make`; for `num_envs` or `max_episode_steps` that are not integers.

    >>> import jax.numpy as jnp, jaxenvs
    >>> envs = jaxenvs.make_vec("HeartPole-v0", num_envs=3, heart_attack_proclivity=jnp.array([0.1, 0.3, 0.5]))
    """
    if isinstance(id, VectorEnv):
        env, limit = id.env.replace(**constants), id.max_episode_steps
    elif isinstance(id, Environment):
        env, limit = id.replace(**constants), type(id).max_episode_steps
    else:
        env, limit = make(id, **constants), time_limit(id)
    num_envs = checked_int("num_envs", num_envs, 1)
    if max_episode_steps is not _DEFAULT:
        limit = max_episode_steps
    constant_axes(env, num_envs)
    return VectorEnv(env, num_envs, None if limit is None else checked_int("max_episode_steps", limit, 1))


def spec(id):
    """The `Spec` of an id, or of an entry such as "my_env.py:MyEnv".

    Raises:
        ValueError: for an unknown id, with the nearest known ones.
    """
    if id in registry:
        return registry[id]
    if is_entry(id):
        return Spec(id, id, _DEFAULT, {})
    if isinstance(id, type) and issubclass(id, Environment):
        raise TypeError(f"an environment is an instance, not the class: write {id.__name__}()")
    near = difflib.get_close_matches(str(id), registry, n=3, cutoff=0.4)
    known = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(sorted(registry))}"
    raise ValueError(f"unknown environment id {id!r}; {known}")


def time_limit(id):
    """The time limit of an id, steps; None for none."""
    found = spec(id)
    return found.load().max_episode_steps if found.max_episode_steps is _DEFAULT else found.max_episode_steps


def _is_environment(entry_point):
    return isinstance(entry_point, type) and issubclass(entry_point, Environment)


registry.update({id: Spec(id, where, limit, constants) for id, (where, limit, constants) in IDS.items()})
