"""purejaxrl's PPO on CartPole-v1: `PYTHON -m benchmarks.peers.training_purejaxrl UPDATES FOLDER`.

FOLDER is a copy of its repository, whose `make_train` is called as its README does. Two things stand between it and
today's gymnax: its wrappers import brax and navix, which CartPole does not need, and expect five values of a step.
"""

import subprocess
import sys
import time
import types
from pathlib import Path

import gymnax  # pyright: ignore[reportMissingImports]
import jax

from benchmarks.peers.five_values import FiveValues
from benchmarks.peers.serving import serve

CONFIG = {
    "LR": 2.5e-4, "NUM_ENVS": 256, "NUM_STEPS": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "GAMMA": 0.99,
    "GAE_LAMBDA": 0.95, "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5, "ACTIVATION": "tanh",
    "ENV_NAME": "CartPole-v1", "ANNEAL_LR": True, "DEBUG": False,
}  # fmt: skip


def main(updates, folder):
    make = gymnax.make
    gymnax.make = lambda *args: (FiveValues(make(*args)[0]), make(*args)[1])
    for name in ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training", "navix"):
        sys.modules.setdefault(name, types.ModuleType(name))
    vars(sys.modules["brax"]).update(envs=sys.modules["brax.envs"])
    vars(sys.modules["brax.envs.wrappers.training"]).update(EpisodeWrapper=None, AutoResetWrapper=None)
    sys.path.insert(0, str(Path(folder) / "purejaxrl"))
    from ppo import make_train  # pyright: ignore[reportMissingImports]

    steps = updates * CONFIG["NUM_ENVS"] * CONFIG["NUM_STEPS"]
    key = jax.random.PRNGKey(0)
    began = time.perf_counter()
    train = jax.jit(make_train({**CONFIG, "TOTAL_TIMESTEPS": steps})).lower(key).compile()
    compiled = time.perf_counter() - began
    serve(
        lambda: jax.block_until_ready(train(key)), steps=steps, compile_s=compiled, jax=jax.__version__,
        version=_commit(folder),
    )  # fmt: skip


def _commit(folder):
    found = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
