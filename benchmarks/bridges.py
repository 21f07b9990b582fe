"""How many steps a second pass through the bridges for batches, beside the peers.

    python -m benchmarks.bridges                    # gymnasium.make_vec, N = 4096
    python -m benchmarks.bridges --tuned --name bridges_tuned     # the same after jaxenvs.tune_cpu(1)
    python -m benchmarks.bridges --sb3              # Stable-Baselines3's PPO; where that library is installed

The first steps each id through `gymnasium.make_vec` with NumPy outputs, with JAX outputs, and `VectorEnv` itself
from Python, and beside them Gymnasium's own NumPy CartPole vector environment. Actions are drawn beforehand: NumPy
arrays for NumPy outputs, JAX arrays for the others. The second lets the same PPO learn HeartPole on `JaxVecEnv`, and
on SB3's DummyVecEnv over a NumPy HeartPole; a step counts playing and learning. Runs of all subjects alternate.
"""

import argparse
import itertools
import time
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium.vector import AutoresetMode

import jaxenvs
from benchmarks.common import save, spread

PEER = "gymnasium's CartPole-v1, NumPy"
TORCH_THREADS = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--num-envs", type=int)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--sb3", action="store_true", help="Stable-Baselines3's PPO instead of plain stepping")
    parser.add_argument("--tuned", action="store_true", help="after jaxenvs.tune_cpu(1): XLA computes on one core")
    parser.add_argument("--name", default="bridges", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    if options.tuned:
        jaxenvs.tune_cpu(1)
    if options.sb3:
        measure_sb3(options.num_envs or 256, min(options.runs, 5))
    else:
        measure(options.ids, options.num_envs or 4096, options.steps, options.runs, options.name)


def measure(ids, num_envs, steps, runs, file):
    subjects: dict[str, Any] = {PEER: NumpyPeer(num_envs)}
    for id in ids:
        for mode in AutoresetMode:
            subjects[f"{id}, NumPy, {mode.value}"] = Bridged(id, num_envs, "numpy", mode)
        subjects[f"{id}, JAX"] = Bridged(id, num_envs, "jax", AutoresetMode.SAME_STEP)
        subjects[f"{id}, VectorEnv"] = Plain(id, num_envs)
    rates = {name: [] for name in subjects}
    for _, (name, subject) in itertools.product(range(runs), subjects.items()):
        rates[name].append(subject.play(steps))
    rows = [{"subject": name, "steps_per_second": spread(values)} for name, values in rates.items()]
    _print(rows)
    save(file, rows, num_envs=num_envs)


class Bridged:
    """`gymnasium.make_vec`; in DISABLED mode, the ended are reset by mask as that mode asks."""

    def __init__(self, id, num_envs, arrays, mode):
        self.envs = gymnasium.make_vec(f"jaxenvs/{id}", num_envs=num_envs, arrays=arrays, autoreset_mode=mode)
        self.envs.action_space.seed(0)
        self.actions = [self.envs.action_space.sample() for _ in range(16)]
        if arrays == "jax":
            self.actions = [jax.device_put(action) for action in self.actions]
        self.by_mask = mode is AutoresetMode.DISABLED
        self.envs.reset(seed=0)
        self.play(3)

    def play(self, steps):
        """Steps per second of the entire batch."""
        began = time.perf_counter()
        for action in itertools.islice(itertools.cycle(self.actions), steps):
            out = self.envs.step(action)
            if self.by_mask and (over := out[2] | out[3]).any():
                self.envs.reset(options={"reset_mask": over})
        jax.block_until_ready(out[0])
        return steps * self.envs.num_envs / (time.perf_counter() - began)


class NumpyPeer(Bridged):
    """Gymnasium's own vector environment in NumPy."""

    def __init__(self, num_envs):
        self.envs = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
        self.envs.action_space.seed(0)
        self.actions = [self.envs.action_space.sample() for _ in range(16)]
        self.by_mask = False
        self.envs.reset(seed=0)
        self.play(3)


class Plain:
    """`VectorEnv` stepped from Python, as its documentation shows: a key split off, then a step."""

    def __init__(self, id, num_envs):
        self.envs = jaxenvs.make_vec(id, num_envs)
        self.key = jax.random.key(0)
        self.state, _ = self.envs.reset(self.key)
        actions = jax.random.split(jax.random.key(1), 16)
        space = self.envs.single_action_space
        self.actions = [jaxenvs.spaces.sample(space, key, (num_envs,)) for key in actions]
        self.keys = list(jax.random.split(self.key, 1000))
        self.play(3)

    def play(self, steps):
        """Steps per second of the entire batch."""
        began = time.perf_counter()
        pairs = zip(itertools.cycle(self.keys), itertools.cycle(self.actions), strict=False)
        for key, action in itertools.islice(pairs, steps):
            self.state, step = self.envs.step(key, self.state, action)
        jax.block_until_ready(step.obs)
        return steps * self.envs.num_envs / (time.perf_counter() - began)


def measure_sb3(num_envs, runs):
    import torch  # pyright: ignore[reportMissingImports]
    from stable_baselines3 import PPO  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.vec_env import DummyVecEnv  # pyright: ignore[reportMissingImports]

    from benchmarks.peers.numpy_heartpole import NumpyHeartPole
    from jaxenvs.bridges.sb3 import JaxVecEnv

    torch.set_num_threads(TORCH_THREADS)
    makers = {
        f"JaxVecEnv, {num_envs} envs": lambda: JaxVecEnv("HeartPole-v0", num_envs),
        f"DummyVecEnv, {num_envs} NumPy envs": lambda: DummyVecEnv([NumpyHeartPole] * num_envs),
        "DummyVecEnv, 4 NumPy envs": lambda: DummyVecEnv([NumpyHeartPole] * 4),
        "DummyVecEnv, 1 NumPy env": lambda: DummyVecEnv([NumpyHeartPole]),
    }
    # As many samples an update everywhere, and minibatches that suit them.
    models = {}
    for name, make in makers.items():
        envs = make()
        shape = {"n_steps": max(64, 8192 // envs.num_envs), "batch_size": 4096, "n_epochs": 4, "device": "cpu"}
        models[name] = PPO("MlpPolicy", envs, **shape).learn(1)
    rates = {name: [] for name in models}
    for _, (name, model) in itertools.product(range(runs), models.items()):
        updates = model.n_steps * model.n_envs
        began = time.perf_counter()
        model.learn(updates)
        rates[name].append(updates / (time.perf_counter() - began))
    rows = [{"subject": name, "steps_per_second": spread(values)} for name, values in rates.items()]
    _print(rows)
    save("bridges_sb3", rows, num_envs=num_envs, versions={"torch": torch.__version__, "numpy": np.__version__})


def _print(rows):
    for row in rows:
        rate = row["steps_per_second"]
        print(f"{row['subject']:44} {rate['median'] / 1e6:8.3f}M ({rate['min'] / 1e6:.3f} to {rate['max'] / 1e6:.3f})")


if __name__ == "__main__":
    main()
