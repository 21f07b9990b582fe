"""Stable-Baselines3's PPO on a batch of environments that is stepped by one call.

pip install stable-baselines3
python examples/sb3.py
"""

import argparse


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--updates", type=int, default=20)
    options = parser.parse_args(arguments)

    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    from jaxenvs.bridges.sb3 import JaxVecEnv

    model = PPO("MlpPolicy", JaxVecEnv("CartPole-v1", options.num_envs), n_steps=32, batch_size=256, seed=0)
    model.learn(32 * options.num_envs * options.updates)
    mean, std = evaluate_policy(model, JaxVecEnv("CartPole-v1", options.num_envs, seed=1), options.num_envs)
    print(f"return {mean:.1f} +- {std:.1f}")
    return mean


if __name__ == "__main__":
    main()
