"""Steps of environments, and what a buffer makes of them, with policies that are known by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.probes import Probe, Pushed

import jaxenvs
from train import dqn, td3
from train.floor import experience, noisy
from train.floor.exploration import at_random, epsilon_greedy

COUNTS = {"num_envs": 4, "num_steps": 4, "capacity": 64, "learning_starts": 16, "gamma": 0.5, "stagger": False}
CONFIG = dqn.Config(**COUNTS, batch_size=8, gradient_steps=3)
ENVS = jaxenvs.make_vec(Probe(horizon=3, by_choice=1.0, always=2.0), 4)
CHOICE = jax.ShapeDtypeStruct((), jnp.int32)


def begun(config=CONFIG):
    return experience.begun(config, ENVS, CHOICE, jax.random.key(0), jax.random.key(1))


def right(key, raw):
    """The choice that pays 2 + 1."""
    return jnp.ones(raw.shape[:-1], jnp.int32)


def test_steps_have_what_was_seen_chosen_and_paid():
    after, steps = experience.play(ENVS, right, jax.random.key(2), begun(), 4)
    assert steps.action.tolist() == [[1] * 4] * 4 and steps.reward.tolist() == [[3.0] * 4] * 4
    # The second feature is the age: the true successor's is 3 at the end, and the next step begins at 0.
    assert steps.features[:, 0, 1].tolist() == [0, 1, 2, 0] and steps.next_features[:, 0, 1].tolist() == [1, 2, 3, 1]
    assert steps.terminated[:, 0].tolist() == [False, False, True, False]
    assert steps.episode_return[:, 0].tolist() == [3.0, 6.0, 9.0, 3.0]
    assert after.obs[:, 1].tolist() == [1.0] * 4


def test_no_steps_leave_the_environments_as_they_are():
    after, steps = experience.play(ENVS, right, jax.random.key(2), begun(), 0)
    assert steps.reward.shape == (0, 4)
    jax.tree.map(np.testing.assert_array_equal, after.obs, begun().obs)


def test_a_warm_up_remembers_one_transition_for_each_step_of_its_blocks():
    config = dataclasses.replace(CONFIG, n_step=2)
    play = lambda key, now, count: experience.play(ENVS, right, key, now, count)  # noqa: E731
    played = experience.warmed_up(config, play, begun(config), jax.random.key(2), jax.random.key(3))
    assert experience.warmup_steps(config) == 16 + 4
    assert int(played.replay.size) * 4 == 16 and played.recent.reward.shape == (1, 4)
    # 3 + 3 / 2 over two steps, 3 alone for the last of an episode.
    assert set(played.replay.data.reward[:4].ravel().tolist()) == {4.5, 3.0}
    assert played.obs_moments.count == 16 and played.noise is None


def test_batches_are_standardised_and_scaled():
    play = lambda key, now, count: experience.play(ENVS, right, key, now, count)  # noqa: E731
    played = experience.warmed_up(CONFIG, play, begun(), jax.random.key(2), jax.random.key(3))
    plain = dataclasses.replace(CONFIG, normalise_observations=False, scale_rewards=False)
    raw, found = (experience.batches(config, played, jax.random.key(4)) for config in (plain, CONFIG))
    assert found.features.shape == (3, 8, 2) and set(raw.reward.ravel().tolist()) == {3.0}
    mean, variance, _ = map(np.asarray, played.obs_moments)
    for before, after in ((raw.features, found.features), (raw.next_features, found.next_features)):
        expected = np.clip((np.asarray(before) - mean) / np.maximum(np.sqrt(variance), 1e-4), -10, 10)
        np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.reward, 3.0 / jnp.sqrt(played.return_moments.variance), rtol=1e-5)


def test_random_choices_are_those_of_an_epsilon_of_one():
    key, values = jax.random.key(5), jnp.broadcast_to(jnp.array([0.0, 3.0, 1.0]), (500, 3))
    random = at_random(key, (500,), 3)
    assert random.tolist() == epsilon_greedy(key, values, 1.0).tolist() and set(random.tolist()) == {0, 1, 2}


def test_noise_is_what_is_chosen_from_and_goes_on_from_the_last_step():
    envs, config = jaxenvs.make_vec(Pushed(), 4), td3.Config(**COUNTS, noise_correlation=0.9)
    action = jax.ShapeDtypeStruct((1,), jnp.float32)
    start = experience.begun(config, envs, action, jax.random.key(0), jax.random.key(1))
    start = start._replace(noise=jnp.full((4, 1), 5.0))
    after, steps = noisy.play(config, envs, lambda raw, noise: noise, jax.random.key(2), start, 3)
    np.testing.assert_array_equal(after.noise, steps.action[-1])
    # 0.9 * 5, and a normal with a deviation of 0.44.
    assert float(steps.action[0].min()) > 3.0 and float(steps.action[0].max()) < 6.0


@pytest.mark.parametrize("devices", [0, 3])
def test_devices_that_cannot_share_are_refused(devices):
    with pytest.raises(ValueError, match=f"devices must divide num_envs=4 and batch_size=8, got {devices}"):
        experience.check(CONFIG, devices)
