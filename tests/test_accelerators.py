"""What must hold on a GPU or TPU: the CPU's numbers, and each layer once. Run it there: `pytest -m accelerator`.

Without an accelerator these tests compare the CPU with itself, which shows that they run.
"""

import json
import math
import subprocess
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.registry import registry

pytestmark = pytest.mark.accelerator

CPU, DEVICE = jax.devices("cpu")[0], jax.devices()[0]
ORDINARY, FAST = jax.random.key, lambda seed: jaxenvs.random.fast(jax.random.key(seed))
KEYS = pytest.mark.parametrize("make_key", [ORDINARY, FAST], ids=["ordinary", "fast"])
NUM_ENVS, NUM_STEPS = 256, 48


def course(envs, key):
    """Random actions for some steps: (first state and observation, each step's state before, key, action, results)."""
    start_key, run_key = jax.random.split(key)
    first = envs.reset(start_key)

    def advance(state, index):
        action_key, step_key = jax.random.split(jax.random.fold_in(run_key, index))
        action = envs.sample_actions(action_key)
        after, step = envs.step(step_key, state, action)
        return after, (state, step_key, action, (after, step))

    return first, jax.lax.scan(advance, first[0], jnp.arange(NUM_STEPS))[1]


def repeated(envs, states, keys, actions):
    """The same steps again, each from the recorded state."""
    _, results = jax.lax.scan(lambda _, now: (None, envs.step(now[1], now[0], now[2])), None, (states, keys, actions))
    return results


def assert_same(here, there):
    """Discrete values equal; floats to 1e-5 of the value, or of a tenth of the largest if that is greater."""
    for a, b in zip(jax.tree.leaves(here), jax.tree.leaves(there), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.kind == "f":
            finite = np.abs(b[np.isfinite(b)])
            scale = finite.max() if finite.size else 1.0
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * max(scale, 1.0))
        else:
            np.testing.assert_array_equal(a, b)


@KEYS
@pytest.mark.parametrize("env_id", sorted(registry))
def test_starts_steps_and_autoresets_are_the_cpus(env_id, make_key):
    envs = jaxenvs.make_vec(env_id, NUM_ENVS, max_episode_steps=20)
    with jax.default_device(CPU):
        first, (states, keys, actions, results) = jax.jit(course)(envs, make_key(3))
    assert int(results[1].truncated.sum()) > NUM_ENVS / 2 or int(results[1].terminated.sum()) > NUM_ENVS / 2
    states, keys, actions = jax.device_put((states, keys, actions), DEVICE)
    # Keys were made on the CPU: the same data, put on the device, is the same key.
    there = jax.jit(repeated)(envs, states, keys, actions)
    assert_same(there, results)
    assert_same(jax.jit(course)(envs, make_key(3))[0], first)


@KEYS
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (1000,)])
def test_streams_are_the_cpus_bit_for_bit(make_key, shape):
    def draws(key):
        key = jaxenvs.random.fusable(key)
        keys = jax.random.split(key, 5)
        return (
            jax.random.bits(keys[0], shape),
            jax.random.uniform(keys[1], shape),
            jax.random.randint(keys[2], shape, 0, 1000),
            jax.random.bernoulli(keys[3], 0.3, shape),
            jax.random.key_data(jax.random.fold_in(keys[4], 7)),
        )

    with jax.default_device(CPU):
        here = jax.jit(draws)(make_key(5))
    for a, b in zip(jax.jit(draws)(make_key(5)), here, strict=True):
        np.testing.assert_array_equal(a, b)


@KEYS
def test_normals_are_the_cpus_to_rounding(make_key):
    def draw(key):
        return jax.random.normal(jaxenvs.random.fusable(key), (10_000,))

    with jax.default_device(CPU):
        here = jax.jit(draw)(make_key(6))
    np.testing.assert_allclose(jax.jit(draw)(make_key(6)), here, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("env_id", ["HeartPole-v0", "CartPole-v1", "RocketLanding-v0"])
def test_the_contract_holds_there(env_id):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        jaxenvs.check_env(jaxenvs.make(env_id))


def test_the_networks_products_are_float32():
    from train.floor import networks

    key, obs_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(obs_key, (4096, 8))
    network = networks.Network(networks.MLP((64, 64)), 4)

    def outputs_and_gradients(params, x):
        square = lambda params: (networks.apply(network, params, x) ** 2).mean()  # noqa: E731
        return networks.apply(network, params, x), jax.grad(square)(params)

    with jax.default_device(CPU):
        params = networks.init(network, key, 8)
        here = jax.jit(outputs_and_gradients)(params, x)
    there = jax.jit(outputs_and_gradients)(*jax.device_put((params, x), DEVICE))
    for a, b in zip(jax.tree.leaves(there), jax.tree.leaves(here), strict=True):
        # TF32 keeps ten bits: its errors are a hundred times as large.
        assert float(jnp.linalg.norm(a - jax.device_put(b, DEVICE)) / np.linalg.norm(b)) < 1e-5


def test_ppo_learns_five_choices_there():
    from train import ppo

    env = jaxenvs.make("FiveChoices-v0")
    config = ppo.Config(num_envs=64, num_steps=16, minibatches=2)
    state, metrics = jax.jit(lambda key: ppo.train(config, env, key, 30))(jax.random.key(0))
    assert all(leaf.devices() == {DEVICE} for leaf in jax.tree.leaves(state))
    assert float(metrics.return_sum[-1] / metrics.episodes[-1]) > 0.95


def test_pqn_and_dqn_learn_five_choices_there():
    from train import dqn, pqn

    env, configs = jaxenvs.make("FiveChoices-v0"), {pqn: pqn.Config(num_envs=64, num_steps=16), dqn: dqn.Config()}
    for algorithm, config in configs.items():
        state, _ = jax.jit(lambda key, a=algorithm, c=config: a.train(c, env, key, 60))(jax.random.key(0))
        assert all(leaf.devices() == {DEVICE} for leaf in jax.tree.leaves(state))
        act = algorithm.policy(config, env, state)
        state, obs = jaxenvs.make_vec(env, 64).reset(jax.random.key(1))
        rewards = jax.vmap(env.step)(
            jax.random.split(jax.random.key(2), 64), state.env_state, act(jax.random.key(3), obs)
        )[1].reward
        assert float(rewards.mean()) > 0.95, algorithm.__name__


def test_td3_and_sac_learn_from_a_replay_buffer_there():
    from train import sac, td3
    from train.floor.evaluate import evaluate

    env = jaxenvs.make("Pendulum-v1")
    for algorithm in (td3, sac):
        config = algorithm.Config(gamma=0.98, gradient_steps=64, learning_starts=2048)
        state, _ = jax.jit(lambda key, a=algorithm, c=config: a.train(c, env, key, 220))(jax.random.key(0))
        assert all(leaf.devices() == {DEVICE} for leaf in jax.tree.leaves(state))
        act = algorithm.policy(config, env, state)
        found = evaluate(jaxenvs.make_vec(env, 256), act, jax.random.key(1)).episode_return
        # A random policy has -1200.
        assert float(found.mean()) > -300, algorithm.__name__


def test_the_same_seed_trains_the_same_there_again():
    from train import dqn, ppo

    env = jaxenvs.make("CartPole-v1")
    ours = ppo.Config(num_envs=64, num_steps=16, minibatches=2)
    runs = [
        lambda key: ppo.train(ours, env, key, 5)[0].params,
        lambda key: dqn.train(dqn.Config(), env, key, 5)[0].params,
    ]
    for run in map(jax.jit, runs):
        for a, b in zip(jax.tree.leaves(run(jax.random.key(1))), jax.tree.leaves(run(jax.random.key(1))), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_run_trains_resumes_evaluates_and_films_there(algorithm, tmp_path):
    def train(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "train", *arguments], capture_output=True, text=True, check=True, timeout=200
        )

    folder = tmp_path / "run"
    sizes = {"ppo": ["--num-envs", "64", "--num-steps", "16", "--minibatches", "2"], "dqn": []}
    train(
        algorithm, "--env", "CartPole-v1", "--total-steps", "40960", "--out", str(folder), "--film-episodes", "1",
        *sizes[algorithm],
    )  # fmt: skip
    assert {"state.npz", "curve.png", "evaluation.json"} <= {path.name for path in folder.iterdir()}
    assert list(folder.glob("*.mp4"))
    train("resume", str(folder), "--total-steps", "61440")
    printed = json.loads(train("evaluate", str(folder), "--episodes", "100").stdout)
    assert printed["episodes"] == 100 and math.isfinite(printed["mean"])


@pytest.mark.filterwarnings("ignore:.*out of date")
def test_bridges_compute_on_the_cpu_by_default():
    env = gymnasium.make("jaxenvs/HeartPole-v0")
    obs, _ = env.reset(seed=0)
    for _ in range(20):
        obs, reward, *_ = env.step(env.action_space.sample())
    assert isinstance(obs, np.ndarray) and np.isfinite(obs).all() and math.isfinite(reward)


@pytest.mark.parametrize("arrays", ["numpy", "jax"])
@pytest.mark.filterwarnings("ignore:.*out of date")
def test_a_vector_bridge_steps_there(arrays):
    envs = gymnasium.make_vec("jaxenvs/CartPole-v1", num_envs=8, arrays=arrays)
    obs, _ = envs.reset(seed=0)
    for _ in range(60):
        obs, rewards, *_ = envs.step(np.zeros(8, np.int64) if arrays == "numpy" else jnp.zeros(8, jnp.int32))
    assert np.asarray(obs).shape == (8, 4) and np.isfinite(np.asarray(rewards)).all()
