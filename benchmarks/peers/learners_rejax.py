"""rejax's DQN, TD3 and PQN, by their public interface: `PYTHON -m benchmarks.peers.learners_rejax NAME STEPS SETTINGS`.

Its own evaluation is left out, so that only training is timed. TD3 and PQN have its default layers, two of 64 (PQN's
are normalised), as ours have here.
"""

import importlib.metadata
import json
import sys
import time

import gymnax  # pyright: ignore[reportMissingImports]
import jax
import rejax  # pyright: ignore[reportMissingImports]
from flax import linen as nn
from rejax.networks import DiscreteQNetwork, EpsilonGreedyPolicy  # pyright: ignore[reportMissingImports]

from benchmarks.peers.five_values import FiveValues
from benchmarks.peers.serving import serve


def main(name, steps, shape):
    env, params = gymnax.make(shape["id"])
    # One iteration is a step of every environment.
    rounds = shape["num_steps"] if name != "pqn" else 1
    settings = {"num_envs": shape["num_envs"]}
    if name == "pqn":
        settings |= {"num_steps": shape["num_steps"], "num_epochs": shape["epochs"]}
        settings |= {"num_minibatches": shape["minibatches"]}
    else:
        settings |= {"num_epochs": shape["gradient_steps"] // rounds, "batch_size": shape["batch_size"]}
        settings |= {"buffer_size": shape["capacity"], "fill_buffer": shape["learning_starts"]}
    if name == "td3":
        activation = {"activation": shape["activation"]}
        settings |= {
            "policy_delay": shape["policy_delay"],
            "actor_kwargs": activation,
            "critic_kwargs": dict(activation),
        }
    algorithm = rejax.get_algo(name).create(
        env=FiveValues(env), env_params=params, total_timesteps=steps, eval_freq=steps, skip_initial_evaluation=True,
        **settings,
    ).replace(eval_callback=lambda *_: ())  # fmt: skip
    if name == "dqn":
        # create() takes no sizes of layers.
        policy = EpsilonGreedyPolicy(DiscreteQNetwork)
        sizes = {"hidden_layer_sizes": tuple(shape["hidden"]), "activation": getattr(nn, shape["activation"])}
        algorithm = algorithm.replace(agent=policy(action_dim=env.action_space(params).n, **sizes))
    key = jax.random.key(0)
    began = time.perf_counter()
    train = jax.jit(lambda key: algorithm.train(key)).lower(key).compile()
    compiled = time.perf_counter() - began
    serve(
        lambda: jax.block_until_ready(train(key)), steps=steps, compile_s=compiled, jax=jax.__version__,
        version=importlib.metadata.version("rejax"),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
