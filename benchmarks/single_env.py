"""How long one step of one environment takes through Gymnasium, beside Gymnasium's own and a NumPy HeartPole.

    python -m benchmarks.single_env

For each id: the bare class (`GymnasiumEnv`), and `gymnasium.make` with its wrappers. A step is what a user pays: a
host action in, a NumPy observation out, and a reset whenever an episode ends. Actions are drawn beforehand. Runs of all
subjects alternate, so that a noisy moment of the machine meets all of them.
"""

import argparse
import functools
import itertools
import time

import gymnasium

import jaxenvs
from benchmarks.common import save, spread, take_turns
from benchmarks.peers.numpy_heartpole import NumpyHeartPole
from jaxenvs.bridges.gymnasium import GymnasiumEnv

PEERS = {
    "gymnasium.make('CartPole-v1')": lambda: gymnasium.make("CartPole-v1"),
    "gymnasium's CartPole, bare": lambda: gymnasium.make("CartPole-v1").unwrapped,
    "gymnasium.make('Pendulum-v1')": lambda: gymnasium.make("Pendulum-v1"),
    "NumPy HeartPole": NumpyHeartPole,
    "NumPy HeartPole, no log": lambda: NumpyHeartPole(log=False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--name", default="single_env", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    subjects = dict(PEERS)
    for id in options.ids:
        subjects[f"{id}, bare"] = lambda id=id: GymnasiumEnv(id)
        subjects[f"{id}, gymnasium.make"] = lambda id=id: gymnasium.make(f"jaxenvs/{id}")
    players = {name: Player(make()) for name, make in subjects.items()}
    calls = {name: functools.partial(player.play, options.steps) for name, player in players.items()}
    times = take_turns(calls, options.runs)
    rows = [{"subject": name, "microseconds": spread(values)} for name, values in times.items()]
    for row in rows:
        us = row["microseconds"]
        print(f"{row['subject']:44} {us['median']:6.1f} us ({us['min']:.1f} to {us['max']:.1f})")
    save(options.name, rows, steps=options.steps)


class Player:
    """Plays an environment with actions drawn beforehand, and resets where an episode ends."""

    def __init__(self, env):
        self.env = env
        env.action_space.seed(0)
        self.actions = [env.action_space.sample() for _ in range(997)]
        env.reset(seed=0)
        self.play(1000)

    def play(self, steps):
        """Microseconds per step."""
        step, reset = self.env.step, self.env.reset
        began = time.perf_counter()
        for action in itertools.islice(itertools.cycle(self.actions), steps):
            _, _, terminated, truncated, _ = step(action)
            if terminated or truncated:
                reset()
        return (time.perf_counter() - began) / steps * 1e6


if __name__ == "__main__":
    main()
