"""DQN's targets, losses and replayed transitions against literal numbers."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.probes import Probe, Target

import jaxenvs
from train import dqn
from train.floor.replay import Transition
from train.runs.compiling import compiled

ENVS = jaxenvs.make_vec(Probe(), 4)
#: A network without hidden layers: values are an affine function of two features.
AFFINE = dqn.Config(hidden=(), n_step=1)
COUNTS = {"num_envs": 4, "num_steps": 4, "capacity": 64, "learning_starts": 32, "hidden": (4,), "gamma": 0.5}


def affine(*rows):
    """Parameters by which feature 0 has these values, one for each output."""
    return {"head": {"kernel": jnp.array([rows, [0.0] * len(rows)]), "bias": jnp.zeros(len(rows))}}


def transition(*, terminated=False, action=1):
    vector = lambda number: jnp.array([[number, 0.0]])  # noqa: E731
    return Transition(
        vector(1.0), jnp.array([action]), jnp.array([3.0]), vector(2.0), jnp.array([terminated]), jnp.array([0.25])
    )


@pytest.mark.parametrize("double, terminated, target", [(True, False, 4.0), (False, False, 13.0), (True, True, 3.0)])
def test_targets_are_those_by_hand(double, terminated, target):
    # At the feature 2, the network prefers action 0 to 1, which the target network values at 4 and 40.
    params, followed = affine(5.0, 1.0), affine(2.0, 20.0)
    config = dataclasses.replace(AFFINE, double=double)
    found = dqn.targets(config, ENVS, params, followed, transition(terminated=terminated))
    assert found.tolist() == [[target]]


@pytest.mark.parametrize("huber, target, cost", [(True, 7.0, 1.5), (False, 7.0, 2.0), (True, 4.5, 0.125)])
def test_the_loss_of_a_mean_is_that_by_hand(huber, target, cost):
    config = dataclasses.replace(AFFINE, huber=huber)
    found, parts = dqn.loss(config, ENVS, affine(9.0, 5.0), transition(), jnp.array([[target]]))
    assert float(found) == cost and float(parts["value"]) == 5.0


def test_the_loss_of_quantiles_is_that_by_hand():
    # The levels are 1/4 and 3/4; quantiles 1 and 5, targets 3 and 4.
    # The first: 1/4 of 1.5 and 2.5, in the mean 0.5; the second, too high: 1/4 of 1.5 and 0.5, in the mean 0.25.
    config = dataclasses.replace(AFFINE, quantiles=2)
    found, _ = dqn.loss(config, ENVS, affine(9.0, 9.0, 1.0, 5.0), transition(), jnp.array([[3.0, 4.0]]))
    assert float(found) == 0.75


def test_dueling_values_are_the_states_and_the_advantages_less_their_mean():
    outputs = jnp.array([10.0, 1.0, 2.0, 6.0])[:, None]
    assert dqn.dueling(outputs)[:, 0].tolist() == [8.0, 9.0, 13.0]
    config = dataclasses.replace(AFFINE, dueling=True)
    assert dqn.values(config, ENVS, affine(10.0, 1.0, 3.0), jnp.array([1.0, 0.0]))[:, 0].tolist() == [9.0, 11.0]


@pytest.mark.parametrize(
    "tau, every, made, expected", [(0.5, 1, 7, 3.0), (1.0, 4, 8, 4.0), (1.0, 4, 7, 2.0), (0.5, 4, 8, 3.0)]
)
def test_the_target_network_follows_softly_or_at_intervals(tau, every, made, expected):
    config = dqn.Config(tau=tau, target_every=every)
    assert float(dqn.follow(config, jnp.float32(2.0), jnp.float32(4.0), jnp.int32(made))) == expected


def remembered(probe, n):
    """The transitions of a warm-up in a probe: rows of the age at first, the age bootstrapped from, and the rest."""
    # Episodes of two or four steps end anywhere in the three steps that are added together.
    counts = {**COUNTS, "num_steps": 3, "capacity": 48, "learning_starts": 36}
    state = jax.jit(dqn.init)(
        dqn.Config(n_step=n, stagger=False, **counts), jaxenvs.make_vec(probe, 4), jax.random.key(0)
    )
    held = jax.tree.map(
        lambda x: np.asarray(x)[: int(state.experience.replay.size)].reshape(36, -1), state.experience.replay.data
    )
    columns = held.features[:, 1], held.next_features[:, 1], held.reward[:, 0], held.terminated[:, 0]
    return {tuple(map(float, row)) for row in zip(*columns, held.discount[:, 0], strict=True)}


def test_returns_of_three_steps_end_with_the_episode_and_carry_its_last_reward_back():
    # (age, age after, reward, terminated, discount); the second of two steps pays 8.
    assert remembered(Probe(horizon=2, at_last=8.0), 3) == {(0, 2, 4, True, 0.25), (1, 2, 8, True, 0.5)}


def test_returns_of_three_steps_bootstrap_from_the_observation_at_a_time_limit():
    limited = Probe(horizon=100, always=4.0)
    ages = {(0, 3, 7, False, 0.125), (1, 4, 7, False, 0.125), (2, 4, 6, False, 0.25), (3, 4, 4, False, 0.5)}
    assert remembered(limited, 3) == ages


def test_returns_of_one_step_are_the_steps():
    assert remembered(Probe(horizon=2, at_last=8.0), 1) == {(0, 1, 0, False, 0.5), (1, 2, 8, True, 0.5)}


def test_a_warm_up_plays_as_many_steps_as_it_says_with_random_actions():
    config = dqn.Config(n_step=3, stagger=False, **COUNTS)
    endless = jaxenvs.make_vec(Probe(horizon=100), 4, max_episode_steps=100)
    state = jax.jit(dqn.init)(config, endless, jax.random.key(0))
    assert int(state.experience.env_state.episode_length.sum()) == dqn.warmup_steps(config) == 40
    assert int(state.experience.replay.size) * 4 == config.learning_starts
    assert 8 < int(state.experience.replay.data.action[:8].sum()) < 24


def test_epsilon_falls_linearly_and_stays():
    config = dqn.scheduled(dqn.Config(final_epsilon=0.1, exploration_fraction=0.5, batch_size=4, **COUNTS), 4)
    state = jax.jit(dqn.init)(config, ENVS, jax.random.key(0))
    seen = [float(state.epsilon)]
    for _ in range(4):
        state, metrics = dqn.update(config, ENVS, state)
        assert float(metrics.means["epsilon"]) == float(state.epsilon)
        seen.append(float(state.epsilon))
    assert seen == pytest.approx([1.0, 1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize("field, value", [("capacity", 72), ("learning_starts", 24)])
def test_counts_that_are_no_multiple_of_an_updates_steps_are_refused(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be a multiple of num_envs \* num_steps = 16, got {value}"):
        dqn.check(dqn.Config(**{**COUNTS, field: value}))


@pytest.mark.parametrize("devices", [0, 3])
def test_devices_that_cannot_share_evenly_are_refused(devices):
    with pytest.raises(ValueError, match=f"devices must divide num_envs=4 and batch_size=6, got {devices}"):
        dqn.check(dqn.Config(batch_size=6, **COUNTS), devices)


def test_a_box_of_actions_is_refused_with_the_algorithms_that_act_in_it():
    with pytest.raises(TypeError, match=r"dqn needs actions in Discrete, got Box\(.*\); use ppo or sac or td3"):
        dqn.init(dqn.Config(**COUNTS), jaxenvs.make_vec(Target(), 4), jax.random.key(0))


def test_a_loop_of_updates_copies_no_buffer():
    config = dqn.scheduled(dqn.Config(**{**COUNTS, "capacity": 7 * 16, "learning_starts": 16, "batch_size": 8}), 3)
    state = jax.eval_shape(dqn.init, config, ENVS, jax.random.key(0))
    loop = lambda state: jax.lax.fori_loop(0, 3, lambda _, state: dqn.update(config, ENVS, state)[0], state)  # noqa: E731
    # As users compile it: the suite's quick programs copy more.
    options = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
    text = compiled(jax.jit(loop, donate_argnums=0).lower(state), options).as_text() or ""
    buffers = r"(\w+\[28,4\]|f32\[28,4,2\])"
    assert re.search(rf"{buffers}\S* dynamic-update-slice\(", text) and not re.search(rf"{buffers}\S* copy\(", text)


def test_the_target_follows_at_the_right_step_however_long_the_run():
    config = dqn.Config(target_every=7, gradient_steps=5)
    for updates in (0, 1, 6, 2**31 - 2):
        assert int(dqn.since_target(config, jnp.int32(updates))) == updates * 5 % 7
    most = dqn.Config(target_every=200_000, gradient_steps=9_999)
    assert int(dqn.since_target(most, jnp.int32(199_999))) == 199_999 * 9_999 % 200_000
