"""What every learner keeps of its environments: where they are, and running moments of what they gave.

`state` is an algorithm's state, or the part of it that has the fields `obs_moments`, `return_moments`, `discounted`,
`env_state` and `obs`. `config` is an algorithm's `Config`.
"""

import jax.numpy as jnp

from .episodes import staggered
from .heads import num_features
from .moments import discounted_sums, init_moments, standardise, update_moments
from .sharding import batch_sharding, replicated


def begun(config, envs, reset_key, age_key):
    """These fields at the start of a run, as a dict: new environments, and moments of nothing yet."""
    env_state, obs = envs.reset(reset_key)
    return {
        "obs_moments": init_moments((num_features(envs.single_observation_space),)),
        "return_moments": init_moments(()),
        "discounted": jnp.zeros(config.num_envs),
        "env_state": staggered(envs, env_state, age_key) if config.stagger else env_state,
        "obs": obs,
    }


def seen(config, state, raw):
    """Features f32[..., inputs] as networks see them: standardised, if `config.normalise_observations`."""
    return standardise(state.obs_moments, raw, clip=10.0) if config.normalise_observations else raw


def scaled(config, state, reward):
    """Rewards, divided by the running standard deviation of the discounted return if `config.scale_rewards`."""
    return reward / jnp.maximum(jnp.sqrt(state.return_moments.variance), 1e-4) if config.scale_rewards else reward


def returns(config, state, reward, done):
    """The moments of the discounted return, and the running discounted returns, after some steps.

    Args:
        config: with `gamma`.
        state: with both before the steps.
        reward, done: f32 and bool[num_steps, num_envs]; `done` where an episode ended with the step.
    Returns:
        (Moments, f32[num_envs]).
    """
    sums, discounted = discounted_sums(reward, done, state.discounted, gamma=config.gamma)
    return update_moments(state.return_moments, sums), discounted


def shardings(mesh, state):
    """A pytree of shardings like `state`: each device holds its part of the environments, and all of the rest."""
    parts = {name: batch_sharding(mesh, getattr(state, name)) for name in ("discounted", "env_state", "obs")}
    return replicated(mesh, state)._replace(**parts)
