"""Gymnasium's interface: the loop over one environment, and a batch with a constant for each member.

python examples/gymnasium_loop.py
"""

import argparse

import gymnasium
import numpy as np

import jaxenvs  # noqa: F401  (registers the ids)


def one_episode(env, seed):
    """The return of an episode of random actions."""
    env.action_space.seed(seed)
    env.reset(seed=seed)
    total, done = 0.0, False
    while not done:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total += reward
        done = terminated or truncated
    return total


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args(arguments)

    env = gymnasium.make("jaxenvs/CartPole-v1", force=12.0)
    returns = [one_episode(env, seed) for seed in range(options.episodes)]
    print(f"returns of random actions: {returns}")

    proclivities = np.linspace(0.0, 1.0, 8, dtype=np.float32)
    envs = gymnasium.make_vec(
        "jaxenvs/HeartPole-v0", num_envs=8, constants={"heart_attack_proclivity": proclivities}
    )  # fmt: skip
    envs.reset(seed=0)
    attacks = sum(envs.step(np.full(8, 1))[4]["heart_attack"] for _ in range(options.steps))
    print(f"heart attacks in {options.steps} cups of coffee, by proclivity: {attacks.tolist()}")
    return returns, attacks


if __name__ == "__main__":
    main()
