"""Training on two and four devices: they are made before JAX computes anything, so a process of its own tells."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

from train import ppo
from train.floor.sharding import mesh_of

ROOT = pathlib.Path(__file__).parents[3]
NUMBERS = """
import json, sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_disable_most_optimizations", True)
import numpy as np
import jaxenvs
from train import ppo
from train.floor.evaluate import evaluate
from train.floor.sharding import mesh_of

def numbers(tree):
    return [np.asarray(x, np.float64).ravel().tolist() for x in jax.tree.leaves(tree)]

def learned(id, count):
    config = ppo.Config(num_envs=16, num_steps=32, epochs=2, minibatches=2, hidden=(16,), entropy_bonus=0.01)
    envs, mesh = jaxenvs.make_vec(id, 16), mesh_of(count)
    state = jax.jit(ppo.init)(config, envs, jax.random.key(3))
    if mesh is not None:
        state = jax.device_put(state, ppo.shardings(mesh, state))
    update = jax.jit(ppo.update, static_argnames="mesh").lower(config, envs, state, mesh=mesh).compile()
    sums = []
    for _ in range(4):
        state, metrics = update(config, envs, state)
        sums.append(metrics)
    watched = jaxenvs.make_vec(id, 16)
    act = ppo.policy(config, watched, state)
    episodes = jax.jit(lambda envs, key: evaluate(envs, act, key, mesh))(watched, jax.random.key(1))
    text = update.as_text()
    return {
        "state": numbers((state.params, state.optimiser, state.obs_moments, state.return_moments, state.obs)),
        "metrics": {name: [float(m.means[name]) for m in sums] for name in sums[0].means}
        | {"episodes": [float(m.episodes) for m in sums]},
        "lengths": np.asarray(episodes.episode_length).tolist(),
        "parts": [len(x.sharding.device_set) for x in (state.obs, state.discounted)],
        "exchanges": [len(re.findall(r" all-reduce(?:-start)?\\(", part)) for part in loops(text)],
    }

def loops(text):
    # The computations of the program that hold a gradient's matrix product, with what they exchange.
    return [part for part in re.split(r"\\n(?=\\S)", text) if "transpose(jvp" in part and " while" not in part
            and "dynamic-update-slice" in part and "tanh" in part]

import re
print(json.dumps({id: [learned(id, 1), learned(id, int(count))] for id, count in zip(sys.argv[1::2], sys.argv[2::2])}))
"""


#: Environments, and on how many devices they are learned beside one.
SEVERAL = {"CartPole-v1": 2, "SimpleRocket-v0": 4}
EACH = pytest.mark.parametrize("id", SEVERAL)


@pytest.fixture(scope="module")
def learned(compiled):
    pairs = [str(word) for pair in SEVERAL.items() for word in pair]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", NUMBERS, *pairs], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@EACH
def test_several_devices_learn_what_one_learns(learned, id):
    one, several = learned[id]
    for a, b in zip(one["state"], several["state"], strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
    for name, values in one["metrics"].items():
        assert values == pytest.approx(several["metrics"][name], rel=1e-3, abs=1e-4), name


@EACH
def test_several_devices_play_the_same_episodes(learned, id):
    one, several = learned[id]
    assert one["metrics"]["episodes"] == several["metrics"]["episodes"] and one["lengths"] == several["lengths"]


@EACH
def test_each_device_has_its_part_of_the_environments(learned, id):
    assert learned[id][1]["parts"] == [SEVERAL[id]] * 2


@EACH
def test_devices_exchange_once_a_minibatch(learned, id):
    assert learned[id][1]["exchanges"] == [1]


def test_as_many_cores_as_share_evenly_and_have_enough_to_do_are_used():
    config = ppo.Config(num_envs=256, num_steps=128, minibatches=4)
    assert [ppo.useful_devices(config, cores) for cores in (1, 2, 3, 8, 64)] == [1, 2, 2, 8, 16]


def test_small_minibatches_stay_on_one_device():
    assert ppo.useful_devices(ppo.Config(num_envs=64, num_steps=32, minibatches=4), 8) == 1


@pytest.mark.parametrize("count", [0, 3, 512])
def test_devices_that_cannot_share_evenly_are_refused(count):
    with pytest.raises(ValueError) as caught:
        ppo.check(ppo.Config(num_envs=256, num_steps=128, minibatches=4), count)
    expected = f"devices must divide num_envs=256 and the 1024 segments of a minibatch, got {count}"
    assert str(caught.value) == expected


def test_more_devices_than_there_are_are_refused():
    there = len(jax.devices())
    with pytest.raises(ValueError, match=f"from 1 to the {there} that JAX has here, got {there + 1}"):
        mesh_of(there + 1)


def test_one_device_needs_no_mesh():
    assert mesh_of(1) is None


def run(*arguments, compiled):
    environment = {
        **os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "train", *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_is_begun_on_two_devices_and_gone_on_with_on_one(tmp_path, compiled):
    small = ["--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2", "--hidden", "8,8"]
    quick = ["--film-episodes", "0", "--episodes", "3"]
    folder = tmp_path / "run"
    arguments = ["ppo", "--env", "SimpleRocket-v0", *small, *quick, "--total-steps", "256", "--devices", "2"]
    begun = run(*arguments, "--out", folder, compiled=compiled)
    assert begun.returncode == 0, begun.stderr
    assert re.search(r"seed 0, 2 devices: ", begun.stderr) and ", devices: 2\n" in begun.stderr
    plan = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**plan, "total_steps": 512}))
    resumed = run("resume", folder, *quick, "--devices", "1", compiled=compiled)
    assert resumed.returncode == 0, resumed.stderr
    rows = [json.loads(line)["steps"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == [0, 128, 256, 384, 512] and ", devices: 1\n" in resumed.stderr
