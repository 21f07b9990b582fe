"""Experience of learners from a replay buffer: steps of a batch of environments, and the buffer that they fill.

`config` is an algorithm's `Config`, with the fields `gamma`, `num_envs`, `num_steps`, `n_step`, `gradient_steps`,
`batch_size`, `capacity`, `learning_starts`, `normalise_observations`, `scale_rewards` and `stagger`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs import rollout

from . import networks, running
from .episodes import episode_metrics
from .heads import features, num_features, to_action
from .moments import Moments, update_moments
from .replay import Transition, add, init_replay, replay_shardings, sample
from .returns import n_step
from .sharding import MIN_SAMPLES, batch_sharding, replicated


class Steps(NamedTuple):
    """Steps of a batch of environments; arrays are [num_steps, num_envs, ...]."""

    #: f32[..., features] of the observation that was acted on, and of the true successor, before any reset.
    features: Any
    next_features: Any
    #: The action before `heads.to_action`: i32[...] for choices, f32[..., axes] for a Box.
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
    #: f32[num_envs, axes], the noise of the last step, standard normals; None without noise that may last.
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
    """Refuses networks that are not there, and counts that do not fit together or on this number of devices.

    Raises:
        ValueError: naming the hyperparameter, its value and what is allowed.
    """
    networks.check(config.network, config.hidden, config.activation)
    together = steps_per_update(config)
    for name in ("capacity", "learning_starts"):
        if getattr(config, name) % together:
            raise ValueError(
                f"{name} must be a multiple of num_envs * num_steps = {together}, got {getattr(config, name)}"
            )
    if devices < 1 or config.num_envs % devices or config.batch_size % devices:
        raise ValueError(
            f"devices must divide num_envs={config.num_envs} and batch_size={config.batch_size}, got {devices}"
        )


def useful_devices(config, available):
    """The largest number of devices, up to `available`, that share evenly with 512 samples of a batch for each."""

    def useful(count):
        even = not (config.num_envs % count or config.batch_size % count)
        return even and config.batch_size // count >= MIN_SAMPLES

    return max(n for n in range(1, max(1, available) + 1) if n == 1 or useful(n))


def steps_per_update(config):
    """Environment steps of an update, over all environments."""
    return config.num_envs * config.num_steps


def warmup_steps(config):
    """Environment steps of `warmed_up`: learning_starts, and the first n_step - 1 of each environment."""
    return config.learning_starts + (config.n_step - 1) * config.num_envs


def begun(config, envs, action, reset_key, age_key):
    """`Experience` of new environments, with an empty buffer.

    Args:
        config, envs: of an algorithm's `init`.
        action: the shape of an action before `heads.to_action`, a `jax.ShapeDtypeStruct`.
        reset_key, age_key: JAX keys, of the environments and of the ages of their first episodes.
    """
    example = _example(num_features(envs.single_observation_space), action)
    replay = init_replay(example, config.capacity, config.num_envs)
    return Experience(noise=None, recent=None, replay=replay, **running.begun(config, envs, reset_key, age_key))


def warmed_up(config, play, experience, first_key, rest_key):
    """`Experience` with learning_starts transitions.

    Args:
        config: of an algorithm's `init`.
        play: `play(key, experience, num_steps) -> (Experience, Steps)`, with random actions.
        experience: of `begun`.
        first_key, rest_key: JAX keys, of the first n_step - 1 steps and of the others.
    """
    experience, recent = play(first_key, experience, config.n_step - 1)

    def block(index, experience):
        return remember(config, *play(jax.random.fold_in(rest_key, index), experience, config.num_steps))

    blocks = config.learning_starts // steps_per_update(config)
    return jax.lax.fori_loop(0, blocks, block, experience._replace(recent=recent))


def play(envs, choose, key, experience, num_steps):
    """Plays some steps in every environment.

    Args:
        envs: a `VectorEnv`.
        choose: `choose(key, features) -> action` before `heads.to_action`, of f32[num_envs, features].
        key: a JAX key.
        experience: `Experience`.
        num_steps: an int.
    Returns:
        (Experience, Steps): the environments after the last step, and what happened.
    """

    def act(key, obs):
        raw = features(envs.single_observation_space, obs)
        chosen = choose(key, raw)
        return to_action(envs.single_action_space, chosen), (raw, chosen)

    def collect(obs, action, extra, step):
        raw, chosen = extra
        return one_step(envs, raw, chosen, step)

    env_state, obs, steps = rollout(envs, act, key, experience.env_state, experience.obs, num_steps, collect)
    return experience._replace(env_state=env_state, obs=obs), steps


def one_step(envs, raw, chosen, step):
    """`Steps` of [num_envs, ...]: features, the action before `heads.to_action`, and the `VectorStep` that followed."""
    after = features(envs.single_observation_space, step.final_obs)
    ends = step.terminated, step.truncated
    return Steps(raw, after, chosen, step.reward, *ends, step.episode_return, step.episode_length)


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
    return_moments, discounted = running.returns(config, experience, steps.reward, done)
    return experience._replace(
        obs_moments=update_moments(experience.obs_moments, steps.features),
        return_moments=return_moments,
        discounted=discounted,
        recent=jax.tree.map(lambda x: x[count:], entire),
        replay=add(experience.replay, Transition(entire.features[:count], entire.action[:count], *ahead)),
    )


def batches(config, experience, key):
    """`Transition` of [gradient_steps, batch_size, ...] from the buffer, standardised and scaled as `config` says."""
    batch = sample(key, experience.replay, (config.gradient_steps, config.batch_size))
    before, after = (running.seen(config, experience, x) for x in (batch.features, batch.next_features))
    reward = running.scaled(config, experience, batch.reward)
    return batch._replace(features=before, next_features=after, reward=reward)


def metrics_of(steps, means):
    """The `Metrics` of some steps."""
    return episode_metrics(steps.terminated | steps.truncated, steps.episode_return, steps.episode_length, means)


def shardings(mesh, state):
    """A pytree of shardings like `state`: a device holds its environments, their transitions, and all of the rest.

    Args:
        mesh: of `sharding.mesh_of`.
        state: an algorithm's state, with an `experience`.
    """
    now = state.experience
    parts = {"noise": batch_sharding(mesh, now.noise), "recent": batch_sharding(mesh, now.recent, axis=1)}
    parts |= {"replay": replay_shardings(mesh, now.replay)}
    return replicated(mesh, state)._replace(experience=running.shardings(mesh, now)._replace(**parts))


def _example(inputs, action):
    """The shapes of one `Transition`."""
    vector, number = jax.ShapeDtypeStruct((inputs,), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    return Transition(vector, action, number, vector, jax.ShapeDtypeStruct((), jnp.bool_), number)
