"""What the bridge to Gymnasium's vector environments compiles: starts and steps of a batch in its autoreset modes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium.vector import AutoresetMode

from jaxenvs.vector import VectorState, advance, observe_all, where_done


class Carry(NamedTuple):
    """The state carried between steps."""

    key: jax.Array
    steps: jax.Array
    state: VectorState
    obs: Any
    #: bool[num_envs], episodes that have ended and were not reset.
    over: jax.Array


@jax.jit
def start_batch(envs, key):
    reset_key, step_key = jax.random.split(key)
    state, obs = envs.reset(reset_key)
    return Carry(step_key, jnp.uint32(0), state, obs, jnp.zeros(envs.num_envs, bool))


@jax.jit
def merged(mask, fresh, running):
    parts = [(getattr(fresh, name), getattr(running, name)) for name in ("state", "obs", "over")]
    state, obs, over = (where_done(mask, a, b) for a, b in parts)
    return Carry(fresh.key, fresh.steps, state, obs, over)


@jax.jit
def from_state(envs, carry, env_state):
    obs = observe_all(envs, env_state)
    return carry._replace(state=carry.state._replace(env_state=env_state), obs=obs)


@functools.partial(jax.jit, static_argnames="mode")
def advance_batch(envs, mode, carry, actions):
    """Steps the batch as an autoreset mode says.

    Returns:
        (carry, (reward, terminated, truncated), final_obs, info, final_info): the last two hold the environment's
        `info_fields`, and a mask beside each.
    """
    advanced = advance(envs, jax.random.fold_in(carry.key, carry.steps), carry.state, actions)
    moved, step, truncated = advanced.moved, advanced.step, advanced.truncated
    ending = step.reward, step.terminated, truncated
    if mode is AutoresetMode.DISABLED:
        after = carry._replace(steps=carry.steps + 1, state=moved, obs=step.obs, over=advanced.done)
        return after, ending, step.obs, _known(envs, moved, jnp.ones_like(advanced.done)), {}
    restart = advanced.done if mode is AutoresetMode.SAME_STEP else carry.over
    state, obs = where_done(restart, (advanced.fresh, advanced.fresh_obs), (moved, step.obs))
    info = _known(envs, moved, ~restart)
    if mode is AutoresetMode.SAME_STEP:
        after = carry._replace(steps=carry.steps + 1, state=state, obs=obs)
        return after, ending, step.obs, info, _known(envs, moved, restart)
    reward = jnp.where(restart, 0.0, step.reward)
    terminated, truncated = step.terminated & ~restart, truncated & ~restart
    after = Carry(carry.key, carry.steps + 1, state, obs, terminated | truncated)
    return after, (reward, terminated, truncated), step.obs, info, {}


def _known(envs, moved, mask):
    """Gymnasium's info of the members in a mask: the fields' values, 0 elsewhere, and the mask of each."""
    info = {}
    for name in envs.env.info_fields:
        value = getattr(moved.env_state, name)
        info |= {name: where_done(mask, value, jnp.zeros_like(value)), f"_{name}": mask}
    return info
