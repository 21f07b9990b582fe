"""Gymnasium's wrappers that need PyTorch or moviepy, on our bridges; `make interop` runs this where both are."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

torch = pytest.importorskip("torch")
pytest.importorskip("moviepy")

import jaxenvs  # noqa: F401 - registers the ids


def test_a_batch_in_pytorch_equals_that_in_numpy():
    actions = np.random.default_rng(0).uniform(-1, 1, (30, 4, 1)).astype(np.float32)
    host = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=4)
    device = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=4, arrays="torch")
    np.testing.assert_array_equal(host.reset(seed=2)[0], device.reset(seed=2)[0].numpy())
    for action in actions:
        left, right = host.step(action), device.step(torch.from_numpy(action))
        assert all(isinstance(x, torch.Tensor) for x in right[:4]) and right[2].dtype == torch.bool
        for a, b in zip(left[:4], right[:4], strict=True):
            np.testing.assert_array_equal(a, b.numpy())


def test_pytorch_shares_the_memory_of_jax():
    envs = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=4, arrays="torch").unwrapped
    obs, _ = envs.reset(seed=0)
    assert obs.data_ptr() == envs._carry.obs.unsafe_buffer_pointer()


def test_gymnasiums_jax_to_torch_takes_a_batch():
    envs = gymnasium.wrappers.vector.JaxToTorch(
        gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=3, arrays="jax", autoreset_mode=AutoresetMode.SAME_STEP)
    )
    obs, _ = envs.reset(seed=0)
    stepped = envs.step(torch.zeros(3, dtype=torch.int32))
    assert all(isinstance(x, torch.Tensor) for x in (obs, *stepped[:4], stepped[4]["final_obs"]))


def test_a_film_of_one_environment_is_recorded(tmp_path):
    env = gymnasium.make("jaxenvs/SimpleRocket-v0", render_mode="rgb_array", max_episode_steps=10)
    env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda episode: True)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros(1, np.float32))
    env.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_a_film_of_a_batch_is_recorded(tmp_path):
    envs = gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=2, render_mode="rgb_array", max_episode_steps=5)
    envs = gymnasium.wrappers.vector.RecordVideo(envs, str(tmp_path), episode_trigger=lambda episode: True)
    envs.reset(seed=0)
    for _ in range(6):
        envs.step(np.zeros(2, int))
    envs.close()
    assert any(path.suffix == ".mp4" and path.stat().st_size > 1000 for path in tmp_path.iterdir())


def test_gymnasiums_numpy_to_torch_takes_the_single_bridge():
    env = gymnasium.wrappers.NumpyToTorch(gymnasium.make("jaxenvs/SimpleRocket-v0"))
    obs, _ = env.reset(seed=0)
    assert isinstance(obs, torch.Tensor) and isinstance(env.step(torch.zeros(1))[0], torch.Tensor)
