"""`tune_cpu` and `over_devices`: what they set, what they refuse, and that no number depends on them."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxenvs
from jaxenvs.devices import num_cores

ROOT = pathlib.Path(__file__).parent.parent

PLAYED = """
import json, jax, jax.numpy as jnp, numpy as np
envs = jaxenvs.make_vec(ID, 8, max_episode_steps=7)
state, obs = jaxenvs.over_devices(envs.reset(jax.random.key(0)))
def run(key, state, obs):
    return jaxenvs.rollout(envs, lambda key, obs: envs.sample_actions(key), key, state, obs, 20)[2]
made = {}
for name, kind in (("ordinary", lambda key: key), ("fast", jaxenvs.random.fast)):
    steps = jax.jit(run)(kind(jax.random.key(1)), state, obs)
    made[name] = {field: np.asarray(value, float).tolist() for field, value in steps._asdict().items()}
print(json.dumps({"devices": jax.device_count(), "made": made}))
"""


def in_process(code, **environment):
    """The last line that a separate process prints, from JSON."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "NPROC")}
    environment = {**kept, **environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "id",
    [
        "SimpleRocket-v0",
        pytest.param("HeartPole-v0", marks=pytest.mark.slow),
        pytest.param("PointInterceptContinuousRandom-v0", marks=pytest.mark.slow),
    ],
)
def test_tuning_and_devices_change_no_number_but_by_rounding(id):
    plain = in_process("import jaxenvs\n" + PLAYED.replace("ID", repr(id)))
    tuned = in_process("import jaxenvs; jaxenvs.tune_cpu(4)\n" + PLAYED.replace("ID", repr(id)))
    assert (plain["devices"], tuned["devices"]) == (1, 4)
    for keys in plain["made"]:
        for name, values in plain["made"][keys].items():
            np.testing.assert_allclose(
                tuned["made"][keys][name], values, rtol=1e-5, atol=1e-6, err_msg=f"{keys} {name}"
            )


FLAGS = """
import json, os, jax, jaxenvs
jaxenvs.tune_cpu()
print(json.dumps([os.environ["XLA_FLAGS"], jax.device_count()]))
"""


def test_tuning_takes_a_device_for_each_core_and_keeps_the_users_flags():
    flags, devices = in_process(FLAGS)
    assert devices == num_cores()
    assert "--xla_cpu_prefer_vector_width=512" in flags and "multi_output_fusion=true" in flags
    mine = "--xla_cpu_prefer_vector_width=256 --xla_cpu_enable_fast_math=false"
    flags, _ = in_process(FLAGS, XLA_FLAGS=mine)
    assert flags.startswith(mine + " --xla") and flags.count("vector_width") == 1


COMPILED = """
envs = jaxenvs.make_vec("HeartPole-v0", 8)
state, obs = envs.reset(jax.random.key(0))
def run(key, state, obs):
    random = lambda key, obs: envs.sample_actions(key)
    return jaxenvs.rollout(envs, random, key, state, obs, 5, collect=lambda *_: None)[:2]
text = jax.jit(run).lower(jax.random.key(1), state, obs).compile().as_text()
loops = [line for line in text.splitlines() if "fusion(" in line and "kind=kLoop" in line]
print(json.dumps(["xla_cpu_small_call" in text, any("= (" in loop for loop in loops)]))
"""


def test_a_tuned_scan_is_one_function_of_loops_with_several_results():
    """XLA ignores extra options that it does not know, so that only the program shows whether they still work."""
    # jax 0.12 makes small calls of its own, of less.
    assert not all(in_process("import json, jax, jaxenvs\n" + COMPILED))
    assert in_process("import json, jax, jaxenvs; jaxenvs.tune_cpu(1)\n" + COMPILED) == [True, True]


SHARED = """
large = jax.jit(lambda x: x * 2 + 1).lower(jax.numpy.zeros(1 << 22)).compile().as_text()
print(json.dumps("outer_dimension_partitions" in large))
"""


@pytest.mark.skipif(num_cores() < 2, reason="on one core no loop is shared between threads")
def test_on_one_device_no_loop_is_shared_between_threads_unless_the_user_says_how_many():
    tuned = "import json, jax, jaxenvs; jaxenvs.tune_cpu(1)\n" + SHARED
    assert not in_process(tuned) and in_process(tuned, NPROC="2")


@pytest.mark.parametrize("devices", [0, -1, 1.5, "2", True])
def test_a_bad_number_of_devices_is_named(devices):
    with pytest.raises(ValueError, match=f"integer of at least 1, got {devices!r}"):
        jaxenvs.tune_cpu(devices)


@pytest.mark.parametrize("devices", [-1, 0, 1])
def test_tuning_too_late_is_refused(devices):
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match="too late: JAX has already computed"):
        jaxenvs.tune_cpu(max(1, jax.device_count() + devices))
    assert os.environ == before


def test_a_batch_that_the_devices_do_not_divide_is_named():
    code = """
import json, jax, jaxenvs
jaxenvs.tune_cpu(4)
try:
    jaxenvs.over_devices(jax.numpy.zeros((6, 2)))
except ValueError as error:
    print(json.dumps(str(error)))
"""
    assert in_process(code) == (
        "over_devices: the batch must be a multiple of the 4 devices, but the tree has 6 environments"
    )
    with pytest.raises(ValueError, match="has an array without a batch axis"):
        jaxenvs.over_devices(jax.numpy.float32(0))
