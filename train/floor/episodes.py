"""Episodes in training: what an update reports of those that ended in it, and starts at random ages."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import VectorEnv

# The return of an episode that began at a random age: it stays what it is when rewards are added, and is no NaN, at
# which `jax_debug_nans` would stop.
_UNKNOWN = float(np.finfo(np.float32).min)


class Metrics(NamedTuple):
    """What an update reports, f32[] each."""

    #: Episodes that ended.
    episodes: Any
    #: Sum, minimum and maximum of their returns; inf and -inf where none ended.
    return_sum: Any
    return_min: Any
    return_max: Any
    #: Sum of their lengths, in steps.
    length_sum: Any
    #: What else there is to say, by name: losses, rates and the like, means over the update.
    means: dict[str, Any]


def episode_metrics(done, episode_return, episode_length, means):
    """The `Metrics` of some steps.

    Args:
        done: bool[...], whether an episode ended with a step.
        episode_return: f32[...], its return so far; episodes whose return is unknown do not count.
        episode_length: i32[...], its length so far.
        means: dict of f32[].
    Returns:
        `Metrics`.
    """
    full = done & (episode_return > _UNKNOWN / 2)
    return Metrics(
        episodes=full.sum().astype(jnp.float32),
        return_sum=jnp.where(full, episode_return, 0.0).sum(),
        return_min=jnp.where(full, episode_return, jnp.inf).min(),
        return_max=jnp.where(full, episode_return, -jnp.inf).max(),
        length_sum=jnp.where(full, episode_length, 0).sum().astype(jnp.float32),
        means=means,
    )


def no_metrics(like):
    """The metrics of no update, where `merged` begins; `like` is a `Metrics` of arrays or of their shapes."""
    zero = jnp.float32(0.0)
    return Metrics(zero, zero, jnp.float32(jnp.inf), jnp.float32(-jnp.inf), zero, dict.fromkeys(like.means, zero))


def merged(first, second):
    """The metrics of two updates, JAX or NumPy arrays; `means` are summed: divide them by the number of updates."""
    xp = np if isinstance(first.episodes, np.ndarray | np.generic) else jnp
    return Metrics(
        episodes=first.episodes + second.episodes,
        return_sum=first.return_sum + second.return_sum,
        return_min=xp.minimum(first.return_min, second.return_min),
        return_max=xp.maximum(first.return_max, second.return_max),
        length_sum=first.length_sum + second.length_sum,
        means=jax.tree.map(xp.add, first.means, second.means),
    )


def staggered(envs, state, key):
    """The same episodes at random ages, so that they do not all reach their time limit together.

    Args:
        envs: a `VectorEnv`; without a time limit nothing changes.
        state: its `VectorState` after a reset.
        key: a JAX key.
    Returns:
        `VectorState`: the time limit ends each episode as many steps early as its age; returns are marked as unknown,
        which keeps these episodes out of the metrics.
    """
    if envs.max_episode_steps is None:
        return state
    age = jax.random.randint(key, envs.num_envs, 0, envs.max_episode_steps)
    returns = jnp.where(age > 0, _UNKNOWN, state.episode_return)
    return state._replace(episode_length=age, episode_return=returns)


def check_batch(envs, num_envs):
    """Refuses anything but a `VectorEnv` of `num_envs` environments.

    Raises:
        TypeError, ValueError: saying what to pass.
    """
    if not isinstance(envs, VectorEnv):
        raise TypeError(f"envs must be a VectorEnv, such as jaxenvs.make_vec(env, {num_envs}), got {envs!r}")
    if envs.num_envs != num_envs:
        raise ValueError(f"envs must have num_envs={num_envs} environments, as the config has, got {envs.num_envs}")
