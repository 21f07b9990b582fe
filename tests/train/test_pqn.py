"""PQN's returns and loss against literal numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from reference.probes import Probe, Target

import jaxenvs
from train import pqn

ENVS = jaxenvs.make_vec(Probe(), 4)


def column(*numbers):
    return jnp.array(numbers)[:, None]


@pytest.mark.parametrize(
    "terminated, truncated, lambda_, expected",
    [
        # One step: r + gamma * v'.
        ([0, 0, 0], [0, 0, 0], 0.0, [5.0, 10.0, 15.0]),
        # All of them: 2 + 15 / 2, and 1 + 9.5 / 2.
        ([0, 0, 0], [0, 0, 0], 1.0, [5.75, 9.5, 15.0]),
        # The second: 2 + (16 / 2 + 15 / 2) / 2 = 9.75; the first: 1 + (8 / 2 + 9.75 / 2) / 2 = 5.4375.
        ([0, 0, 0], [0, 0, 0], 0.5, [5.4375, 9.75, 15.0]),
        ([0, 1, 0], [0, 0, 0], 1.0, [2.0, 2.0, 15.0]),
        ([0, 0, 0], [0, 1, 0], 1.0, [6.0, 10.0, 15.0]),
    ],
)
def test_returns_are_those_by_hand(terminated, truncated, lambda_, expected):
    ends = column(*map(bool, terminated)), column(*map(bool, truncated))
    values = column(0.0, 8.0, 16.0), column(8.0, 16.0, 24.0)
    found = pqn.lambda_returns(column(1.0, 2.0, 3.0), *values, *ends, gamma=0.5, lambda_=lambda_)
    assert found[:, 0].tolist() == expected


@pytest.mark.parametrize("huber, cost", [(False, 4.5), (True, 2.5)])
def test_the_loss_is_that_by_hand(huber, cost):
    config = pqn.Config(hidden=(), huber=huber)
    params = {"head": {"kernel": jnp.array([[9.0, 5.0], [0.0, 0.0]]), "bias": jnp.zeros(2)}}
    batch = pqn.Batch(jnp.array([[1.0, 0.0]]), jnp.array([1]), jnp.array([8.0]))
    found, parts = pqn.loss(config, ENVS, params, batch)
    assert float(found) == cost and float(parts["value"]) == 5.0


@pytest.mark.parametrize("layer_norm", [True, False])
def test_layers_are_normalised_unless_asked_otherwise(layer_norm):
    config = pqn.Config(num_envs=4, hidden=(8,), layer_norm=layer_norm)
    state = jax.eval_shape(pqn.init, config, ENVS, jax.random.key(0))
    assert ("LayerNorm_0" in state.params["body"]) == layer_norm


def test_a_policy_as_in_training_explores_and_a_greedy_one_does_not():
    config = pqn.Config(num_envs=4, hidden=(8,))
    state = pqn.init(dataclasses.replace(config, epsilon=0.3), ENVS, jax.random.key(0))
    obs = jnp.zeros((4000, 2))
    acts = {
        greedy: pqn.policy(config, ENVS, state, greedy=greedy)(jax.random.key(1), obs).mean()
        for greedy in (True, False)
    }
    assert float(acts[True]) in (0.0, 1.0) and abs(float(acts[False]) - float(acts[True])) == pytest.approx(
        0.15, abs=0.03
    )


def test_a_box_of_actions_is_refused_with_the_algorithms_that_act_in_it():
    with pytest.raises(TypeError, match=r"pqn needs actions in Discrete, got Box\(.*\); use ppo or sac or td3"):
        pqn.init(pqn.Config(num_envs=4), jaxenvs.make_vec(Target(), 4), jax.random.key(0))
