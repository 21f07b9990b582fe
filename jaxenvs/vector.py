"""`VectorEnv`: a batch of one environment, with time limit, autoreset and episode statistics."""

import dataclasses
import functools
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Tuple
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from jaxenvs import spaces
from jaxenvs.core import Environment, has_split
from jaxenvs.misuse import check_form, explained_state, shown
from jaxenvs.precision import in_32_bits
from jaxenvs.random import checked_key, one_key
from jaxenvs.random.varying import varying_as


class VectorState(NamedTuple):
    """The state of a batch of episodes; every array has the leading axis `num_envs`."""

    #: The environment's own state.
    env_state: Any
    #: f32[num_envs], sum of the rewards of the current episode.
    episode_return: jax.Array
    #: i32[num_envs], steps of the current episode.
    episode_length: jax.Array


class VectorStep(NamedTuple):
    """The result of one step of a batch; every array has the leading axis `num_envs`."""

    #: The observation for the next action. If an episode ended, it is the first one of the new episode.
    obs: Any
    #: f32[num_envs].
    reward: jax.Array
    #: bool[num_envs], the next state is terminal.
    terminated: jax.Array
    #: bool[num_envs], the time limit is reached. Both flags are set if both are true, as in Gymnasium's `TimeLimit`.
    truncated: jax.Array
    #: The true successor observation, before any reset.
    final_obs: Any
    #: f32[num_envs] and i32[num_envs], of the episode so far, including this step: complete if it ended.
    episode_return: jax.Array
    episode_length: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VectorEnv:
    """A batch of environments with autoreset: when an episode ends, a new one starts. Use `make_vec` to make one.

    Constants of `env` may have a leading axis of `num_envs`: then each environment has its own value.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("HeartPole-v0", num_envs=3)
    >>> state, obs = envs.reset(jax.random.key(0))
    >>> state, step = envs.step(jax.random.key(1), state, jax.numpy.array([0, 1, 2]))
    >>> step.obs.shape, step.reward.shape
    ((3, 6), (3,))
    """

    env: Environment
    num_envs: int = dataclasses.field(metadata={"static": True})
    max_episode_steps: int | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def single_observation_space(self):
        return self.env.observation_space

    @property
    def single_action_space(self):
        return self.env.action_space

    @property
    def observation_space(self):
        return gymnasium.vector.utils.batch_space(self.env.observation_space, self.num_envs)

    @property
    def action_space(self):
        return gymnasium.vector.utils.batch_space(self.env.action_space, self.num_envs)

    @in_32_bits
    def reset(self, key):
        """Starts `num_envs` episodes.

        Args:
            key: one JAX key for the entire batch.
        Returns:
            (VectorState, obs).
        """
        return _reset(self, checked_key(key))

    @in_32_bits
    def step(self, key, state, action):
        """Steps the batch, and starts a new episode in each environment whose episode ended.

        Args:
            key: one JAX key for the entire batch.
            state: a `VectorState`.
            action: num_envs elements of the action space, with a leading batch axis.
        Returns:
            (VectorState, VectorStep).
        Raises:
            TypeError, ValueError: for actions whose shape or kind does not fit the space, and for NumPy actions outside
                the space. `Environment.step` explains what happens inside `jit`.
        """
        check_state(state, f"VectorEnv({type(self.env).__name__}).step", "key, state, action")
        key, action = checked_key(key), checked_actions(self, action)
        if any(isinstance(leaf, Tracer) for leaf in (key, action, *jax.tree.leaves(state))):
            return _step(self, key, state, action)
        return _step_by_parts(*self._parts(getattr(state.episode_length, "sharding", None)), key, state, action)

    def _parts(self, sharding):
        """(structure, leaves), numbers as arrays on the devices of a batch that is spread so.

        A call of a jitted function takes a microsecond for each number that it has to put on a device.
        """
        known = self.__dict__.setdefault("_placed", {})
        if sharding not in known:
            leaves, structure = jax.tree.flatten(self)
            arrays = [jnp.asarray(leaf) if isinstance(leaf, bool | int | float) else leaf for leaf in leaves]
            if isinstance(sharding, NamedSharding):
                everywhere = NamedSharding(sharding.mesh, PartitionSpec())
                arrays = [
                    put if put is given else jax.device_put(put, everywhere) for put, given in zip(arrays, leaves)
                ]
            known[sharding] = structure, arrays
        return known[sharding]

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def sample_actions(self, key):
        """num_envs random actions from one JAX key, with the distribution of the action space."""
        return spaces.sample(self.env.action_space, key, (self.num_envs,))


@jax.jit
def _reset(envs, key):
    return _start(envs, one_key(key, f"VectorEnv({type(envs.env).__name__}).reset"))


def _start(envs, key):
    env_state, obs = start_all(envs, key)
    zeros = jnp.zeros(envs.num_envs, jnp.float32)
    return varying_as(key, (VectorState(env_state, zeros, zeros.astype(jnp.int32)), obs))


@functools.partial(jax.jit, static_argnums=0)
def _step_by_parts(structure, leaves, key, state, action):
    return _step(jax.tree.unflatten(structure, leaves), key, state, action)


@jax.jit
def _step(envs, key, state, action):
    _refuse_explicit((state, action))
    return same_step(advance(envs, key, state, action))


def _refuse_explicit(tree):
    """Refuses arrays sharded over a mesh with axes of the type Explicit, at trace time."""
    for leaf in jax.tree.leaves(tree):
        sharding = getattr(jax.typeof(leaf), "sharding", None)
        explicit = [axis for axis in getattr(sharding, "spec", ()) if axis is not None]
        if explicit:
            raise ValueError(
                f"the batch is sharded over the axis {explicit[0]!r} of a mesh whose axes are Explicit: shard it by "
                f"jaxenvs.over_devices, or make the mesh with axis_types=(jax.sharding.AxisType.Auto,)"
            )


@in_32_bits
def reset_shapes(envs, key):
    """(VectorState, obs) of a reset, with a `jax.ShapeDtypeStruct` for each array."""
    return _reset.eval_shape(envs, key)


@in_32_bits
def step_shapes(envs, key, state, action):
    """The `VectorStep` of a step, with a `jax.ShapeDtypeStruct` for each array."""
    return _step.eval_shape(envs, key, state, action)[1]


class Advance(NamedTuple):
    """One step of a batch before any autoreset, and the new episodes that may replace those that ended."""

    #: `VectorState` after the step, with the return and the length of the episode so far.
    moved: VectorState
    #: `Step`, with the observations of `moved`.
    step: Any
    #: bool[num_envs].
    truncated: jax.Array
    #: `VectorState` and observations of new episodes in all environments.
    fresh: VectorState
    fresh_obs: Any

    @property
    def done(self):
        return self.step.terminated | self.truncated


@in_32_bits
def advance(envs, key, state, action):
    """Steps the batch without autoreset, and starts an episode in each environment: `Advance`."""
    where = f"VectorEnv({type(envs.env).__name__}).step"
    step_key, start_key = jax.random.split(one_key(key, where))
    with explained_state(lambda: _start(envs, start_key)[0].env_state, state.env_state, where):
        env_state, step = transition_all(envs, step_key, state.env_state, action)
    moved = VectorState(env_state, state.episode_return + step.reward, state.episode_length + 1)
    truncated = truncated_all(envs, moved.episode_length)
    moved, step, truncated = varying_as(step_key, (moved, step, truncated))
    fresh, fresh_obs = _start(envs, start_key)
    # Of another batch size or environment, it might have been broadcast in silence.
    check_form(fresh, state, where)
    return Advance(moved, step, truncated, fresh, fresh_obs)


def same_step(advanced):
    """(VectorState, VectorStep) where a new episode replaces one that ended, in the same step."""
    moved, step, done = advanced.moved, advanced.step, advanced.done
    after, obs = where_done(done, (advanced.fresh, advanced.fresh_obs), (moved, step.obs))
    return after, VectorStep(
        obs=obs,
        reward=step.reward,
        terminated=step.terminated,
        truncated=advanced.truncated,
        final_obs=step.obs,
        episode_return=moved.episode_return,
        episode_length=moved.episode_length,
    )


def where_done(done, fresh, running):
    """Per member of the batch, `fresh` where its episode ended and `running` elsewhere, over pytrees."""
    return jax.tree.map(lambda a, b: jnp.where(done.reshape(done.shape + (1,) * (b.ndim - 1)), a, b), fresh, running)


def truncated_all(envs, episode_length):
    """bool[num_envs]: which episodes of this length have reached the time limit."""
    if envs.max_episode_steps is None:
        return jnp.zeros(envs.num_envs, bool)
    return episode_length >= envs.max_episode_steps


def start_all(envs, key):
    """Starts every member of a batch: (environment states, observations)."""
    env, axes = envs.env, constant_axes(envs.env, envs.num_envs)
    if has_split(env, "reset"):
        draws = env.draw_start(key, (envs.num_envs,))
        return jax.vmap(type(env).start, (axes, 0), axis_size=envs.num_envs)(env, draws)
    return jax.vmap(type(env).reset, (axes, 0))(env, jax.random.split(key, envs.num_envs))


def transition_all(envs, key, env_state, action):
    """Moves every member of a batch, without time limit or autoreset: (environment states, `Step`)."""
    env, axes = envs.env, constant_axes(envs.env, envs.num_envs)
    where = f"VectorEnv({type(env).__name__}).step: actions"
    action = spaces.as_batch(env.action_space, action, envs.num_envs, where=where)
    if has_split(env, "step"):
        draws = env.draw(key, (envs.num_envs,))
        return jax.vmap(type(env).transition, (axes, 0, 0, 0))(env, env_state, action, draws)
    return jax.vmap(type(env).step, (axes, 0, 0, 0))(env, jax.random.split(key, envs.num_envs), env_state, action)


@in_32_bits
def observe_all(envs, env_state):
    """The observations of a batch of environment states, where the environment defines `observe`."""
    axes = constant_axes(envs.env, envs.num_envs)
    return jax.vmap(type(envs.env).observe, (axes, 0))(envs.env, env_state)


def constant_axes(env, num_envs):
    """The `vmap` axes of an environment's constants: 0 for each that has a batch axis in front, else None.

    Raises:
        ValueError: for a batch axis of another size than `num_envs`, naming the constant.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(env)
    axes = []
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path).lstrip(".")
        shape = np.shape(getattr(type(env), name, 0.0))
        extra = np.ndim(leaf) - len(shape)
        if extra not in (0, 1) or (extra == 1 and np.shape(leaf)[0] != num_envs):
            raise ValueError(
                f"{type(env).__name__}: {name} must have the shape {shape} or {(num_envs, *shape)} for "
                f"num_envs={num_envs}, got {np.shape(leaf)}"
            )
        axes.append(0 if extra else None)
    return jax.tree.unflatten(structure, axes)


def check_state(state, where, order):
    """Refuses anything but a `VectorState`; `order` is that of the arguments."""
    if not isinstance(state, VectorState):
        raise TypeError(f"{where}: state must be a VectorState (order: {order}), got {shown(state)}")


def checked_actions(envs, action):
    """The actions; values are checked where they are NumPy arrays or lists, and not in JAX arrays and tracers."""
    if isinstance(action, jax.Array):
        return action
    if isinstance(action, list) or (isinstance(action, tuple) and not isinstance(envs.single_action_space, Tuple)):
        action = np.asarray(action)
    spaces.check_host_value(envs.action_space, action, where=f"VectorEnv({type(envs.env).__name__}).step: actions")
    return action


def member(envs, index):
    """The environment of one member of a batch, with its own constants.

    >>> import jaxenvs, numpy as np
    >>> envs = jaxenvs.make_vec("Pendulum-v1", 2, mass=np.array([1.0, 2.0]))
    >>> float(member(envs, 1).mass)
    2.0
    """
    axes = constant_axes(envs.env, envs.num_envs)
    return jax.tree.map(lambda axis, leaf: leaf if axis is None else leaf[index], axes, envs.env, is_leaf=_is_none)


def _is_none(x):
    return x is None
