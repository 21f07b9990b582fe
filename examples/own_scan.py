"""Your own loop over steps: one environment in `jax.lax.scan`, and many of them by `jax.vmap`, as one jitted program.

python examples/own_scan.py
"""

import argparse
import functools

import jax
import jax.numpy as jnp

import jaxenvs


@functools.partial(jax.jit, static_argnames="steps")
def play(env, key, steps):
    """The productivity of a person who sleeps whenever alertness is gone, f32[steps]."""
    start_key, run_key = jax.random.split(key)
    state, obs = env.reset(start_key)

    def step(carry, step_key):
        state, obs = carry
        state, after = env.step(step_key, state, jnp.where(obs[0] < 0, 3, 0))
        return (state, after.obs), state.work_done / state.time_elapsed

    return jax.lax.scan(step, (state, obs), jax.random.split(run_key, steps))[1]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args(arguments)

    env = jaxenvs.HeartPole(heart_attack_proclivity=0.3)
    keys = jax.random.split(jax.random.key(0), options.people)
    scores = jax.vmap(lambda key: play(env, key, options.steps))(keys)
    print(f"mean productivity after {options.steps} steps: {float(scores[:, -1].mean()):.3f}")
    return scores


if __name__ == "__main__":
    main()
