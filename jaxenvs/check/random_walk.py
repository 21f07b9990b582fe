"""`random_walk`: a small batch that takes a thousand random steps, and the extremes that it reached."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs import spaces
from jaxenvs.check.keys import watched
from jaxenvs.explain.trees import named_leaves
from jaxenvs.vector import VectorEnv

NUM_ENVS = 8
NUM_STEPS = 1000
#: Steps for which the second half of the batch repeats one action, which leads farther than noise does.
_REPEATS = 25


class Extremes(NamedTuple):
    """The extremes of a random walk; every array has a leading batch axis."""

    #: The least and the greatest value of each element of the observation, including the first observations.
    low: Any
    high: Any
    #: i32, by name of each float array of state, observation and reward: the first step in which it was not finite,
    #: 0 for the reset, NUM_STEPS + 1 for never.
    first_bad: dict[str, jax.Array]
    #: i32, by name of each 8 or 16 bit integer of the state: the least and the greatest change within an episode.
    least_change: dict[str, jax.Array]
    greatest_change: dict[str, jax.Array]


def random_walk(probe, *, disturbed=False):
    """NUM_STEPS steps of NUM_ENVS environments under random actions, each reset where it ends.

    Args:
        probe: a `Probe`.
        disturbed: whether the first member starts and acts like the second; the others stay the same.
    Returns:
        (VectorState at the end, Extremes).
    """
    envs = VectorEnv(probe.env, NUM_ENVS, type(probe.env).max_episode_steps)
    state, obs = envs.reset(probe.key("wander start"))
    fresh = spaces.sample(probe.env.action_space, probe.key("wander actions"), (NUM_STEPS, NUM_ENVS))
    actions = jax.tree.map(_half_repeated, fresh)
    if disturbed:
        state, obs = jax.tree.map(lambda leaf: leaf.at[0].set(leaf[1]), (state, obs))
        actions = jax.tree.map(lambda leaf: leaf.at[:, 0].set(leaf[:, 1]), actions)
    # JAX's own hash of keys compiles faster than `jaxenvs.random.fusable`, and a thousand steps need no speed.
    return _walk(envs, state, obs, watched(probe.keys("wander", NUM_STEPS)), actions)


def _half_repeated(actions):
    half = NUM_ENVS // 2
    repeated = jnp.repeat(actions[::_REPEATS, half:], _REPEATS, axis=0)
    return jnp.concatenate([actions[:, :half], repeated], axis=1)


@jax.jit
def _walk(envs, state, obs, keys, actions):
    never = jax.tree.map(lambda _: jnp.full(NUM_ENVS, NUM_STEPS + 1, jnp.int32), _floats(state.env_state, obs, None))
    still = {name: jnp.zeros(leaf.shape, jnp.int32) for name, leaf in _short_integers(state.env_state).items()}
    extremes = Extremes(obs, obs, _note(never, _floats(state.env_state, obs, None), 0), still, still)

    def advance(carry, inputs):
        before, extremes = carry
        index, key, action = inputs
        state, step = envs.step(key, before, action)
        low = jax.tree.map(
            lambda low, *new: jnp.minimum(low, jnp.minimum(*new)), extremes.low, step.obs, step.final_obs
        )
        high = jax.tree.map(
            lambda high, *new: jnp.maximum(high, jnp.maximum(*new)), extremes.high, step.obs, step.final_obs
        )
        bad = _note(extremes.first_bad, _floats(state.env_state, step.final_obs, step.reward), index)
        change = _changes(before.env_state, state.env_state, step.terminated | step.truncated)
        least, greatest = (
            jax.tree.map(pick, so_far, change)
            for pick, so_far in ((jnp.minimum, extremes.least_change), (jnp.maximum, extremes.greatest_change))
        )
        return (state, Extremes(low, high, bad, least, greatest)), None

    steps = jnp.arange(1, NUM_STEPS + 1, dtype=jnp.int32)
    return jax.lax.scan(advance, (state, extremes), (steps, keys, actions))[0]


def _floats(state, obs, reward):
    """The float arrays by name; at the start, where there is no reward, zeros replace it."""
    reward = jnp.zeros(NUM_ENVS, jnp.float32) if reward is None else reward
    leaves = named_leaves(state, "state") + named_leaves(obs, "obs") + [("reward", reward)]
    return {name: leaf for name, leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)}


def _note(first_bad, arrays, index):
    def earliest(first, array):
        finite = jnp.isfinite(array).reshape(NUM_ENVS, -1).all(axis=1)
        return jnp.where(finite, first, jnp.minimum(first, index))

    return {name: earliest(first, arrays[name]) for name, first in first_bad.items()}


def _short_integers(state):
    return {
        name: leaf
        for name, leaf in named_leaves(state, "state")
        if jnp.issubdtype(leaf.dtype, jnp.integer) and leaf.dtype.itemsize <= 2
    }


def _changes(before, after, done):
    """The change of each short integer; zero where an episode ended."""

    def change(old, new):
        moved = new.astype(jnp.int32) - old.astype(jnp.int32)
        return jnp.where(done.reshape(NUM_ENVS, *[1] * (moved.ndim - 1)), 0, moved)

    return jax.tree.map(change, _short_integers(before), _short_integers(after))
