"""Stable-Baselines3 on our environments; `make interop` runs this where its library is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pages import blocks

pytest.importorskip("stable_baselines3")

from stable_baselines3 import DQN, PPO, TD3
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor, VecVideoRecorder

import jaxenvs
from jaxenvs.bridges.gymnasium import GymnasiumEnv
from jaxenvs.bridges.sb3 import JaxVecEnv, Predictor
from train.floor.evaluate import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def pd(key, obs):
    return jnp.clip(-4 * obs[:, :1] - 4 * obs[:, 1:], -1, 1)


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_its_checker_passes_on_one_environment(id):
    check_env(GymnasiumEnv(id))


def test_the_last_info_describes_the_end():
    envs = JaxVecEnv("SimpleRocket-v0", 4, seed=3)
    envs.reset()
    for _ in range(500):
        obs, _, done, infos = envs.step(np.ones((4, 1), np.float32))
        if done.any():
            break
    index = int(done.argmax())
    assert infos[index]["TimeLimit.truncated"] is False and infos[index]["episode"]["l"] > 1
    assert np.abs(infos[index]["terminal_observation"]).max() > 2 > np.abs(obs[index]).max()


def test_a_time_limit_is_distinguished_from_an_end():
    envs = JaxVecEnv("HeartPole-v0", 2, max_episode_steps=2)
    envs.reset()
    envs.step(np.zeros(2, int))
    _, _, done, infos = envs.step(np.zeros(2, int))
    assert done.all() and all(info["TimeLimit.truncated"] for info in infos)


def test_constants_are_read_and_set_for_some():
    envs = JaxVecEnv("SimpleRocket-v0", 3)
    envs.set_attr("dt", 0.02, indices=[1])
    assert np.allclose(envs.get_attr("dt"), [0.01, 0.02, 0.01])
    with pytest.raises(ValueError, match="dt must be"):
        envs.set_attr("dt", 2.0)


def test_seeds_reproduce():
    envs = JaxVecEnv("SimpleRocket-v0", 3)
    envs.seed(5)
    first = envs.reset()
    again = envs.reset()
    envs.seed(5)
    assert (envs.reset() == first).all() and (again != first).any()


def test_its_recorder_films_a_batch(tmp_path):
    envs = JaxVecEnv("CartPole-v1", 2, render_mode="rgb_array")
    assert envs.render_mode == "rgb_array"
    recorder = VecVideoRecorder(envs, str(tmp_path), record_video_trigger=lambda step: step == 0, video_length=5)
    recorder.reset()
    for _ in range(8):
        recorder.step(np.ones(2, int))
    recorder.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]


def test_its_wrappers_read_the_spec():
    envs = JaxVecEnv("CartPole-v1", 2)
    assert [spec.id for spec in envs.get_attr("spec")] == ["jaxenvs/CartPole-v1"] * 2
    assert envs.spec.max_episode_steps == 500
    assert JaxVecEnv(jaxenvs.CartPole(), 2).get_attr("spec") == [None, None]


def test_its_evaluation_agrees_with_ours():
    episodes = evaluate(jaxenvs.make_vec("SimpleRocket-v0", 256), pd, jax.random.key(0)).episode_return
    mean, _ = evaluate_policy(Predictor(pd), VecMonitor(JaxVecEnv("SimpleRocket-v0", 256)), n_eval_episodes=256)
    assert abs(mean - episodes.mean()) < 4 * episodes.std() / 16


def test_its_ppo_learns_to_sleep():
    envs = JaxVecEnv("HeartPole-v0", 64, expected_penalty=True, max_episode_steps=100)
    before, _ = evaluate_policy(model := PPO("MlpPolicy", envs, n_steps=64, batch_size=1024, seed=0), envs, 64)
    model.learn(40 * 64 * 64)
    after, _ = evaluate_policy(model, envs, 64)
    assert after > max(before, -13.0)


def test_its_dqn_learns_the_choice_that_pays():
    envs = JaxVecEnv("FiveChoices-v0", 16)
    model = DQN("MlpPolicy", envs, seed=0, learning_starts=200, train_freq=4, gradient_steps=4, learning_rate=3e-3)
    model.learn(4000)
    after, _ = evaluate_policy(model, envs, 32)
    assert after == pytest.approx(1.0)


def test_its_td3_learns_to_come_near_the_origin():
    short = {"max_episode_steps": 100, "dt": 0.05}
    envs = JaxVecEnv("SimpleRocket-v0", 16, **short)
    model = TD3("MlpPolicy", envs, seed=0, learning_starts=1000, gradient_steps=4, policy_kwargs={"net_arch": [32, 32]})
    before, _ = evaluate_policy(model, envs, 64)
    model.learn(16_000)
    after, _ = evaluate_policy(model, envs, 64)
    assert after > before + 200


@pytest.mark.parametrize("block", blocks("bridges.md", "sb3"), ids=["ours for them", "theirs for us"])
def test_the_examples_of_the_page_run(block):
    exec(compile(block, "bridges.md", "exec"), {})
