"""`rollout`: a policy and a batch of environments, scanned on the device."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.core import Environment
from jaxenvs.random import fusable
from jaxenvs.vector import constant_axes


class Transitions(NamedTuple):
    """What happened, with the time axis in front of the batch axis: [num_steps, num_envs, ...]."""

    #: The observation acted on.
    obs: Any
    action: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    #: The true successor observation, before any reset.
    final_obs: Any
    #: Return and length of the episode so far, this step included; complete where it ended.
    episode_return: jax.Array
    episode_length: jax.Array


def transitions(obs, action, step):
    """The default of `rollout`'s `collect`: everything."""
    return Transitions(obs, action, *step[1:])


def rollout(envs, policy, key, state, obs, num_steps, collect=transitions):
    """Lets a policy act in a batch of environments, in one `jax.lax.scan`.

    Args:
        envs: a `VectorEnv`.
        policy: a function `policy(key, obs) -> action` of one key and the batch's observations.
        key: a JAX key; step t uses `fold_in(key, t)`.
        state, obs: what `envs.reset` or an earlier rollout returned.
        num_steps: how many steps, a Python int.
        collect: a function `collect(obs, action, step)` of the observation acted on, the action and the `VectorStep`,
            whose results are stacked over time. Return less to keep less: `lambda obs, action, step: None`.
    Returns:
        (state, obs, collected): what to go on from, and the stacked results, time in front; `Transitions` by default.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("SimpleRocket-v0", num_envs=4)
    >>> state, obs = envs.reset(jax.random.key(0))
    >>> policy = lambda key, obs: -4 * obs[:, :1] - 4 * obs[:, 1:]
    >>> state, obs, steps = jaxenvs.rollout(envs, policy, jax.random.key(1), state, obs, num_steps=100)
    >>> steps.reward.shape
    (100, 4)
    """
    key = fusable(key)
    observed = num_steps > 0 and type(envs.env).observe is not Environment.observe

    def advance(carry, index):
        state, carried = carry
        policy_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        now = _where(index == 0, obs, _observations(envs, state)) if observed else carried
        action = policy(policy_key, now)
        state, step = envs.step(step_key, state, action)
        return (state, None if observed else step.obs), collect(now, action, step)

    carry = (state, None if observed else obs)
    (state, carried), collected = jax.lax.scan(advance, carry, jnp.arange(num_steps))
    return state, _observations(envs, state) if observed else carried, collected


def _observations(envs, state):
    """What an environment that defines `observe` shows of a batch.

    A scan that carries states alone makes no observations that nobody reads, and no copies of them: a random policy
    takes 1.3 to 5 times as long otherwise.
    """
    axes = constant_axes(envs.env, envs.num_envs)
    return jax.vmap(type(envs.env).observe, (axes, 0))(envs.env, state.env_state)


def _where(first, given, seen):
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), given, seen)
