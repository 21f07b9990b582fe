"""DQN on two devices, which must be made before JAX computes anything: a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[3]
PROGRAM = r"""
import json, pathlib, re, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
import jaxenvs
from reference.probes import Probe
from train import dqn
from train.floor.sharding import mesh_of, place
from train.runs import checkpoint, pieces

counts = dict(num_envs=4, num_steps=4, gradient_steps=3, batch_size=16, capacity=112, learning_starts=32)
config = dqn.scheduled(dqn.Config(**counts, n_step=2, hidden=(8,)), 3)

def learned(count):
    envs, mesh = jaxenvs.make_vec(Probe(horizon=3, by_match=1.0), 4), mesh_of(count)
    state = jax.jit(dqn.init)(config, envs, jax.random.key(3))
    before, gone = state, []
    if mesh is not None:
        state = place(state, dqn.shardings(mesh, state))
        gone = [x.is_deleted() for x in (before.experience.replay.data.features, before.experience.obs, before.updates)]
    update = jax.jit(dqn.update, static_argnames="mesh").lower(config, envs, state, mesh=mesh).compile()
    for _ in range(3):
        state, metrics = update(config, envs, state)
    numbers = [np.asarray(x, np.float64) for x in jax.tree.leaves((state._replace(key=()), metrics))]
    part = state.experience.replay.data.features.sharding.shard_shape((28, 4, 2))
    return numbers, part, update.as_text(), gone, same_saved(state)

def same_saved(state):
    # In pieces that are smaller than an array, each of which has parts of both devices.
    pieces._PIECE = 256
    checkpoint.save(pathlib.Path(sys.argv[1]) / "state.npz", state._replace(key=()))
    found = checkpoint.read_arrays(pathlib.Path(sys.argv[1]) / "state.npz")
    wanted = {jax.tree_util.keystr(path): x for path, x in jax.tree_util.tree_leaves_with_path(state._replace(key=()))}
    return found.keys() == wanted.keys() and all((found[name] == np.asarray(x)).all() for name, x in wanted.items())

(one, entire, _, _, _), (two, part, text, gone, saved) = learned(1), learned(2)
print(json.dumps({
    "difference": max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True)),
    "parts": [entire, part],
    "gone": gone,
    "saved": saved,
    "exchanges": sorted(set(re.findall(r" (all-[a-z]+|collective-permute)(?:-start)?\(", text))),
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path_factory.mktemp("saved"))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_devices_learn_what_one_learns(found):
    assert found["difference"] < 1e-5


def test_each_device_holds_the_transitions_of_its_environments(found):
    assert found["parts"] == [[28, 4, 2], [28, 2, 2]]


def test_an_array_that_devices_share_is_not_held_where_it_was(found):
    """A buffer of gigabytes that `resume` loads would be held twice for the rest of the run."""
    assert found["gone"] == [True, True, False]


def test_a_checkpoint_has_the_parts_of_all_devices(found):
    assert found["saved"]


def test_no_device_gathers_the_buffer(found):
    assert found["exchanges"] == ["all-reduce"]
