"""Trains an agent, saves it, loads it, evaluates it and films it.

python examples/main.py --out runs/rocket
"""

import argparse
from pathlib import Path

import jax

import train
from train.__main__ import main as train_command


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--out", type=Path, default=Path("runs/example"))
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("options", nargs="*", help="more options of `python -m train ppo`, after --")
    options = parser.parse_args(arguments)

    # What `python -m train ppo` does: the run's folder holds its plan, checkpoints, figures and curve.
    status = train_command(
        ["ppo", "--env", options.env, "--out", str(options.out), "--film-episodes", "0", *options.options]
    )
    if status:
        return None

    agent = train.load(options.out)
    _, obs = agent.env.reset(jax.random.key(0))
    print("first action:", agent.act(obs))
    figures = agent.evaluate(options.episodes)
    print(f"return {figures['mean']:.1f} +- {figures['standard_error']:.1f}")
    print("film:", agent.film(options.out / "agent.mp4", episodes=1))
    return figures


if __name__ == "__main__":
    main()
