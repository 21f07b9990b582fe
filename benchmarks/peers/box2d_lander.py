"""Gymnasium's LunarLander with Box2D in a process of its own, which needs neither JAX nor jaxenvs.

    python benchmarks/peers/box2d_lander.py continuous 100 7      # kind, episodes, first seed

It plays all episodes at once: writes their observations to its output and reads their actions from its input until all
have ended; then it writes their returns. `benchmarks.lander` talks to it.
"""

import io
import sys

import gymnasium
import numpy as np


def main(kind, episodes, seed):
    continuous = kind == "continuous"
    envs = [gymnasium.make("LunarLander-v3", continuous=continuous) for _ in range(episodes)]
    obs = np.array([env.reset(seed=seed + index)[0] for index, env in enumerate(envs)])
    totals, running = np.zeros(episodes), np.ones(episodes, bool)
    while running.any():
        put(obs)
        actions = receive(sys.stdin.buffer)
        for index in np.flatnonzero(running):
            action = actions[index] if continuous else int(actions[index])
            obs[index], reward, terminated, truncated, _ = envs[index].step(action)
            totals[index] += reward
            running[index] = not (terminated or truncated)
    put(totals)


def put(array):
    send(sys.stdout.buffer, array)


def send(stream, array):
    """Writes an array: the number of its bytes, then those of `numpy.save`."""
    held = io.BytesIO()
    np.save(held, array)
    stream.write(len(held.getvalue()).to_bytes(8, "little") + held.getvalue())
    stream.flush()


def receive(stream):
    """Reads an array that `send` wrote."""
    return np.load(io.BytesIO(stream.read(int.from_bytes(stream.read(8), "little"))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
