"""`jax_enable_x64`, set for something else in the program: dtypes and numbers are those without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from train import ppo
from train.floor.evaluate import evaluate


def everything(id):
    """A function of a key that returns what an id's environment and batch return."""
    envs = jaxenvs.make_vec(id, 2)

    def run(key):
        env_state, env_obs = envs.env.reset(key)
        action = jaxenvs.spaces.sample(envs.single_action_space, key)
        state, obs = envs.reset(key)
        policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
        return (
            (env_state, env_obs, action, envs.env.step(key, env_state, action)),
            envs.step(key, state, envs.sample_actions(key)),
            jaxenvs.rollout(envs, policy, key, state, obs, 2),
        )

    return run


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_dtypes_are_those_without_x64(id):
    expected = jax.eval_shape(everything(id), jax.random.key(0))
    with jax.enable_x64(True):
        assert jax.eval_shape(everything(id), jax.random.key(0)) == expected
    assert not {leaf.dtype.name for leaf in jax.tree.leaves(expected)} & {"float64", "int64"}


def test_numbers_are_those_without_x64():
    expected = everything("SimpleRocket-v0")(jax.random.key(0))
    with jax.enable_x64(True):
        found = everything("SimpleRocket-v0")(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_arguments_of_64_bits_are_taken():
    env = jaxenvs.SimpleRocket()
    with jax.enable_x64(True):
        state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), env.reset(jax.random.key(0))[0])
        after, step = env.step(jax.random.key(1), state, jnp.ones(1, jnp.float64))
    assert {leaf.dtype for leaf in jax.tree.leaves((after, step.obs))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_training_and_evaluation_have_the_dtypes_without_x64(id):
    env, envs = jaxenvs.make(id), jaxenvs.make_vec(id, 2, max_episode_steps=3)
    config = ppo.Config(num_envs=4, num_steps=8, hidden=(4,), minibatches=1)

    def run(key):
        state, metrics = ppo.train(config, env, key, 2)
        return state, metrics, evaluate(envs, ppo.policy(config, env, state), key)

    # Optax needs promotion.
    with jax.numpy_dtype_promotion("standard"):
        expected = jax.eval_shape(run, jax.random.key(0))
        with jax.enable_x64(True):
            assert jax.eval_shape(run, jax.random.key(0)) == expected
