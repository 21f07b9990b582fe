"""Stable-Baselines3's DQN and TD3 over Gymnasium: `PYTHON -m benchmarks.peers.learners_sb3 NAME STEPS SETTINGS`.

The environments are NumPy's, stepped one after another, which is the faster of SB3's two ways for such small ones.
"""

import importlib.metadata
import json
import sys

import stable_baselines3 as sb3  # pyright: ignore[reportMissingImports]
import torch  # pyright: ignore[reportMissingImports]
from stable_baselines3.common.env_util import make_vec_env  # pyright: ignore[reportMissingImports]

from benchmarks.peers.serving import serve


def main(name, steps, shape):
    # Networks of this size are faster with one thread.
    torch.set_num_threads(1)
    envs = make_vec_env(shape["id"], n_envs=shape["num_envs"])
    activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[shape["activation"]]
    kind = {"dqn": sb3.DQN, "td3": sb3.TD3}[name]
    more = {"policy_delay": shape["policy_delay"]} if name == "td3" else {}
    model = kind(
        "MlpPolicy", envs, batch_size=shape["batch_size"], buffer_size=shape["capacity"],
        learning_starts=shape["learning_starts"], train_freq=shape["num_steps"], gradient_steps=shape["gradient_steps"],
        policy_kwargs={"net_arch": list(shape["hidden"]), "activation_fn": activation}, seed=0, device="cpu", **more,
    )  # fmt: skip
    versions = {part: importlib.metadata.version(part) for part in ("stable_baselines3", "torch", "gymnasium")}
    # The first call fills the buffer; each of the others goes on with learning.
    serve(lambda: model.learn(steps, reset_num_timesteps=False), steps=steps, compile_s=0.0, **versions)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
