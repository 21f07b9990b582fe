"""`rollout`: a policy and a batch of environments, scanned on the device."""

from typing import Any, NamedTuple

import jax

from jaxenvs.random import fusable


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

    def advance(carry, index):
        state, obs = carry
        policy_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        action = policy(policy_key, obs)
        state, step = envs.step(step_key, state, action)
        return (state, step.obs), collect(obs, action, step)

    (state, obs), collected = jax.lax.scan(advance, (state, obs), jax.numpy.arange(num_steps))
    return state, obs, collected
