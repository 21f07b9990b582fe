"""Learners from a replay buffer on two devices: made before JAX computes anything, so a process of its own tells."""

import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
COMPARE = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
import jaxenvs
from train.floor.sharding import mesh_of
from train.presets import ALGORITHMS

algorithm = ALGORITHMS[sys.argv[1]]
config = algorithm.Config(
    num_envs=4, num_steps=4, gradient_steps=4, batch_size=32, capacity=64, learning_starts=16, n_step=2, hidden=(8,)
)
envs = jaxenvs.make_vec("Pendulum-v1", 4)
found = []
for mesh in (None, mesh_of(2)):
    state = jax.jit(algorithm.init)(config, envs, jax.random.key(3))
    if mesh is not None:
        state = jax.device_put(state, algorithm.shardings(mesh, state))
    for _ in range(3):
        state, metrics = algorithm.update(config, envs, state, mesh=mesh)
    found.append(jax.tree.leaves((state.learner, state.experience, metrics)))
shared = state.experience.replay.data.features, state.experience.obs, state.experience.recent.reward
assert [len(x.sharding.device_set) for x in shared] == [2, 2, 2] and not shared[0].sharding.is_fully_replicated
for one, two in zip(*found, strict=True):
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.parametrize("algorithm", ["td3", "sac"])
def test_two_devices_hold_a_part_of_the_buffer_each_and_learn_the_same_as_one(algorithm):
    command = [sys.executable, "-c", COMPARE, algorithm]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""})
    assert done.returncode == 0, done.stderr[-2000:]
