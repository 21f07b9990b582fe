"""`Environment`, the contract that every environment keeps, and `Step`, what a step returns."""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple, dataclass_transform

import jax
import numpy as np

from jaxenvs import spaces
from jaxenvs.constants import checked, is_static
from jaxenvs.definition import check_definition
from jaxenvs.random import as_key, fusable


class Step(NamedTuple):
    """What one transition gives besides the next state."""

    #: The observation of the next state, as `observation_space` declares it.
    obs: Any
    #: f32[], the reward of this transition.
    reward: Any
    #: bool[], true where the next state is terminal: no reward can follow it.
    terminated: Any


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Environment:
    """A Markov decision process: constants as fields, and two pure, jitted methods, `reset` and `step`.

    A subclass becomes a frozen dataclass and a JAX pytree whose leaves are its constants, so `jit`, `vmap`, `grad`
    and `scan` take environments as they take arrays. It defines `observation_space`, `action_space`, and either

    - `reset(self, key) -> (state, obs)` and `step(self, key, state, action) -> (state, Step)`, or
    - the same split where chance ends, which is faster in batches and lets tests inject the draws:
      `draw_start(self, key, shape=())`, `start(self, draws) -> (state, obs)`,
      `draw(self, key, shape=())`, `transition(self, state, action, draws) -> (state, Step)`.
      `draw` and `draw_start` return standard variates (uniforms, normals) as a pytree whose arrays have `shape` in
      front; the deterministic methods scale them by the constants.

    An environment knows nothing of episodes, time limits or batches. `state` is a NamedTuple of arrays; `reset` and
    `step` return states of the same shapes and dtypes.

    Raises:
        TypeError: at construction, for an unknown constant or one of the wrong kind.
        ValueError: at construction, for a constant out of its range.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.HeartPole(heart_attack_proclivity=0.3)
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, 1)
    >>> step.obs.shape, bool(step.terminated)
    ((6,), False)
    """

    #: Steps after which the layers above truncate an episode; None is never.
    max_episode_steps: ClassVar[int | None] = None
    #: Frames per second at which films of this environment look natural.
    render_fps: ClassVar[int] = 30
    #: Which keys play it: a dict of a string of key names to an action.
    keys_to_action: ClassVar[dict] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        check_definition(cls, Environment, _METHODS)
        dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
        cls.__init__ = _init
        for name in _METHODS.keys() & vars(cls).keys():
            setattr(cls, name, _METHODS[name](vars(cls)[name]))
        _register_pytree(cls)

    @property
    def observation_space(self):
        """The `gymnasium.spaces.Space` of one observation."""
        raise NotImplementedError(f"{type(self).__name__} does not define observation_space")

    @property
    def action_space(self):
        """The `gymnasium.spaces.Space` of one action."""
        raise NotImplementedError(f"{type(self).__name__} does not define action_space")

    def reset(self, key):
        """Starts an episode.

        Args:
            key: a JAX key.
        Returns:
            (state, obs): the first state, and its observation as `observation_space` declares it.
        """
        return self.start(self.draw_start(key))

    def step(self, key, state, action):
        """Makes one transition.

        Args:
            key: a JAX key; it decides everything random in the step.
            state: a state that `reset` or `step` returned.
            action: an element of `action_space`.
        Returns:
            (state, Step(obs, reward, terminated)).
        Raises:
            TypeError, ValueError: for an action of another shape or kind than the space declares, and, where the
                action is a Python or NumPy value, for one outside the space. Inside `jit` values cannot be checked:
                each environment documents what it makes of an action outside its space.
        """
        return self.transition(state, action, self.draw(key))

    def draw_start(self, key, shape=()):
        """Everything random in a start, as standard variates with `shape` in front."""
        raise NotImplementedError(f"{type(self).__name__} defines neither reset nor draw_start and start")

    def start(self, draws):
        """The first state and observation that `draws` decide."""
        raise NotImplementedError(f"{type(self).__name__} defines neither reset nor draw_start and start")

    def draw(self, key, shape=()):
        """Everything random in a step, as standard variates with `shape` in front."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step nor draw and transition")

    def transition(self, state, action, draws):
        """The next state and its `Step`, decided by `draws`."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step nor draw and transition")

    def render(self, state):
        """A picture of one state, uint8[height, width, 3]; optional, and never traced."""
        raise NotImplementedError(f"{type(self).__name__} has no picture: it defines no render(state)")

    def observe(self, state):
        """The observation of a state; optional, for starts from a state of the caller's."""
        raise NotImplementedError(f"{type(self).__name__} defines no observe(state)")

    def describe(self, state):
        """What the step that led to a state did, as text with a line's end; optional, and never traced."""
        raise NotImplementedError(f"{type(self).__name__} defines no describe(state)")

    def replace(self, **constants):
        """The same environment with some constants changed, checked as at construction.

        >>> import jaxenvs
        >>> jaxenvs.HeartPole().replace(heart_attack_proclivity=0.1).heart_attack_proclivity
        0.1
        """
        return type(self)(**{**_values(self), **constants})

    def __repr__(self):
        defaults = {field.name: field.default for field in _init_fields(type(self))}
        changed = {name: value for name, value in _values(self).items() if not _equal(value, defaults[name])}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return all(_equal(value, getattr(other, name)) for name, value in _values(self).items())

    def __hash__(self):
        return hash((type(self), *map(_hashable, _values(self).values())))


def has_split(env, method):
    """Whether `env` defines the split form of `method`, which is "step" or "reset"."""
    drawn = {"step": "draw", "reset": "draw_start"}[method]
    cls = type(env)
    defined = getattr(cls, drawn) is not getattr(Environment, drawn)
    return defined and getattr(cls, method) is getattr(Environment, method)


def _values(env):
    return {field.name: getattr(env, field.name) for field in _init_fields(type(env))}


def _equal(left, right):
    return left is right or bool(np.array_equal(left, right))


def _hashable(value):
    return tuple(np.ravel(value).tolist()) if isinstance(value, np.ndarray | jax.Array | float | int) else value


@functools.cache
def _init_fields(cls):
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def _init(self, *unnamed, **given):
    fields = _init_fields(type(self))
    if unnamed:
        example = f", such as {fields[0].name}={unnamed[0]!r}" if fields else ""
        raise TypeError(f"{type(self).__name__} takes its constants by name{example}; got {unnamed[0]!r} without one")
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    values = checked(type(self), {**defaults, **given})
    for field in fields:
        if field.name not in values:
            raise TypeError(f"{type(self).__name__} needs a value for {field.name}: it has no default")
        object.__setattr__(self, field.name, values[field.name])


def _register_pytree(cls):
    leaves = tuple(f.name for f in _init_fields(cls) if not is_static(f))
    statics = tuple(f.name for f in _init_fields(cls) if is_static(f))

    def flatten(env):
        return tuple(getattr(env, name) for name in leaves), tuple(getattr(env, name) for name in statics)

    def flatten_with_keys(env):
        children, aux = flatten(env)
        return tuple((jax.tree_util.GetAttrKey(name), child) for name, child in zip(leaves, children, strict=True)), aux

    def unflatten(aux, children):
        # Past `__init__`: the leaves may be tracers, axes or anything else that a transformation puts there.
        env = object.__new__(cls)
        env.__dict__.update(zip(leaves, children, strict=True))
        env.__dict__.update(zip(statics, aux, strict=True))
        return env

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def _jit_reset(method):
    @jax.jit
    @functools.wraps(method)
    def traced(self, key):
        return method(self, fusable(key))

    @functools.wraps(method)
    def reset(self, key):
        return traced(self, _seen_key(key))

    reset.lower = traced.lower  # pyright: ignore[reportAttributeAccessIssue]
    return reset


def _seen_key(key):
    """`key`; one that is no JAX array is looked at here, where an error can still name its value."""
    return key if isinstance(key, jax.Array) else as_key(key)


def _jit_step(method):
    @jax.jit
    @functools.wraps(method)
    def traced(self, key, state, action):
        action = spaces.as_element(self.action_space, action, where=f"{type(self).__name__}.step: action")
        return method(self, fusable(key), state, action)

    @functools.wraps(method)
    def step(self, key, state, action):
        if not isinstance(action, jax.Array):
            spaces.check_host_value(self.action_space, action, where=f"{type(self).__name__}.step: action")
        return traced(self, _seen_key(key), state, action)

    step.lower = traced.lower  # pyright: ignore[reportAttributeAccessIssue]
    return step


def _jit_draw(method):
    @functools.partial(jax.jit, static_argnames="shape")
    @functools.wraps(method)
    def traced(self, key, shape=()):
        return method(self, fusable(key), shape)

    @functools.wraps(method)
    def draw(self, key, shape=()):
        return traced(self, _seen_key(key), shape)

    draw.lower = traced.lower  # pyright: ignore[reportAttributeAccessIssue]
    return draw


_METHODS = {
    "reset": _jit_reset,
    "step": _jit_step,
    "draw": _jit_draw,
    "draw_start": _jit_draw,
    "start": jax.jit,
    "transition": jax.jit,
}
for _name in ("reset", "step"):
    setattr(Environment, _name, _METHODS[_name](vars(Environment)[_name]))
