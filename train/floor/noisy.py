"""Experience of learners that explore a box of actions by noise, which may last for some steps.

`config` is an algorithm's `Config`, with the fields of `experience` and `noise_correlation`.
"""

import functools

import jax
import jax.numpy as jnp

from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from . import experience
from .heads import features, num_outputs, to_action
from .noise import correlated_normals, uniform_of


def warmed_up(config, envs, key):
    """`Experience` of new environments, with learning_starts transitions of random actions, uniform in the box.

    Args:
        config, envs: of an algorithm's `init`.
        key: a JAX key.
    """
    reset_key, age_key, noise_key, first_key, rest_key = jax.random.split(fusable(key), 5)
    axes = num_outputs(envs.single_action_space)
    begun = experience.begun(config, envs, jax.ShapeDtypeStruct((axes,), jnp.float32), reset_key, age_key)
    begun = begun._replace(noise=jax.random.normal(noise_key, (config.num_envs, axes)))
    at_random = functools.partial(play, config, envs, lambda raw, noise: uniform_of(noise))
    return experience.warmed_up(config, at_random, varying_as(key, begun), first_key, rest_key)


def play(config, envs, choose, key, experienced, num_steps):
    """Plays some steps in every environment.

    Args:
        config: with `noise_correlation`, of the noise of neighbouring steps.
        envs: a `VectorEnv`.
        choose: `choose(features, noise) -> action` in [-1, 1] on each axis, of f32[num_envs, features] and standard
            normals f32[num_envs, axes].
        key: a JAX key.
        experienced: `Experience`.
        num_steps: an int.
    Returns:
        (Experience, Steps): the environments and the noise after the last step, and what happened.
    """
    noise_key, step_key = jax.random.split(fusable(key))
    noise = correlated_normals(noise_key, experienced.noise, num_steps, config.noise_correlation)

    def one(carry, now):
        env_state, obs = carry
        index, noise_t = now
        raw = features(envs.single_observation_space, obs)
        chosen = choose(raw, noise_t)
        action = to_action(envs.single_action_space, chosen)
        env_state, step = envs.step(jax.random.fold_in(step_key, index), env_state, action)
        return (env_state, step.obs), experience.one_step(envs, raw, chosen, step)

    start = experienced.env_state, experienced.obs
    (env_state, obs), steps = jax.lax.scan(one, start, (jnp.arange(num_steps), noise))
    last = jnp.concatenate([experienced.noise[None], noise])[-1]
    return experienced._replace(env_state=env_state, obs=obs, noise=last), steps
