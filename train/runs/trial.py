"""Traces a user's environment once, so that a mistake in it is one sentence and not a long traceback of JAX."""

import jax

from jaxenvs import VectorEnv, spaces
from jaxenvs.explain.blame import author_files, explain
from jaxenvs.explain.trees import type_changes

from ..output import command


def try_a_step(envs, entry):
    """Traces a start and a step of a batch; nothing is computed.

    Args:
        envs: `VectorEnv`.
        entry: what the person calls the environment, such as "my_env.py:MyEnv".
    Raises:
        ValueError: where that fails, with the line of the environment's code and the fix, or where the types of the
            state change, or the observation has not the shape that the space declares.
    """
    check = f"to see all problems: {command('check', entry)}"
    try:
        before, after, obs, declared = jax.eval_shape(_start_and_step, envs, jax.random.key(0))
    except Exception as error:
        found, fix = explain(error, author_files(type(envs.env)))
        raise ValueError(f"{found}; {fix}; {check}") from error
    for name, *kinds in type_changes(before, after, "state"):
        old, new = (text.removeprefix("weakly typed ") for text in kinds)
        if old != new:
            found = f"{name} of a batch is {old} after reset, {new} after step: return the same types"
            raise ValueError(f"{found}; {check}")
    if _shapes(obs) != _shapes(declared):
        found = f"an observation has the shape {_shapes(obs)}, but observation_space declares {_shapes(declared)}"
        raise ValueError(f"{found}; {check}")


def _start_and_step(envs, key):
    """The environments' states after `reset` and after a step, its observations, and what the space declares."""
    actions = spaces.sample(envs.env.action_space, key, (envs.num_envs,))
    declared = spaces.sample(envs.env.observation_space, key, (envs.num_envs,))
    state, _ = VectorEnv.reset(envs, key)
    after, step = VectorEnv.step(envs, key, state, actions)
    return state.env_state, after.env_state, step.obs, declared


def _shapes(batch):
    """The shapes of one member of a batch, as text."""
    return ", ".join(str(leaf.shape[1:]) for leaf in jax.tree.leaves(batch))
