"""What learners keep of their environments: the start, how networks see features, and rewards in units of returns."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.probes import Probe

import jaxenvs
from train import ppo
from train.floor import running
from train.floor.moments import Moments

ENVS = jaxenvs.make_vec(Probe(horizon=2), 4)
CONFIG = ppo.Config(num_envs=4, gamma=0.5, stagger=False)
NOTHING: Any = ()
#: Two features with means of 1 and 3, and returns with a standard deviation of 4.
SEEN = ppo.TrainState(
    params=NOTHING, optimiser=(), env_state=(), obs=(), key=NOTHING, updates=NOTHING, discounted=jnp.array([8.0, 0.0]),
    obs_moments=Moments(jnp.array([1.0, 3.0]), jnp.array([4.0, 1.0]), jnp.float32(9.0)),
    return_moments=Moments(jnp.float32(0.0), jnp.float32(16.0), jnp.float32(2.0)),
)  # fmt: skip


@pytest.mark.parametrize(("stagger", "ages"), [(False, {0}), (True, {0, 1, 2, 3})])
def test_a_run_starts_with_new_environments_and_moments_of_nothing(stagger, ages):
    config = dataclasses.replace(CONFIG, num_envs=64, stagger=stagger)
    found = running.begun(config, jaxenvs.make_vec(ENVS, 64), jax.random.key(0), jax.random.key(1))
    assert set(found["env_state"].episode_length.tolist()) == ages
    assert found["obs"].shape == (64, 2) and found["discounted"].tolist() == [0.0] * 64
    assert found["obs_moments"].count == found["return_moments"].count == 0 and found["obs_moments"].mean.shape == (2,)


@pytest.mark.parametrize(("normalise", "expected"), [(True, [[1.0, -2.0], [10.0, 0.0]]), (False, [[3, 1], [999, 3]])])
def test_features_are_standardised_and_cut_where_the_config_says_so(normalise, expected):
    config = dataclasses.replace(CONFIG, normalise_observations=normalise)
    found = running.seen(config, SEEN, jnp.array([[3.0, 1.0], [999.0, 3.0]]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("scale", "expected"), [(True, [2.0, -1.0]), (False, [8.0, -4.0])])
def test_rewards_are_divided_by_the_deviation_of_returns_where_the_config_says_so(scale, expected):
    config = dataclasses.replace(CONFIG, scale_rewards=scale)
    assert running.scaled(config, SEEN, jnp.array([8.0, -4.0])).tolist() == expected


def test_returns_are_discounted_over_steps_and_end_with_episodes():
    reward, done = jnp.array([[2.0, 1.0], [2.0, 1.0]]), jnp.array([[False, True], [False, False]])
    moments, discounted = running.returns(CONFIG, SEEN, reward, done)
    # 8 / 2 + 2 = 6, 6 / 2 + 2 = 5; and 1, then 1 again from 0.
    assert discounted.tolist() == [5.0, 1.0] and moments.count == 6
    assert float(moments.mean) == pytest.approx((6 + 5 + 1 + 1) / 6)
