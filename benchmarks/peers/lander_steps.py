"""Steps of LunarLander with Box2D and random actions.

    PYTHON -m benchmarks.peers.lander_steps gymnasium|envpool THREADS

Gymnasium's environment is stepped alone, envpool's as a batch of 64 for each thread; ended episodes start again.
"""

import importlib.metadata
import sys

import numpy as np

from benchmarks.peers.serving import serve

#: Steps of a run.
STEPS = 65_536


def gymnasium_run():
    import gymnasium

    env = gymnasium.make("LunarLander-v3")
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 4, STEPS)

    def run():
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return run


def envpool_run(threads):
    import envpool  # pyright: ignore[reportMissingImports]

    count = 64 * threads
    envs = envpool.make("LunarLander-v2", env_type="gymnasium", num_envs=count, num_threads=threads, seed=0)
    envs.reset()
    actions = np.random.default_rng(0).integers(0, 4, (STEPS // count, count))

    def run():
        for action in actions:
            envs.step(action)

    return run


def main(name, threads):
    run = gymnasium_run() if name == "gymnasium" else envpool_run(threads)
    serve(run, steps=STEPS, compile_s=0.0, version=importlib.metadata.version(name))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
