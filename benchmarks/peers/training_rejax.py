"""rejax's PPO on CartPole-v1, by its public interface: `PYTHON -m benchmarks.peers.training_rejax UPDATES`.

Its own evaluation is left out, so that only training is timed; layers are 2x64 with tanh, as ours.
"""

import importlib.metadata
import sys
import time

import gymnax  # pyright: ignore[reportMissingImports]
import jax
import rejax  # pyright: ignore[reportMissingImports]

from benchmarks.peers.five_values import FiveValues
from benchmarks.peers.serving import serve

NUM_ENVS, NUM_STEPS = 256, 128


def main(updates):
    steps = updates * NUM_ENVS * NUM_STEPS
    env, params = gymnax.make("CartPole-v1")
    algorithm = rejax.get_algo("ppo").create(
        env=FiveValues(env), env_params=params, num_envs=NUM_ENVS, num_steps=NUM_STEPS, num_epochs=4, num_minibatches=4,
        total_timesteps=steps, eval_freq=steps, skip_initial_evaluation=True,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
    ).replace(eval_callback=lambda *_: ())  # fmt: skip
    key = jax.random.key(0)
    began = time.perf_counter()
    train = jax.jit(lambda key: algorithm.train(key)).lower(key).compile()
    compiled = time.perf_counter() - began
    serve(
        lambda: jax.block_until_ready(train(key)), steps=steps, compile_s=compiled, jax=jax.__version__,
        version=importlib.metadata.version("rejax"),
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
