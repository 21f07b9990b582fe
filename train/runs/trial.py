"""Traces a user's environment once, so that a mistake in it is one sentence and not a long traceback of JAX."""

import jax

from jaxenvs import VectorEnv, spaces
from jaxenvs.explain.blame import author_files, explain


def try_a_step(envs, entry):
    """Traces a start and a step of a batch; nothing is computed.

    Args:
        envs: `VectorEnv`.
        entry: what the person calls the environment, such as "my_env.py:MyEnv".
    Raises:
        ValueError: where that fails, with the line of the environment's code and the fix.
    """
    key = jax.random.key(0)
    try:
        actions = spaces.sample(envs.env.action_space, key, (envs.num_envs,))
        state, _ = jax.eval_shape(VectorEnv.reset, envs, key)
        jax.eval_shape(VectorEnv.step, envs, key, state, actions)
    except Exception as error:
        found, fix = explain(error, author_files(type(envs.env)))
        raise ValueError(f"{found}; {fix}; to see all problems: python -m jaxenvs check {entry}") from error
