"""Experience of continuous actions: steps of a batch of environments, and the replay buffer that they fill.

`config` is an algorithm's `Config`, with the fields `gamma`, `noise_correlation`, `num_envs`, `num_steps`, `n_step`,
`gradient_steps`, `batch_size`, `capacity`, `learning_starts`, `normalise_observations`, `scale_rewards` and `stagger`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .episodes import episode_metrics, staggered
from .heads import features, num_features, num_outputs, to_action
from .moments import Moments, discounted_sums, init_moments, standardise, update_moments
from .noise import correlated_normals, uniform_of
from .replay import Transition, add, init_replay, replay_shardings, sample
from .returns import n_step
from .sharding import batch_sharding, replicated


class Steps(NamedTuple):
    """Steps of a batch of environments; arrays are [num_steps, num_envs, ...]."""

    #: f32[..., features] of the observation that was acted on, and of the true successor, before any reset.
    features: Any
    next_features: Any
    #: f32[..., axes], the action before `heads.to_action`.
    action: Any
    #: f32[...]
    reward: Any
    #: bool[...], both.
    terminated: Any
    truncated: Any
    #: f32[...] and i32[...], of the episode so far.
    episode_return: Any
    episode_length: Any


class Experience(NamedTuple):
    """The environments of a learner, and what it remembers of them."""

    #: `VectorState`, and the observations to act on.
    env_state: Any
    obs: Any
    #: f32[num_envs, axes], the noise of the last step, standard normals.
    noise: Any
    #: Moments of the observation features, f32[features].
    obs_moments: Moments
    #: Moments of the discounted return, f32[].
    return_moments: Moments
    #: f32[num_envs], running discounted returns.
    discounted: Any
    #: `Steps` of [n_step - 1, num_envs, ...], whose n-step returns are not complete yet.
    recent: Any
    #: `Replay` of `Transition`s.
    replay: Any


def check(config, devices=1):
    """Refuses counts that do not fit together or on this number of devices, with a ValueError."""
    together = config.num_envs * config.num_steps
    for name in ("capacity", "learning_starts"):
        if getattr(config, name) % together:
            raise ValueError(
                f"{name} must be a multiple of num_envs * num_steps = {together}, got {getattr(config, name)}"
            )
    if devices < 1 or config.num_envs % devices or config.batch_size % devices:
        raise ValueError(
            f"devices must divide num_envs={config.num_envs} and batch_size={config.batch_size}, got {devices}"
        )


def useful_devices(config, available, min_samples=512):
    """The largest number of devices, up to `available`, that share evenly with `min_samples` of a batch for each.

    With fewer samples, two devices were no faster than one with PPO.
    """

    def useful(count):
        even = not (config.num_envs % count or config.batch_size % count)
        return even and config.batch_size // count >= min_samples

    return max(n for n in range(1, max(1, available) + 1) if n == 1 or useful(n))


def warmup_steps(config):
    """Environment steps of `warmed_up`: learning_starts, and the first n_step - 1 of each environment."""
    return config.learning_starts + (config.n_step - 1) * config.num_envs


def warmed_up(config, envs, key):
    """`Experience` of new environments, with learning_starts transitions of random actions, uniform in the box.

    Args:
        config, envs: of an algorithm's `init`.
        key: a JAX key.
    """
    reset_key, age_key, noise_key, first_key, rest_key = jax.random.split(fusable(key), 5)
    inputs, axes = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    env_state, obs = envs.reset(reset_key)
    begun = Experience(
        env_state=staggered(envs, env_state, age_key) if config.stagger else env_state,
        obs=obs,
        noise=jax.random.normal(noise_key, (config.num_envs, axes)),
        obs_moments=init_moments((inputs,)),
        return_moments=init_moments(()),
        discounted=jnp.zeros(config.num_envs),
        recent=None,
        replay=init_replay(_example(inputs, axes), config.capacity, config.num_envs),
    )
    begun, recent = play(config, envs, _at_random, first_key, varying_as(key, begun), config.n_step - 1)

    def block(index, experience):
        block_key = jax.random.fold_in(rest_key, index)
        return remember(config, *play(config, envs, _at_random, block_key, experience, config.num_steps))

    blocks = config.learning_starts // (config.num_envs * config.num_steps)
    return jax.lax.fori_loop(0, blocks, block, begun._replace(recent=recent))


def play(config, envs, choose, key, experience, num_steps):
    """Plays some steps in every environment.

    Args:
        config: with `noise_correlation`, of the noise of neighbouring steps.
        envs: a `VectorEnv`.
        choose: `choose(features, noise) -> action` in [-1, 1] on each axis, of f32[num_envs, features] and standard
            normals f32[num_envs, axes].
        key: a JAX key.
        experience: `Experience`.
        num_steps: an int.
    Returns:
        (Experience, Steps): the environments and the noise after the last step, and what happened.
    """
    noise_key, step_key = jax.random.split(fusable(key))
    noise = correlated_normals(noise_key, experience.noise, num_steps, config.noise_correlation)

    def one(carry, now):
        env_state, obs = carry
        index, noise_t = now
        raw = features(envs.single_observation_space, obs)
        chosen = choose(raw, noise_t)
        action = to_action(envs.single_action_space, chosen)
        env_state, step = envs.step(jax.random.fold_in(step_key, index), env_state, action)
        after = features(envs.single_observation_space, step.final_obs)
        ends = step.terminated, step.truncated
        steps = Steps(raw, after, chosen, step.reward, *ends, step.episode_return, step.episode_length)
        return (env_state, step.obs), steps

    start = experience.env_state, experience.obs
    (env_state, obs), steps = jax.lax.scan(one, start, (jnp.arange(num_steps), noise))
    last = jnp.concatenate([experience.noise[None], noise])[-1]
    return experience._replace(env_state=env_state, obs=obs, noise=last), steps


def remember(config, experience, steps):
    """Adds to the buffer the transitions that some steps complete, one for each of them, and the steps to the moments.

    Args:
        config: with `gamma`.
        experience: `Experience`.
        steps: `Steps` of [num_steps, num_envs, ...] that follow `experience.recent`.
    Returns:
        `Experience`.
    """
    entire = jax.tree.map(lambda old, new: jnp.concatenate([old, new]), experience.recent, steps)
    count, held = steps.reward.shape[0], experience.recent.reward.shape[0]
    ends = entire.terminated, entire.truncated
    ahead = n_step(entire.reward, entire.next_features, *ends, gamma=config.gamma, n=held + 1)
    done = steps.terminated | steps.truncated
    sums, discounted = discounted_sums(steps.reward, done, experience.discounted, gamma=config.gamma)
    return experience._replace(
        obs_moments=update_moments(experience.obs_moments, steps.features),
        return_moments=update_moments(experience.return_moments, sums),
        discounted=discounted,
        recent=jax.tree.map(lambda x: x[count:], entire),
        replay=add(experience.replay, Transition(entire.features[:count], entire.action[:count], *ahead)),
    )


def batches(config, experience, key):
    """`Transition` of [gradient_steps, batch_size, ...] from the buffer, standardised and scaled as `config` says."""
    batch = sample(key, experience.replay, (config.gradient_steps, config.batch_size))
    seen, later = (seen_as(config, experience, x) for x in (batch.features, batch.next_features))
    reward = batch.reward
    if config.scale_rewards:
        reward = reward / jnp.maximum(jnp.sqrt(experience.return_moments.variance), 1e-4)
    return batch._replace(features=seen, next_features=later, reward=reward)


def seen_as(config, experience, raw):
    """Features f32[..., inputs] as networks see them: standardised, if `config` says so."""
    return standardise(experience.obs_moments, raw, clip=10.0) if config.normalise_observations else raw


def metrics_of(steps, means):
    """The `Metrics` of some steps."""
    return episode_metrics(steps.terminated | steps.truncated, steps.episode_return, steps.episode_length, means)


def shardings(mesh, experience):
    """A pytree of shardings like `experience`: each device holds its environments and their transitions."""
    names = "env_state", "obs", "noise", "discounted"
    parts = {name: batch_sharding(mesh, getattr(experience, name)) for name in names}
    parts |= {"recent": batch_sharding(mesh, experience.recent, axis=1)}
    return replicated(mesh, experience)._replace(**parts, replay=replay_shardings(mesh, experience.replay))


def _at_random(raw, noise):
    return uniform_of(noise)


def _example(inputs, axes):
    """The shapes of one `Transition`."""
    vector, number = jax.ShapeDtypeStruct((inputs,), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    action, flag = jax.ShapeDtypeStruct((axes,), jnp.float32), jax.ShapeDtypeStruct((), jnp.bool_)
    return Transition(vector, action, number, vector, flag, number)
