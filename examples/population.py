"""A population: several seeds and several learning rates of PPO, trained side by side as one program.

python examples/population.py --updates 30
"""

import argparse
import dataclasses

import jax
import jax.numpy as jnp

import jaxenvs
from train import ppo


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 1e-3])
    options = parser.parse_args(arguments)

    env, config = jaxenvs.make("CartPole-v1"), ppo.Config(num_envs=options.num_envs, num_steps=64)

    def train(rate, key):
        config_of_one = dataclasses.replace(config, learning_rate=rate)
        return ppo.train(config_of_one, env, key, num_updates=options.updates)[1]

    keys = jax.random.split(jax.random.key(0), options.seeds)
    every = jax.jit(jax.vmap(jax.vmap(train, (None, 0)), (0, None)))
    metrics = every(jnp.array(options.rates), keys)  # each array has the axes (rates, seeds, updates)
    last = metrics.return_sum[..., -1] / jnp.maximum(metrics.episodes[..., -1], 1)
    for rate, returns in zip(options.rates, last, strict=True):
        print(f"learning rate {rate:g}: mean return of each seed {[round(float(one), 1) for one in returns]}")
    return last


if __name__ == "__main__":
    main()
