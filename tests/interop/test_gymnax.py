"""gymnax clients on our environments, and gymnax's environments for us; `make interop` runs this."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

gymnax = pytest.importorskip("gymnax")
rejax = pytest.importorskip("rejax")

from pages import blocks

import jaxenvs
from jaxenvs.bridges.gymnax import GymnaxEnv, from_gymnax
from train import ppo

KEY = jax.random.key(0)


def test_five_and_six_values():
    for values in (5, 6):
        env = GymnaxEnv("HeartPole-v0", values=values)
        _, state = env.reset(KEY)
        assert len(env.step(KEY, state, 1)) == values
    with pytest.raises(ValueError, match="values must be 5 or 6, got 4"):
        GymnaxEnv("HeartPole-v0", values=4)


def test_raw_keys_and_left_out_parameters_are_taken():
    env = GymnaxEnv("SimpleRocket-v0")
    obs, state = env.reset(jax.random.PRNGKey(0))
    np.testing.assert_array_equal(obs, env.reset(jax.random.PRNGKey(0), env.default_params)[0])
    assert env.step(jax.random.PRNGKey(1), state, jnp.ones(1))[0].shape == (2,)


@pytest.mark.parametrize("autoreset", [True, False])
def test_autoreset_can_be_chosen(autoreset):
    env = GymnaxEnv("HeartPole-v0", values=5, autoreset=autoreset, max_episode_steps=1)
    _, state = env.reset(KEY)
    obs, state, _, done, info = env.step(KEY, state, 3)
    assert bool(done) and bool(info["truncated"]) and not bool(info["terminated"])
    assert float(obs[4]) == (0.0 if autoreset else 17.0)


def test_constants_are_parameters():
    env = GymnaxEnv("HeartPole-v0", heart_attack_midpoint=-50.0)
    _, state = env.reset(KEY)
    params = env.default_params
    safe = params.replace(env=params.env.replace(heart_attack_proclivity=0.0))
    certain = params.replace(env=params.env.replace(heart_attack_proclivity=1.0))
    assert env.step(KEY, state, 0, certain)[2] < -90 < env.step(KEY, state, 0, safe)[2]


def test_equal_environments_hash_alike():
    assert GymnaxEnv("HeartPole-v0") == GymnaxEnv("HeartPole-v0")
    assert len({GymnaxEnv("HeartPole-v0"), GymnaxEnv("HeartPole-v0"), GymnaxEnv("SimpleRocket-v0")}) == 2


def test_rejax_trains_on_ours():
    env = GymnaxEnv("HeartPole-v0", values=5)
    algo = rejax.get_algo("ppo").create(
        env=env, env_params=env.default_params, total_timesteps=4096, num_envs=16, num_steps=64, eval_freq=4096,
        num_epochs=1, num_minibatches=4,
    )  # fmt: skip
    _, (lengths, returns) = algo.train(KEY)
    assert np.isfinite(returns).all() and (lengths > 1).all()


def test_rejax_trains_on_ours_with_continuous_actions():
    env = GymnaxEnv("SimpleRocket-v0", values=5)
    algo = rejax.get_algo("ppo").create(
        env=env, env_params=env.default_params, total_timesteps=4096, num_envs=16, num_steps=64, eval_freq=4096,
        num_epochs=1, num_minibatches=4,
    )  # fmt: skip
    _, (lengths, returns) = algo.train(KEY)
    assert np.isfinite(returns).all() and (lengths > 1).all()


def test_our_ppo_learns_theirs():
    env = from_gymnax(*gymnax.make("CartPole-v1"))
    assert jaxenvs.check_env(env, raise_on_failure=False).findings[0].rule == "pickles"
    config = ppo.Config(num_envs=64, num_steps=64)
    _, metrics = jax.jit(lambda key: ppo.train(config, env, key, 20))(KEY)
    means = metrics.return_sum / metrics.episodes
    assert means[-1] > 3 * means[0]


def test_the_default_number_of_values_is_that_of_gymnax():
    theirs, params = gymnax.make("CartPole-v1")
    ours = GymnaxEnv("CartPole-v1")
    counts = [
        len(env.step(KEY, env.reset(KEY, p)[1], 0, p)) for env, p in ((theirs, params), (ours, ours.default_params))
    ]
    assert counts[0] == counts[1] == ours.values


def test_gymnaxs_own_tools_take_ours():
    from gymnax.experimental.rollout import RolloutWrapper
    from gymnax.wrappers.gym import GymnaxToGymWrapper
    from gymnax.wrappers.purerl import LogWrapper

    env, params = gymnax.make("jaxenvs/CartPole-v1")
    played = GymnaxToGymWrapper(env, params, seed=0)
    obs, _ = played.reset(seed=0)
    assert len(played.step(1)) == 5 and obs.shape == (4,)
    logged = LogWrapper(env)
    _, state = logged.reset(KEY, params)
    *_, info = logged.step(KEY, state, 1, params)
    assert float(info["returned_episode_lengths"]) >= 0
    rollout = RolloutWrapper(
        lambda policy, obs, key: jnp.int32(obs[2] > 0), env_name="jaxenvs/CartPole-v1", num_env_steps=20
    )
    obs, _, reward, *_ = rollout.single_rollout(KEY, None)
    assert obs.shape == (20, 4) and reward.sum() >= 8


def test_our_ids_are_created_by_rejax_and_evosax():
    algo = rejax.get_algo("ppo").create(
        env="jaxenvs/CartPole-v1", total_timesteps=1024, num_envs=4, num_steps=64, eval_freq=1024, num_minibatches=4
    )
    _, (lengths, _) = algo.train(KEY)
    assert (lengths > 1).all()
    evosax = pytest.importorskip("evosax.problems")
    import flax.linen as nn

    class Policy(nn.Module):
        @nn.compact
        def __call__(self, x, key=None):
            return nn.Dense(2)(x).argmax(-1)

    problem = evosax.GymnaxProblem("jaxenvs/CartPole-v1", policy=Policy(), episode_length=50)
    assert problem.env.name == "CartPole"


def test_every_id_is_registered():
    assert {f"jaxenvs/{id}" for id in jaxenvs.registry} <= set(gymnax.registered_envs)


@pytest.mark.parametrize("block", blocks("bridges.md", "gymnax"), ids=["ours for them", "theirs for us"])
def test_the_examples_of_the_page_run(block):
    exec(compile(block, "bridges.md", "exec"), {})
