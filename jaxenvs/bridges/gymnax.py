"""gymnax: our environments for its clients, and its environments for our trainers.

Importing this module registers the ids with gymnax (1.0 or newer), for `gymnax.make("jaxenvs/CartPole-v1")`, and with
rejax, for `create(env="jaxenvs/CartPole-v1")`.
"""

import functools
import importlib
import importlib.util
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct  # pyright: ignore[reportMissingImports]
from gymnax.environments import environment, spaces  # pyright: ignore[reportMissingImports]

from jaxenvs.core import Environment, Step
from jaxenvs.registry import make_vec, registry
from jaxenvs.vector import where_done

#: The number of values that the installed gymnax's own `step` returns.
VALUES = 6 if hasattr(environment.Environment, "is_truncated") else 5


@struct.dataclass
class Params(environment.EnvParams):
    """What gymnax calls the parameters: the environment with its constants, and the time limit."""

    env: Any = None
    max_steps_in_episode: int = 1


@struct.dataclass
class State(environment.EnvState):
    """The environment's state, and the steps of the episode."""

    env_state: Any = None
    time: Any = 0


class GymnaxEnv(environment.Environment):
    """A jaxenvs environment behind gymnax's interface.

    Args:
        env_id: a registered id, an `Environment`, or a `VectorEnv` (its size is ignored).
        values: the number of values that `step` returns. 5: obs, state, reward, done, info, as in purejaxrl, rejax,
            Stoix and gymnax before 1.0. 6: obs, state, reward, terminated, truncated, info, as in gymnax from 1.0. The
            default is what the installed gymnax has.
        autoreset: whether `step` starts a new episode where one ended.
        constants: as for `jaxenvs.make_vec`, `max_episode_steps` included.

    Constants live in the parameters: `params.replace(env=params.env.replace(gravity=3.7))`.
    """

    def __init__(self, env_id, *, values=VALUES, autoreset=True, **constants):
        if values not in (5, 6):
            raise ValueError(f"values must be 5 or 6, got {values!r}")
        envs = make_vec(env_id, 1, **constants)
        self.env, self.values, self.autoreset = envs.env, values, autoreset
        self.max_episode_steps = envs.max_episode_steps or np.iinfo(np.int32).max

    def __eq__(self, other):
        return type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self):
        return hash(self._identity())

    def _identity(self):
        return self.env, self.values, self.autoreset, self.max_episode_steps

    @property
    def default_params(self):
        return Params(env=self.env, max_steps_in_episode=self.max_episode_steps)

    @functools.partial(jax.jit, static_argnames="self")
    def step(self, key, state, action, params=None):
        """See `values` and `autoreset`; `info` holds `terminated`, `truncated`, `discount`, and with six values
        `final_observation`."""
        params = self.default_params if params is None else params
        step_key, reset_key = jax.random.split(key)
        final_obs, after, reward, terminated, info = self.step_env(step_key, state, action, params)
        truncated = self.is_truncated(after, params)
        done = terminated | truncated
        obs = final_obs
        if self.autoreset:
            fresh_obs, fresh = self.reset_env(reset_key, params)
            after, obs = where_done(done, (fresh, fresh_obs), (after, final_obs))
        info = {**info, "terminated": terminated, "truncated": truncated}
        if self.values == 5:
            return obs, after, reward, done, info
        return obs, after, reward, terminated, truncated, {**info, "final_observation": final_obs}

    def step_env(self, key, state, action, params):
        env_state, step = params.env.step(key, state.env_state, _shaped(params.env.action_space, action))
        after = State(time=state.time + 1, env_state=env_state)
        return step.obs, after, step.reward, step.terminated, {"discount": 1.0 - step.terminated.astype(jnp.float32)}

    def reset_env(self, key, params):
        env_state, obs = params.env.reset(key)
        return obs, State(time=jnp.int32(0), env_state=env_state)

    @property
    def name(self):
        return type(self.env).__name__

    @property
    def num_actions(self):
        space = self.env.action_space
        return int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else int(np.prod(space.shape))

    def action_space(self, params=None):
        return to_gymnax_space(self.env.action_space)

    def observation_space(self, params=None):
        return to_gymnax_space(self.env.observation_space)


def _shaped(space, action):
    """An action of the space's shape; gymnax's clients may remove or add axes of size one (rejax does)."""
    action = jnp.asarray(action)
    return action.reshape(space.shape) if action.size == np.prod(space.shape, dtype=int) else action


def to_gymnax_space(space):
    """A `gymnax` space with Python-float bounds where they are equal on every axis.

    Raises:
        TypeError: for a space that gymnax does not support.
    """
    match space:
        case gymnasium.spaces.Discrete() if space.start == 0:
            return spaces.Discrete(int(space.n))
        case gymnasium.spaces.Box():
            low, high = (float(x.flat[0]) if (x == x.flat[0]).all() else x for x in (space.low, space.high))
            return spaces.Box(low, high, space.shape, space.dtype)
        case gymnasium.spaces.Dict():
            return spaces.Dict({name: to_gymnax_space(part) for name, part in space.spaces.items()})
        case gymnasium.spaces.Tuple():
            return spaces.Tuple([to_gymnax_space(part) for part in space.spaces])
    raise TypeError(f"gymnax does not support the space {space!r}")


def from_gymnax(env, params=None):
    """A gymnax environment (1.0 or newer) as a `jaxenvs.Environment`.

    Its parameters are fixed: they do not become constants. The time limit is `params.max_steps_in_episode`.

    Args:
        env: a `gymnax` environment.
        params: its parameters; None for the default ones.
    Returns:
        An `Environment`.
    Raises:
        TypeError: for an environment of gymnax before 1.0, whose terminations and time limits cannot be distinguished.
    """
    if not hasattr(env, "is_truncated"):
        raise TypeError(f"{env!r} must be an environment of gymnax 1.0 or newer: it has no is_truncated")
    params = env.default_params if params is None else params

    class FromGymnax(Environment):
        """A gymnax environment."""

        max_episode_steps = int(params.max_steps_in_episode)
        observation_space = spaces.gymnax_space_to_gym_space(env.observation_space(params))
        action_space = spaces.gymnax_space_to_gym_space(env.action_space(params))

        def reset(self, key):
            obs, state = env.reset_env(_default_kind(key), params)
            return _strong(state), _strong(obs)

        def step(self, key, state, action):
            obs, state, reward, terminated, _ = env.step_env(_default_kind(key), state, action, params)
            return _strong(state), Step(_strong(obs), jnp.float32(reward), jnp.asarray(terminated, bool))

    FromGymnax.__name__ = FromGymnax.__qualname__ = type(env).__name__
    return FromGymnax()


def _default_kind(key):
    """A key of JAX's default kind: gymnax's environments may combine it with other keys of that kind."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl="threefry2x32")


def _strong(tree):
    """Arrays whose dtypes do not change in a loop."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype), tree)


def create_rejax(env_id, **constants):
    """What rejax creates for "jaxenvs/ID": (a `GymnaxEnv` of five values, its parameters)."""
    env = GymnaxEnv(env_id, values=5, **constants)
    return env, env.default_params


def register():
    """Registers each id as "jaxenvs/ID" with gymnax, and with rejax if it is installed; once is enough."""
    registration = importlib.import_module("gymnax.registration")
    add, there = getattr(registration, "register", None), set(registration.registered_envs)
    for id in registry:
        name = id if "/" in id else f"jaxenvs/{id}"
        if add is not None and name not in there:
            add(name, functools.partial(GymnaxEnv, id))
    if importlib.util.find_spec("rejax") is not None:
        creators = getattr(importlib.import_module("rejax.compat"), "_create_fns", {})
        creators["jaxenvs"] = ("jaxenvs.bridges.gymnax", "create_rejax")


register()
