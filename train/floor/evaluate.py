"""Full episodes of a fixed policy, each counted once, and their statistics."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs.precision import in_32_bits
from jaxenvs.random import one_key
from jaxenvs.random.varying import varying_as
from jaxenvs.rollout import rollout
from jaxenvs.vector import where_done

from .sharding import shard


class Episodes(NamedTuple):
    """The results of each episode; arrays are [num_envs, ...]."""

    #: f32, sum of rewards.
    episode_return: jax.Array
    #: i32, steps.
    episode_length: jax.Array
    #: The last observation.
    final_obs: Any
    #: bool, whether it ended by itself; the others were truncated.
    terminated: jax.Array


# Steps between two looks at whether all is over; those past the end change nothing.
_STEPS_A_LOOK = 16


@in_32_bits
def evaluate(envs, act, key, mesh=None):
    """Plays one full episode in each environment of a batch.

    Every environment counts once, so short episodes weigh no more than long ones.

    Args:
        envs: a `VectorEnv` with a time limit.
        act: `act(key, obs) -> action` of one key and the batch's observations.
        key: a JAX key.
        mesh: with a mesh of `sharding.mesh_of`, each device plays its part of the episodes; they are the same ones.
    Returns:
        `Episodes`.
    Raises:
        ValueError: at trace time, if `envs` has no time limit.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("SimpleRocket-v0", num_envs=8)
    >>> episodes = evaluate(envs, lambda key, obs: -4 * obs[:, :1] - 4 * obs[:, 1:], jax.random.key(0))
    >>> episodes.episode_length.tolist()
    [500, 500, 500, 500, 500, 500, 500, 500]
    """
    if envs.max_episode_steps is None:
        raise ValueError(
            f"evaluation needs a time limit, and {envs.env!r} has none: make_vec(..., max_episode_steps=...)"
        )
    reset_key, run_key = jax.random.split(one_key(key, "evaluate"))
    state, obs = shard(mesh, envs.reset(reset_key))

    def count(total, step):
        episodes, over = total
        now = Episodes(step.episode_return, step.episode_length, step.final_obs, step.terminated)
        return where_done(over, episodes, now), over | step.terminated | step.truncated

    def running(carry):
        return ~carry[-1][1].all()

    def look(carry):
        index, state, obs, total = carry
        state, obs, total = rollout(
            envs, act, jax.random.fold_in(run_key, index), state, obs, _STEPS_A_LOOK,
            lambda obs, action, step: step, fold=(count, total),
        )  # fmt: skip
        return index + 1, state, obs, total

    over = varying_as(key, jnp.zeros(envs.num_envs, bool))
    nothing = Episodes(state.episode_return, state.episode_length, obs, over)
    # Devices that share the episodes wait for each other at every look.
    return jax.lax.while_loop(running, look, (jnp.int32(0), state, obs, (nothing, over)))[-1][0]


# Returns that are not finite give figures that are not, without a warning from NumPy.
@np.errstate(invalid="ignore", over="ignore")
def summary(episodes):
    """The figures that a person asks for.

    Args:
        episodes: `Episodes`.
    Returns:
        A dict of Python numbers: `mean`, `standard_error`, `std`, `median`, `quantiles` (0, 5, 25, 75, 95 and 100 per
        cent, by name), `mean_length`, `terminated` (part of all) and `episodes`.
    """
    returns = np.asarray(episodes.episode_return, np.float64)
    std = float(returns.std(ddof=1)) if returns.size > 1 else math.nan
    quantiles = {f"{percent}%": float(np.percentile(returns, percent)) for percent in (0, 5, 25, 75, 95, 100)}
    return {
        "mean": float(returns.mean()),
        "standard_error": std / math.sqrt(returns.size),
        "std": std,
        "median": float(np.median(returns)),
        "quantiles": quantiles,
        "mean_length": float(np.asarray(episodes.episode_length).mean()),
        "terminated": float(np.mean(episodes.terminated)),
        "episodes": int(returns.size),
    }
