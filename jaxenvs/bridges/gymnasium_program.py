"""What the bridge to one Gymnasium environment compiles: starts and steps on flat rows of words."""

import contextlib
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs.bridges.packing import Packing
from jaxenvs.core import has_split
from jaxenvs.misuse import brief
from jaxenvs.spaces import sample

#: How many starts and steps get their random numbers at once.
STARTS_AHEAD, STEPS_AHEAD = 32, 256


def program_of(env, device):
    """The `Program` of an environment on a device.

    Environments of one kind share it, whatever their constants are. Those with the default constants have one of their
    own, in which these are fixed: its steps take half a microsecond less.
    """
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: env))
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return _program(_Kind(structure, shapes, _has_defaults(env), env), _checked_device(device))


def _checked_device(device):
    found = device
    if isinstance(device, str):
        with contextlib.suppress(RuntimeError):
            found = jax.devices(device)[0]
    if not isinstance(found, jax.Device):
        raise ValueError(f"device must be 'cpu', 'gpu', 'tpu' or a jax.Device of this machine, got {brief(device)}")
    return found


def _has_defaults(env):
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(env)}
    return all(np.array_equal(getattr(env, name), default) for name, default in defaults.items())


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What decides a program: class, static fields, and shapes of the constants; any environment of it will do."""

    structure: Any
    shapes: tuple
    fixed: bool
    env: Any = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=64)
def _program(kind, device):
    return Program(kind.env, device, kind.fixed)


class Program:
    """The jitted functions of one kind of environment on one device; constants are part of their input if not fixed."""

    def __init__(self, env, device, fixed):
        self.env, self._fixed = env, fixed
        key = jax.random.key(0)
        state, obs = jax.eval_shape(env.reset, key)
        action = jax.eval_shape(lambda: sample(env.action_space, key))
        self.states, self.observations, self.actions = Packing(state), Packing(obs), Packing(action)
        self.constants = Packing(() if fixed else jax.eval_shape(lambda: env))
        start_draws, draws = (
            jax.eval_shape(lambda: self._start_draws(env, key, ())),
            jax.eval_shape(lambda: self._step_draws(env, key, ())),
        )
        self.start_draws, self.draws = Packing(start_draws), Packing(draws)
        first = self.states.size
        self.state_slice = slice(0, first)
        self.observation_slice = slice(first, first + self.observations.size)
        self.draw_slice = slice(first, first + self.draws.size)
        self.action_slice = slice(self.draw_slice.stop, self.draw_slice.stop + self.actions.size)
        self.constant_slice = slice(self.action_slice.stop, self.action_slice.stop + self.constants.size)
        #: Words of a step's input (state, draws, action, constants), and output (state, observation, reward, end).
        self.words, self.outputs = self.constant_slice.stop, first + self.observations.size + 2
        where = jax.sharding.SingleDeviceSharding(device)
        placed = functools.partial(jax.jit, in_shardings=where, out_shardings=where)
        self.starts, self.step, self.observe = placed(self._starts), placed(self._step), placed(self._observe)
        self._ahead = jax.jit(self._drawn, static_argnums=(2, 3))

    def packed_constants(self, env):
        """u32[words]: the constants of an environment of this kind; none if they are fixed."""
        if self._fixed:
            return np.zeros(0, np.uint32)
        return self.constants.pack_rows(jax.tree.map(lambda x: np.asarray(x)[None], env))[0]

    def starts_ahead(self, env, seed):
        """u32[STARTS_AHEAD, states + observations] of starts."""
        rows = np.zeros((STARTS_AHEAD, 0), np.uint32)
        if self.start_draws.size:
            rows = self.start_draws.pack_rows(self._ahead(seed, env, "reset", STARTS_AHEAD))
        return np.asarray(self.starts(rows, self.packed_constants(env)))

    def steps_ahead(self, env, seed):
        """u32[STEPS_AHEAD, words]: the input of the next steps, with their draws and constants filled in."""
        rows = np.zeros((STEPS_AHEAD, self.words), np.uint32)
        rows[:, self.constant_slice] = self.packed_constants(env)
        if self.draws.size:
            rows[:, self.draw_slice] = self.draws.pack_rows(self._ahead(seed, env, "step", STEPS_AHEAD))
        return rows

    def _with(self, constants):
        return self.env if self._fixed else self.constants.unpack(constants)

    def _drawn(self, seed, env, what, count):
        draw = self._start_draws if what == "reset" else self._step_draws
        return draw(env, jax.random.key(seed), (count,))

    def _start_draws(self, env, key, shape):
        return env.draw_start(key, shape) if has_split(env, "reset") else _key_data(key, shape)

    def _step_draws(self, env, key, shape):
        return env.draw(key, shape) if has_split(env, "step") else _key_data(key, shape)

    def _starts(self, rows, constants):
        env = self._with(constants)
        return jax.vmap(lambda words: self._start(env, words))(rows)

    def _start(self, env, words):
        draws = self.start_draws.unpack(words)
        state, obs = env.start(draws) if has_split(env, "reset") else env.reset(jax.random.wrap_key_data(draws))
        return jnp.concatenate([self.states.pack(state), self.observations.pack(obs)])

    def _observe(self, state, constants):
        obs = self._with(constants).observe(state)
        return jnp.concatenate([self.states.pack(state), self.observations.pack(obs)])

    def _step(self, words):
        env = self._with(words[self.constant_slice])
        state = self.states.unpack(words[: self.states.size])
        draws = self.draws.unpack(words[self.draw_slice])
        action = self.actions.unpack(words[self.action_slice])
        if has_split(env, "step"):
            state, step = env.transition(state, action, draws)
        else:
            state, step = env.step(jax.random.wrap_key_data(draws), state, action)
        ending = Packing((step.reward, step.terminated)).pack((step.reward, step.terminated))
        return jnp.concatenate([self.states.pack(state), self.observations.pack(step.obs), ending])


def _key_data(key, shape):
    return jax.random.key_data(jax.random.split(key, shape) if shape else key)
