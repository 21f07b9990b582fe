"""Episodes that begin at a random age, and what an update reports."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from train import ppo
from train.floor import episodes
from train.floor.episodes import episode_metrics, staggered


def ages():
    envs = jaxenvs.make_vec("SimpleRocket-v0", 64, max_episode_steps=4)
    state, _ = envs.reset(jax.random.key(0))
    return state, staggered(envs, state, jax.random.key(1))


def test_returns_of_episodes_with_an_age_do_not_count():
    fresh, aged = ages()
    returns = jnp.where(aged.episode_length == 0, fresh.episode_return, aged.episode_return) + 1.5
    metrics = episode_metrics(jnp.ones(64, bool), returns, aged.episode_length, {})
    count = int((aged.episode_length == 0).sum())
    assert 0 < count < 64
    assert (metrics.episodes, metrics.return_sum) == (count, 1.5 * count)
    assert metrics.return_min == metrics.return_max == 1.5


@pytest.mark.parametrize("reward", [1e6, -1e6])
def test_an_unknown_return_stays_unknown_whatever_is_added(reward):
    _, aged = ages()
    unknown = aged.episode_return[aged.episode_length > 0]
    np.testing.assert_array_equal(unknown + jnp.float32(reward), unknown)


def test_a_batch_of_random_ages_has_no_nan():
    with jax.debug_nans(True):
        assert np.isfinite(ages()[1].episode_return).all()


@pytest.mark.slow
def test_ppo_trains_under_debug_nans():
    with jax.debug_nans(True):
        config = ppo.Config(num_envs=8, num_steps=8, hidden=(8,), minibatches=1)
        ppo.train(config, jaxenvs.CartPole(), jax.random.key(0), num_updates=2)


def test_sums_on_the_host_keep_every_step_of_a_long_chunk():
    like = episodes.no_metrics(episodes.Metrics(0, 0, 0, 0, 0, {"loss": 0}))
    one = jax.tree.map(np.float64, like._replace(length_sum=1.0, return_min=2.0))
    total = one._replace(length_sum=np.float64(2**40))
    assert episodes.merged(total, one).length_sum == 2**40 + 1 and episodes.merged(total, one).return_min == 2.0
