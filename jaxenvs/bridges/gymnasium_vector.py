"""A batch of environments as a `gymnasium.vector.VectorEnv`, which `gymnasium.make_vec("jaxenvs/...")` makes."""

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from jaxenvs.bridges.gymnasium_arrays import checked_batch, exporter, final_objects
from jaxenvs.bridges.gymnasium_batch import advance_batch, from_state, merged, start_batch
from jaxenvs.bridges.gymnasium_checks import check_process, checked_mode, checked_options, checked_seed, given_state
from jaxenvs.bridges.gymnasium_constants import ConstantAttributes, constant_names, refuse_meant
from jaxenvs.core import Environment
from jaxenvs.misuse import brief
from jaxenvs.registry import make_vec
from jaxenvs.vector import member

_UNSET: Any = object()
# What a single bridge has as attributes of its own, and a batch has once.
_OF_ALL = ("metadata", "render_mode", "spec")


class GymnasiumVectorEnv(ConstantAttributes, gymnasium.vector.VectorEnv):
    """A batch of one environment behind Gymnasium's vector interface.

    Args:
        env_id: a registered id, an `Environment`, or a `VectorEnv`.
        num_envs: size of the batch.
        autoreset_mode: an `AutoresetMode` or its value: NEXT_STEP (Gymnasium's default), SAME_STEP, DISABLED.
        max_episode_steps: overrides the time limit; None for none.
        render_mode: None or "rgb_array".
        arrays: the type of observations, rewards and flags: "numpy", "jax" (no copy) or "torch" (by DLPack, no copy
            through the host).
        constants: dict of constants that differ from the defaults; an array with a leading axis of num_envs gives each
            environment its own value. They can also be passed as keywords.

    In SAME_STEP mode, `info["final_obs"]` is Gymnasium's array of objects where `arrays` is "numpy"; With JAX
    and PyTorch it is one array with a leading axis of `num_envs` at every step; the mask `info["_final_obs"]` says
    which rows are valid. So nothing waits for the device.

    Actions may be NumPy arrays, which are checked against the space, or JAX or PyTorch arrays, whose values are not.
    One seed seeds the entire batch. `reset(options={"reset_mask": bool[num_envs]})` resets only those, and
    `options={"state": ...}` starts from given states: a mapping of field names to arrays with a leading axis of
    num_envs.

    >>> import gymnasium, jaxenvs
    >>> envs = gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=3)
    >>> obs, info = envs.reset(seed=0)
    >>> obs, rewards, terminations, truncations, info = envs.step(envs.action_space.sample())
    >>> obs.shape, rewards.dtype
    ((3, 6), dtype('float32'))
    """

    def __init__(
        self,
        env_id,
        num_envs=1,
        *,
        autoreset_mode=AutoresetMode.NEXT_STEP,
        max_episode_steps=_UNSET,
        render_mode=None,
        arrays="numpy",
        constants=None,
        **more,
    ):
        limit = {} if max_episode_steps is _UNSET else {"max_episode_steps": max_episode_steps}
        self.envs = jax.tree.map(jnp.asarray, make_vec(env_id, num_envs, **limit, **{**_named(constants), **more}))
        self.num_envs = self.envs.num_envs
        self.autoreset_mode = _checked_autoreset(autoreset_mode)
        self._set_spaces()
        self.render_mode = checked_mode(self.envs.env, render_mode, ["rgb_array"] if _is_drawn(self.envs.env) else [])
        self.metadata = {
            "autoreset_mode": self.autoreset_mode,
            "render_modes": ["rgb_array"] if _is_drawn(self.envs.env) else [],
            "render_fps": self.envs.env.render_fps,
        }
        self._export, self._on_host = exporter(arrays), arrays == "numpy"
        self._carry = None

    def _set_spaces(self):
        self.single_observation_space = self.envs.single_observation_space
        self.single_action_space = self.envs.single_action_space
        self.observation_space = self.envs.observation_space
        self.action_space = self.envs.action_space

    def reset(self, *, seed=None, options=None):
        """Starts episodes; see `gymnasium.vector.VectorEnv.reset`.

        Raises:
            TypeError: for a seed that is not an int, a mask that is not a bool array, or states of another kind.
            ValueError: for an unknown option, a mask of the wrong shape or without a True, or states that do not fit.
            RuntimeError: in a process that was forked after JAX had started.
        """
        check_process()
        if isinstance(seed, list | tuple):
            raise TypeError(f"seed must be one integer for the entire batch, or None; got {brief(seed)}")
        options = checked_options(options, ("reset_mask", "state"))
        super().reset(seed=checked_seed(seed))
        mask = _checked_mask(options.pop("reset_mask", None), self.num_envs)
        given = options.pop("state", _UNSET)
        if mask is not None and self._carry is None:
            raise ResetNeeded("a reset with a reset_mask needs a full reset() first")
        fresh = start_batch(self.envs, jax.random.key(self.np_random.integers(2**32, dtype=np.uint32)))
        if given is not _UNSET:
            fresh = from_state(self.envs, fresh, self._full_state(fresh, given))
        self._carry = fresh if mask is None else merged(jnp.asarray(mask), fresh, self._carry)
        return self._export(self._carry.obs), {}

    def step(self, actions):
        """Steps the batch; see `gymnasium.vector.VectorEnv.step`.

        Raises:
            InvalidAction: for NumPy actions outside the space, and any of the wrong shape; the state does not change.
            ResetNeeded: before the first reset; in DISABLED mode, if an episode has ended and was not reset.
        """
        if self._carry is None:
            raise ResetNeeded("step() needs a reset() first")
        if self.autoreset_mode is AutoresetMode.DISABLED and (over := np.asarray(self._carry.over)).any():
            raise ResetNeeded(f"environment {int(over.argmax())} has ended: reset it, with reset_mask, before step()")
        check_process()
        actions = checked_batch(self.single_action_space, self.action_space, actions)
        self._carry, out, final_obs, *infos = advance_batch(self.envs, self.autoreset_mode, self._carry, actions)
        reward, terminated, truncated = (self._export(x) for x in out)
        info, final_info = (self._export(x) for x in infos)
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            host = self._on_host
            finals = final_objects(final_obs, terminated | truncated) if host else self._finals(final_obs, out)
            info |= {**finals, "final_info": final_info} if finals else {}
        return self._export(self._carry.obs), reward, terminated, truncated, info

    def _finals(self, final_obs, out):
        """Gymnasium's keys at every step, without reading values from the device."""
        done = self._export(out[1] | out[2])
        return {"final_obs": self._export(final_obs), "_final_obs": done, "final_info": {}, "_final_info": done}

    @property
    def state(self):
        """The environments' states as JAX arrays with a leading axis of num_envs."""
        if self._carry is None:
            raise ResetNeeded("there is no state before the first reset()")
        return self._carry.state.env_state

    def render(self):
        """A tuple of num_envs pictures, uint8[height, width, 3]; None without a `render_mode`."""
        if self.render_mode is None:
            return None
        states = jax.tree.map(np.asarray, self.state)
        return tuple(
            member(self.envs, i).render(jax.tree.map(lambda x, i=i: x[i], states)) for i in range(self.num_envs)
        )

    def call(self, name, *args, **kwargs):
        """An attribute or constant of each environment; where it is callable, what it returns for the arguments.

        Returns:
            A tuple of num_envs values.
        """
        refuse_meant(self.envs.env, name)
        if name == "render":
            return self.render()
        owners = [self] * self.num_envs if name in _OF_ALL else [member(self.envs, i) for i in range(self.num_envs)]
        found = [getattr(owner, name) for owner in owners]
        return tuple(one(*args, **kwargs) if callable(one) else one for one in found)

    def get_attr(self, name):
        """An attribute or constant of each environment, a tuple of num_envs values."""
        return self.call(name)

    def set_attr(self, name, values):
        """Sets a constant of the environments, checked as at construction.

        Args:
            name: of the constant.
            values: a list or tuple with one for each environment, or one value for all.
        Raises:
            AttributeError: for anything but a constant, with the name that it has here.
            TypeError, ValueError: as at construction; for another number of values.
        """
        env = self.envs.env
        if name not in constant_names(env):
            refuse_meant(env, name)
            known = ", ".join(constant_names(env))
            raise AttributeError(f"{type(env).__name__} has no constant {name!r} that could be set. It has: {known}")
        if isinstance(values, list | tuple):
            try:
                values = np.asarray(values)
            except (TypeError, ValueError):
                raise TypeError(f"{name} needs numbers, one for each environment, got {brief(values)}") from None
        several = isinstance(values, np.ndarray) and np.ndim(getattr(type(env), name)) == np.ndim(values) - 1
        if several and len(values) != self.num_envs:
            raise ValueError(f"{name} needs {self.num_envs} values, one for each environment, got {len(values)}")
        self._put_constants(**{name: values})

    def _constants_of(self):
        envs = self.__dict__.get("envs")
        return None if envs is None else envs.env

    def _put_constants(self, **constants):
        before = self.envs
        self.__dict__["envs"] = jax.tree.map(jnp.asarray, make_vec(before, self.num_envs, **constants))
        self._set_spaces()
        if jax.tree.structure(before) != jax.tree.structure(self.envs):
            self._carry = None

    def _full_state(self, fresh, given):
        env = self.envs.env
        if type(env).observe is Environment.observe:
            raise ValueError(f"{type(env).__name__} does not define observe(state), which given states need")
        return given_state(jax.device_get(fresh.state.env_state), given)


def _checked_mask(mask, num_envs):
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] must be a NumPy array of bool, got {brief(mask)}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(f"options['reset_mask'] must have the shape ({num_envs},) and a True, got {brief(mask)}")
    return mask


def _checked_autoreset(mode):
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = ", ".join(repr(known.value) for known in AutoresetMode)
        raise ValueError(f"autoreset_mode must be an AutoresetMode or one of {known}, got {brief(mode)}") from None


def _named(constants):
    if constants is not None and not isinstance(constants, dict):
        raise TypeError(f"constants must be a dict from names to values, or None; got {brief(constants)}")
    return constants or {}


def _is_drawn(env):
    return type(env).render is not Environment.render
