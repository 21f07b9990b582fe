"""A batch of environments as a `gymnasium.vector.VectorEnv`, which `gymnasium.make_vec("jaxenvs/...")` makes."""

import functools
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode

from jaxenvs.core import Environment
from jaxenvs.registry import make_vec
from jaxenvs.spaces import bounds
from jaxenvs.vector import VectorState, advance, observe_all, where_done

_UNSET: Any = object()


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
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
        self.envs = jax.tree.map(jnp.asarray, make_vec(env_id, num_envs, **limit, **{**(constants or {}), **more}))
        self.num_envs = self.envs.num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.single_observation_space = self.envs.single_observation_space
        self.single_action_space = self.envs.single_action_space
        self.observation_space = self.envs.observation_space
        self.action_space = self.envs.action_space
        self._check_actions = functools.partial(_checked_actions, self.single_action_space, self.action_space)
        self.render_mode = _checked_mode(self.envs.env, render_mode)
        self.metadata = {
            "autoreset_mode": self.autoreset_mode,
            "render_modes": ["rgb_array"],
            "render_fps": self.envs.env.render_fps,
        }
        self._export, self._on_host = _exporter(arrays), arrays == "numpy"
        self._carry = None

    def reset(self, *, seed=None, options=None):
        """Starts episodes; see `gymnasium.vector.VectorEnv.reset`.

        Raises:
            TypeError: for a seed that is not an int, or a mask that is not a bool array.
            ValueError: for an unknown option, a mask of the wrong shape or without a True, or states that do not fit.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            raise TypeError(f"seed must be an int for the entire batch, or None; got {seed!r}")
        super().reset(seed=seed)
        options = dict(options or {})
        mask = _checked_mask(options.pop("reset_mask", None), self.num_envs)
        given = options.pop("state", None)
        if options:
            raise ValueError(f"reset(options=...) accepts 'reset_mask' and 'state', got {min(options)!r}")
        if mask is not None and self._carry is None:
            raise ResetNeeded("a reset with a reset_mask needs a full reset() first")
        fresh = _start_batch(self.envs, jax.random.key(self.np_random.integers(2**32, dtype=np.uint32)))
        if given is not None:
            fresh = _from_state(self.envs, fresh, self._full_state(fresh, given))
        self._carry = fresh if mask is None else _merged(jnp.asarray(mask), fresh, self._carry)
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
        actions = self._check_actions(actions)
        self._carry, out, final_obs = _advance(self.envs, self.autoreset_mode, self._carry, actions)
        reward, terminated, truncated = (self._export(x) for x in out)
        info = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            info = _final_objects(final_obs, terminated | truncated) if self._on_host else self._finals(final_obs, out)
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
        return tuple(self.envs.env.render(jax.tree.map(lambda x, i=i: x[i], states)) for i in range(self.num_envs))

    def _full_state(self, fresh, given):
        state = fresh.state.env_state
        given = given._asdict() if hasattr(given, "_asdict") else dict(given)
        if unknown := given.keys() - set(state._fields):
            raise ValueError(f"a state has the fields {', '.join(state._fields)}; got {min(unknown)!r}")
        fields = {name: jnp.asarray(value, getattr(state, name).dtype) for name, value in given.items()}
        for name, value in fields.items():
            if value.shape != (expected := getattr(state, name).shape):
                raise ValueError(f"state.{name} must have the shape {expected}, got {value.shape}")
        return state._replace(**fields)


class _Carry(NamedTuple):
    """The state carried between steps."""

    key: jax.Array
    steps: jax.Array
    state: VectorState
    obs: Any
    #: bool[num_envs], episodes that have ended and were not reset.
    over: jax.Array


@jax.jit
def _start_batch(envs, key):
    reset_key, step_key = jax.random.split(key)
    state, obs = envs.reset(reset_key)
    return _Carry(step_key, jnp.uint32(0), state, obs, jnp.zeros(envs.num_envs, bool))


@jax.jit
def _merged(mask, fresh, running):
    parts = [(getattr(fresh, name), getattr(running, name)) for name in ("state", "obs", "over")]
    state, obs, over = (where_done(mask, a, b) for a, b in parts)
    return _Carry(fresh.key, fresh.steps, state, obs, over)


@jax.jit
def _from_state(envs, carry, env_state):
    obs = observe_all(envs, env_state)
    return carry._replace(state=carry.state._replace(env_state=env_state), obs=obs)


@functools.partial(jax.jit, static_argnames="mode")
def _advance(envs, mode, carry, actions):
    """(carry, (reward, terminated, truncated), final_obs)."""
    advanced = advance(envs, jax.random.fold_in(carry.key, carry.steps), carry.state, actions)
    moved, step, truncated = advanced.moved, advanced.step, advanced.truncated
    if mode is AutoresetMode.DISABLED:
        after = carry._replace(steps=carry.steps + 1, state=moved, obs=step.obs, over=advanced.done)
        return after, (step.reward, step.terminated, truncated), step.obs
    restart = advanced.done if mode is AutoresetMode.SAME_STEP else carry.over
    state, obs = where_done(restart, (advanced.fresh, advanced.fresh_obs), (moved, step.obs))
    if mode is AutoresetMode.SAME_STEP:
        after = carry._replace(steps=carry.steps + 1, state=state, obs=obs)
        return after, (step.reward, step.terminated, truncated), step.obs
    reward = jnp.where(restart, 0.0, step.reward)
    terminated, truncated = step.terminated & ~restart, truncated & ~restart
    after = _Carry(carry.key, carry.steps + 1, state, obs, terminated | truncated)
    return after, (reward, terminated, truncated), step.obs


def _final_objects(final_obs, done):
    """Gymnasium's keys for the episodes that ended: objects for those, None for the others, and the masks."""
    if not done.any():
        return {}
    ended = np.flatnonzero(done)
    leaves, structure = jax.tree.flatten(final_obs)
    rows = zip(*(np.asarray(leaf)[ended] for leaf in leaves), strict=True)
    observations = np.full(done.shape, None, dtype=object)
    for index, row in zip(ended.tolist(), rows, strict=True):
        observations[index] = row[0] if len(row) == 1 else jax.tree.unflatten(structure, row)
    return {"final_obs": observations, "_final_obs": done, "final_info": {}, "_final_info": done.copy()}


def _checked_actions(single_space, space, actions):
    if isinstance(actions, jax.Array):
        return actions
    if hasattr(actions, "__dlpack__") and not isinstance(actions, np.ndarray):
        return jnp.from_dlpack(actions)
    if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        if not space.contains(actions):
            raise InvalidAction(f"actions must be in {space}, got {actions!r}")
        return actions
    array = np.asarray(actions)
    kinds = "fiu" if space.dtype.kind == "f" else "iu"
    if array.shape != space.shape or array.dtype.kind not in kinds:
        raise InvalidAction(
            f"actions must be of shape {space.shape} and a dtype like {space.dtype}, got {array.shape} {array.dtype}"
        )
    low, high = bounds(single_space)
    inside = (array >= low) & (array <= high)
    if not inside.all():
        index = tuple(int(i) for i in np.argwhere(~inside)[0])
        raise InvalidAction(f"each action must be in {single_space}, got {array[index]} at {list(index)}")
    return array


def _checked_mask(mask, num_envs):
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"options['reset_mask'] must be a NumPy array of bool, got {mask!r}")
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(f"options['reset_mask'] must have the shape ({num_envs},) and a True, got {mask!r}")
    return mask


def _checked_mode(env, render_mode):
    drawn = type(env).render is not Environment.render
    if render_mode not in (None, "rgb_array") or (render_mode and not drawn):
        modes = [None, "rgb_array"] if drawn else [None]
        raise ValueError(f"{type(env).__name__}: render_mode must be one of {modes}, got {render_mode!r}")
    return render_mode


def _exporter(arrays):
    if arrays == "numpy":
        return lambda tree: jax.tree.map(np.array, tree)
    if arrays == "jax":
        return lambda tree: tree
    if arrays == "torch":
        import torch  # pyright: ignore[reportMissingImports]

        return lambda tree: jax.tree.map(torch.from_dlpack, tree)
    raise ValueError(f"arrays must be 'numpy', 'jax' or 'torch', got {arrays!r}")
