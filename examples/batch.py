"""Thousands of environments at once, a policy for all of them, and the returns of the episodes that ended.

python examples/batch.py --num-envs 16384 --steps 1000
"""

import argparse

import jax
import jax.numpy as jnp

import jaxenvs


def lean(key, obs):
    """Pushes CartPole's cart to the side to which the pole leans and moves."""
    return (obs[:, 2] + obs[:, 3] > 0).astype(jnp.int32)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args(arguments)

    envs = jaxenvs.make_vec("CartPole-v1", options.num_envs)
    state, obs = envs.reset(jax.random.key(0))
    state, obs, steps = jaxenvs.rollout(envs, lean, jax.random.key(1), state, obs, options.steps)
    ended = steps.terminated | steps.truncated
    mean = (steps.episode_return * ended).sum() / jnp.maximum(ended.sum(), 1)
    print(f"{int(ended.sum())} episodes ended, with a mean return of {float(mean):.1f}")
    return steps


if __name__ == "__main__":
    main()
