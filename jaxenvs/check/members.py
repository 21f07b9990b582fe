"""What a `Probe` is made of: records of what was run, compiled methods, and changed constants."""

import collections
import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxenvs.constants import kind_of


class Taken(NamedTuple):
    """One step that was taken, with what it was given and what it gave."""

    key: Any
    state: Any
    action: Any
    #: What `step` returned: (state, Step).
    result: Any


class Batch(NamedTuple):
    """Environments that stand side by side, most of them with one constant changed, and what to step them with."""

    #: The single environments, and the name of the constant that is changed in each; None for none.
    singles: list[Any]
    changed: list[str | None]
    #: The same with a batch axis in front: environments, keys, states and actions.
    envs: Any
    keys: Any
    states: Any
    actions: Any


class EagerRun(NamedTuple):
    """One call of a method without `jax.jit`."""

    method: str
    args: tuple
    #: The same arguments in containers of their own, as the method left them.
    given: tuple
    #: What it returned, with names for the parts.
    result: Any
    #: What became of the keys, a list of `keys.Use`.
    uses: list


#: How often JAX traced each method of `single`, by class and name.
TRACES = collections.Counter()


@functools.cache
def single(cls, name):
    """A method, jitted, with its traces counted in `TRACES`."""

    def method(env, *args):
        TRACES[cls, name] += 1
        return getattr(cls, name)(env, *args)

    return jax.jit(method)


@functools.cache
def batched(cls, name, over_envs=True):
    """A method, jitted, of many keys and, by default, as many environments."""
    method = getattr(cls, name)
    return jax.jit(jax.vmap(method) if over_envs else jax.vmap(method, (None, 0)))


def stack(trees):
    """One tree of NumPy arrays with a batch axis in front."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *trees)


def variant(env, name):
    """The environment with one constant moved a little, within its limits; None where it cannot move."""
    given = getattr(env, name)
    for candidate in _candidates(np.asarray(given)):
        # A number stays a number and an array an array, so that JAX sees the same types.
        cast: Any = type(given)
        changed = cast(candidate) if np.isscalar(given) else candidate
        if not np.array_equal(changed, given) and _allowed(env, name, changed):
            pick = lambda path, leaf: changed if path[0].name == name else leaf  # noqa: B023, E731
            return jax.tree_util.tree_map_with_path(pick, env)
    return None


def _candidates(value):
    kind = kind_of(value)
    if kind is bool:
        return [~value]
    if kind is int:
        return [value + 1, value - 1]
    moved = [value * 1.1 + 0.01, value * 0.9 - 0.01, value * 1.01, value * 0.99, value * 0.5]
    return [np.asarray(candidate, value.dtype) for candidate in moved]


def _allowed(env, name, value):
    try:
        env.replace(**{name: value})
    except (TypeError, ValueError):
        return False
    return True
