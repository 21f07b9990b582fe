"""Batches in `jax.shard_map`, one key for each device, and on meshes whose axes are Explicit."""

# pyright: reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxenvs
from jaxenvs.random import fast

BATCH = PartitionSpec("envs")


def reset(envs, key):
    return envs.reset(key)[1], envs.env.reset(key)[1][None]


def step(envs, key):
    state, _ = envs.reset(key)
    return envs.step(key, state, envs.sample_actions(key))[1].obs


def scan(envs, key):
    """A user's own loop over one environment."""
    action = jaxenvs.spaces.sample(envs.single_action_space, key)

    def one(state, key):
        state, step = envs.env.step(key, state, action)
        return state, step.reward

    return jax.lax.scan(one, envs.env.reset(key)[0], jax.random.split(key, 3))[1]


def rollout(envs, key):
    policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
    return jaxenvs.rollout(envs, policy, key, *envs.reset(key), 2)[2].obs


def fold(envs, key):
    policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
    add = (lambda total, reward: (total[0] + reward, total[1] + 1), (jnp.zeros(2), jnp.int32(0)))
    reward = lambda obs, action, step: step.reward  # noqa: E731
    return jaxenvs.rollout(envs, policy, key, *envs.reset(key), 2, reward, fold=add)[2][0]


@pytest.mark.parametrize("of", [lambda key: key, fast, jax.random.key_data], ids=["ordinary", "fast", "raw"])
@pytest.mark.parametrize("what", [reset, step, scan, rollout, fold])
@pytest.mark.parametrize("id", ["CartPole-v1", "FiveChoices-v0"])
def test_each_device_has_its_own_key(id, what, of):
    envs, mesh = jaxenvs.make_vec(id, 2), jax.make_mesh((1,), ("envs",), axis_types=(AxisType.Auto,))
    local = jax.shard_map(lambda keys: what(envs, of(keys[0])), mesh=mesh, in_specs=BATCH, out_specs=BATCH)
    expected = jax.eval_shape(lambda key: what(envs, of(key)), jax.random.key(0))
    found = jax.eval_shape(local, jax.random.split(jax.random.key(0), 1))
    assert jax.tree.map(lambda leaf: leaf.shape, found) == jax.tree.map(lambda leaf: leaf.shape, expected)


def test_numbers_in_a_shard_map_are_those_of_the_key():
    envs, mesh = jaxenvs.make_vec("SimpleRocket-v0", 2), jax.make_mesh((1,), ("envs",), axis_types=(AxisType.Auto,))
    keys = jax.random.split(jax.random.key(0), 1)
    local = jax.jit(jax.shard_map(lambda keys: rollout(envs, keys[0]), mesh=mesh, in_specs=BATCH, out_specs=BATCH))
    np.testing.assert_allclose(local(keys), rollout(envs, keys[0]), rtol=1e-6)


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_a_mesh_with_explicit_axes_is_refused_with_what_to_use(jitted):
    envs = jaxenvs.make_vec("SimpleRocket-v0", 2)
    spread = NamedSharding(jax.make_mesh((1,), ("envs",), axis_types=(AxisType.Explicit,)), BATCH)
    state, obs = jax.device_put(envs.reset(jax.random.key(0)), spread)
    step = jax.jit(envs.step) if jitted else envs.step
    roll = lambda key, state, obs: jaxenvs.rollout(envs, lambda key, obs: -obs[:, :1], key, state, obs, 2)  # noqa: E731
    for run, last in ((step, jnp.zeros((2, 1))), (roll, obs)):
        with pytest.raises(ValueError, match=r"'envs' of a mesh whose axes are Explicit: .*jaxenvs\.over_devices"):
            run(jax.random.key(0), state, last)
