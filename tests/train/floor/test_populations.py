"""Members of a population shared by two and four devices: these are made first, so it is tried in another process."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from train.floor.sharding import sharded_vmap

ROOT = pathlib.Path(__file__).parents[3]
NUMBERS = """
import dataclasses, json, re
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
import numpy as np
import jaxenvs
from train import dqn, ppo
from train.floor.sharding import sharded_vmap

SIZES = {
    ppo: {"num_envs": 4, "num_steps": 8, "segment": 4, "minibatches": 2, "epochs": 1, "hidden": (8,)},
    dqn: {"num_envs": 4, "num_steps": 4, "gradient_steps": 2, "batch_size": 8, "capacity": 64, "hidden": (8,),
          "learning_starts": 16},
}
# Devices, and members: with three on two devices, a lane is left over.
CASES = [(1, 4), (2, 4), (4, 4), (2, 3)]

def numbers(state):
    plain = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return np.concatenate([np.asarray(plain(x), np.float64).ravel() for x in jax.tree.leaves(state)])

def found(algorithm):
    config, env = algorithm.Config(**SIZES[algorithm]), jaxenvs.make("CartPole-v1")

    def train(key, rate):
        return algorithm.train(dataclasses.replace(config, learning_rate=rate), env, key, num_updates=3)[0]

    keys, rates = jax.random.split(jax.random.key(0), 4), jnp.array([1e-4, 3e-4, 1e-3, 3e-3])
    one = jax.jit(train)
    alone = [numbers(one(key, rate)) for key, rate in zip(keys, rates)]
    assert not np.allclose(alone[0], alone[1])
    rows = []
    for devices, members in CASES:
        program = sharded_vmap(train, devices).lower(keys[:members], rates[:members]).compile()
        states = program(keys[:members], rates[:members])
        lanes = [numbers(jax.tree.map(lambda x: x[lane], states)) for lane in range(members)]
        loops = [part for part in re.split(r"\\n(?=\\S)", program.as_text()) if "transpose(jvp" in part]
        assert loops
        rows.append({
            "devices": devices, "members": len(lanes), "error": max(
                float(np.max(np.abs(lane - other) / (1e-2 + np.abs(other)))) for lane, other in zip(lanes, alone)
            ),
            "shares": sorted(shard.data.shape[0] for shard in states.updates.addressable_shards),
            "exchanges": sum(len(re.findall(r" (?:all-|collective-|reduce-scatter)", part)) for part in loops),
        })
    return rows

print(json.dumps({algorithm.__name__: found(algorithm) for algorithm in SIZES}))
"""


@pytest.fixture(scope="module")
def populations(compiled):
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", NUMBERS], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


each = pytest.mark.parametrize("name", ["train.ppo", "train.dqn"])


@each
def test_each_member_is_its_run_alone_on_any_number_of_devices(populations, name):
    assert [(row["devices"], row["members"]) for row in populations[name]] == [(1, 4), (2, 4), (4, 4), (2, 3)]
    for row in populations[name]:
        assert row["error"] < 1e-3, row


@each
def test_each_device_has_its_members(populations, name):
    assert [row["shares"] for row in populations[name]][:3] == [[4], [2, 2], [1, 1, 1, 1]]


@each
def test_devices_exchange_nothing_while_members_learn(populations, name):
    assert [row["exchanges"] for row in populations[name]] == [0] * 4


@pytest.mark.parametrize(
    "arguments, shown", [((), "no arrays"), ((jnp.ones(2), jnp.ones(3)), "2, 3"), ((jnp.ones(0),), "0"), ((1.0,), "0")]
)
def test_arguments_without_one_number_of_lanes_are_refused(arguments, shown):
    message = f"all arguments must have the same first axis, of at least one lane, got {shown}"
    with pytest.raises(ValueError, match=message):
        sharded_vmap(lambda *x: x, devices=1)(*arguments)


def test_a_population_on_devices_that_are_not_there_is_refused():
    there = len(jax.devices())
    with pytest.raises(ValueError, match=f"from 1 to the {there} that JAX has here, got {there + 1}"):
        sharded_vmap(lambda x: x, devices=there + 1)
