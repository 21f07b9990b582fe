"""`Environment`, the contract of every environment, and `Step`, the result of a step."""

from typing import Any, ClassVar, NamedTuple, dataclass_transform

import jax
import numpy as np
from jax.core import Tracer

from jaxenvs.definition import METHODS, NoDecorator, define, init_fields


class Step(NamedTuple):
    """The result of one transition, besides the next state."""

    #: The observation of the next state, an element of `observation_space`.
    obs: Any
    #: f32[], the reward of this transition.
    reward: Any
    #: bool[], true if the next state is terminal: no reward can follow it.
    terminated: Any


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Environment:
    """A Markov decision process with constants as fields, and two pure, jitted methods, `reset` and `step`.

    A subclass becomes a frozen dataclass and a JAX pytree with the constants as leaves. So `jit`, `vmap`, `grad` and
    `scan` accept environments in the same way as arrays. It defines `observation_space`, `action_space`, and either

    - `reset(self, key) -> (state, obs)` and `step(self, key, state, action) -> (state, Step)`, or
    - random draws and deterministic rules as separate methods, which is faster in batches and lets tests choose the
      draws:
      `draw_start(self, key, shape=())`, `start(self, draws) -> (state, obs)`,
      `draw(self, key, shape=())`, `transition(self, state, action, draws) -> (state, Step)`.
      `draw` and `draw_start` return standard random numbers (uniform or normal) as a pytree of arrays with `shape` as
      leading axes. The deterministic methods scale them with the constants.

    An environment does not handle episodes, time limits or batches. A loop `while not step.terminated` may never end,
    because HeartPole never terminates. Use `for _ in range(env.max_episode_steps)`. `state` is a NamedTuple of arrays;
    `reset` and `step` return states of the same shapes and dtypes.

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

    #: Steps after which a `VectorEnv` or a bridge truncates an episode; None for never.
    max_episode_steps: ClassVar[int | None] = None
    #: Frames per second of a film.
    render_fps: ClassVar[int] = 30
    #: Keyboard keys for play: a dict from a string of key names to an action.
    keys_to_action: ClassVar[dict] = {}
    #: For constants that users may expect but do not exist, {name: "use ..."}: the hint in the error message.
    not_constants: ClassVar[dict] = {}
    #: The action if the player presses no key; None: the action nearest to 0 of a Box, or no action.
    idle_action: ClassVar[Any] = None
    #: The fields of the state to include in Gymnasium's `info` after each step, such as a flag for an accident.
    info_fields: ClassVar[tuple[str, ...]] = ()

    __post_init__ = NoDecorator()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        define(cls, Environment)

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
            (state, obs): the initial state, and its observation, an element of `observation_space`.
        """
        return self.start(self.draw_start(key))

    def step(self, key, state, action):
        """Makes one transition.

        Args:
            key: a JAX key for all random numbers of the step.
            state: a state that `reset` or `step` returned.
            action: an element of `action_space`.
        Returns:
            (state, Step(obs, reward, terminated)).
        Raises:
            TypeError, ValueError: for an action whose shape or dtype does not fit the space, and for a Python or
                NumPy value outside the space. Inside `jit`, values cannot be checked: each environment documents how it
                handles an action outside its space.
        """
        return self.transition(state, action, self.draw(key))

    def draw_start(self, key, shape=()):
        """All random numbers of an initial state: standard random numbers with `shape` as leading axes."""
        raise NotImplementedError(f"{type(self).__name__} defines neither reset nor draw_start and start")

    def start(self, draws):
        """The initial state and its observation, a function of `draws`."""
        raise NotImplementedError(f"{type(self).__name__} defines neither reset nor draw_start and start")

    def draw(self, key, shape=()):
        """All random numbers of a step: standard random numbers with `shape` as leading axes."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step nor draw and transition")

    def transition(self, state, action, draws):
        """The next state and its `Step`, a deterministic function of state, action and draws."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step nor draw and transition")

    def render(self, state):
        """A picture of one state, uint8[height, width, 3]; optional, and never traced."""
        raise NotImplementedError(f"{type(self).__name__} has no picture: it does not define render(state)")

    def observe(self, state):
        """The observation of a state; optional, to start from a given state."""
        raise NotImplementedError(f"{type(self).__name__} does not define observe(state)")

    def describe(self, state):
        """A text about the step that led to a state, ending with a newline; optional, and never traced."""
        raise NotImplementedError(f"{type(self).__name__} does not define describe(state)")

    def action_at(self, x, y):
        """The action for a click at a pixel of the picture, None for no action; optional, for play."""
        raise NotImplementedError(f"{type(self).__name__} does not define action_at(x, y)")

    def replace(self, **constants):
        """The same environment with some constants changed, with the same checks as in the constructor.

        >>> import jaxenvs
        >>> jaxenvs.HeartPole().replace(heart_attack_proclivity=0.1).heart_attack_proclivity
        0.1
        """
        return type(self)(**{**_values(self), **constants})

    def __repr__(self):
        defaults = {field.name: field.default for field in init_fields(type(self))}
        changed = {
            name: value for name, value in _values(self).items()
            if isinstance(value, Tracer) or not _equal(value, defaults[name])
        }  # fmt: skip
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
    return {field.name: getattr(env, field.name) for field in init_fields(type(env))}


def _equal(left, right):
    if left is right:
        return True
    if isinstance(left, np.ndarray | jax.Array) or isinstance(right, np.ndarray | jax.Array):
        # Not of the values themselves: `array_equal` answers False where a traced one has none.
        return np.array_equal(np.asarray(left), np.asarray(right))
    return bool(left == right)


def _hashable(value):
    return tuple(np.ravel(value).tolist()) if isinstance(value, np.ndarray | jax.Array | float | int) else value


for _name in ("reset", "step"):
    setattr(Environment, _name, METHODS[_name](vars(Environment)[_name]))
