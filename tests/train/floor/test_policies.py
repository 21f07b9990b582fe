import jax
import jax.numpy as jnp
from reference.probes import Probe, Pushed

import jaxenvs
from train.floor.policies import batch_of, policy_of


def test_an_environment_becomes_a_batch_and_a_batch_stays():
    envs = jaxenvs.make_vec(Probe(), 3)
    assert batch_of(envs) is envs
    assert batch_of(Probe()).single_observation_space == envs.single_observation_space


def test_a_policy_makes_actions_of_what_is_chosen_at_features():
    act = policy_of(batch_of(Pushed()), lambda key, raw: 0.5 * raw[..., :1])
    # The box reaches to 2, so that a sample of 0.5 is 1; samples are cut to [-1, 1].
    assert act(None, jnp.array([1.0, 0.0])).tolist() == [1.0]
    assert act(None, jnp.array([[1.0, 0.0], [-4.0, 0.0]])).tolist() == [[1.0], [-2.0]]


def test_the_key_of_a_policy_is_that_of_its_choice():
    act = policy_of(batch_of(Probe()), lambda key, raw: jax.random.randint(key, raw.shape[:-1], 0, 2))
    key, obs = jax.random.key(3), jnp.zeros((64, 2))
    assert act(key, obs).tolist() == jax.random.randint(key, (64,), 0, 2).tolist()
