"""Acrobot's facts: its energy and mirror, the noise of its torque, its starts, and what its constants do."""
# Arrays stand where constants are declared as floats, to make batches.
# pyright: reportArgumentType=false, reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.acrobot import Acrobot as Oracle

from jaxenvs import Acrobot
from jaxenvs.envs.acrobot import Draws

MIDDLE = Draws(jnp.float32(0.5))


def advance(env, state, actions):
    """The `Step`s of actions i32[T], and the states, from one state, without noise."""

    def step(state, action):
        state, step = env.transition(state, action, MIDDLE)
        return state, (step, state)

    return jax.lax.scan(step, state, actions)[1]


def energy(env, states):
    """Of two links, J: kinetic of both centres and of turning about them, and potential."""
    first, second, rate_1, rate_2 = (np.asarray(part, np.float64) for part in states)
    m1, m2, l1, c1, c2 = env.link_mass_1, env.link_mass_2, env.link_length_1, env.link_center_1, env.link_center_2
    speed_1 = (c1 * rate_1) ** 2
    both = rate_1 + rate_2
    speed_2 = (l1 * rate_1) ** 2 + (c2 * both) ** 2 + 2 * l1 * c2 * rate_1 * both * np.cos(second)
    kinetic = 0.5 * (m1 * speed_1 + m2 * speed_2 + env.link_inertia * (rate_1**2 + both**2))
    height_1, height_2 = -c1 * np.cos(first), -l1 * np.cos(first) - c2 * np.cos(first + second)
    return kinetic + env.gravity * (m1 * height_1 + m2 * height_2)


UNEVEN = dict(link_length_1=1.3, link_mass_1=0.8, link_mass_2=1.4, link_center_1=0.7, link_center_2=0.4, gravity=7.0)


@pytest.mark.parametrize("constants", [{}, UNEVEN], ids=["gymnasium", "uneven"])
def test_without_torque_energy_stays(constants):
    env = Acrobot(dt=0.02, **constants)
    _, states = advance(env, env.start_at(2.0, -1.0, 0.5, 1.0)[0], jnp.ones(500, jnp.int32))
    assert np.ptp(energy(env, states)) < 2e-3 and np.ptp(states.velocity_2) > 2


def test_the_papers_equations_do_not_keep_energy():
    env = Acrobot(dt=0.02, nips_equations=True)
    _, states = advance(env, env.start_at(2.0, -1.0, 0.5, 1.0)[0], jnp.ones(500, jnp.int32))
    assert np.ptp(energy(env, states)) > 1


def test_torque_puts_in_the_work_that_it_does():
    env = Acrobot(dt=0.005, torque=3.0)
    state, _ = env.start_at(0.3, 0.2, 0.0, 0.0)
    _, states = advance(env, state, jnp.full(200, 2, jnp.int32))
    gained = energy(env, states)[-1] - energy(env, state)
    # No angle has made a full turn, so that work is torque times the angle passed.
    assert gained == pytest.approx(3.0 * float(states.angle_2[-1] - 0.2), rel=1e-3) and abs(gained) > 0.5


def test_the_mirror_image_stays_the_mirror_image():
    env, actions = Acrobot(), jax.random.randint(jax.random.key(0), (60,), 0, 3)
    places = (0.05, -0.1, 0.02, 0.07)
    step, _ = advance(env, env.start_at(*places)[0], actions)
    other, _ = advance(env, env.start_at(*(-place for place in places))[0], 2 - actions)
    np.testing.assert_array_equal(step.obs, np.asarray(other.obs) * np.array([1, -1, 1, -1, -1, -1], np.float32))


def test_hanging_at_rest_stays():
    env = Acrobot()
    state, step = env.transition(env.start_at(0.0, 0.0, 0.0, 0.0)[0], jnp.int32(1), MIDDLE)
    assert not np.any(state) and step.reward == -1 and not step.terminated


@pytest.mark.parametrize(("place", "reached"), [((np.pi, 0.0), True), ((np.pi, 1.5), True), ((1.5, 1.5), False)])
def test_the_tip_above_the_height_ends_the_episode(place, reached):
    _, step = Acrobot(dt=1e-4).transition(Acrobot().start_at(*place, 0.0, 0.0)[0], jnp.int32(1), MIDDLE)
    assert bool(step.terminated) == reached and step.reward == reached - 1
    assert (
        not Acrobot(goal_height=2.1)
        .transition(Acrobot().start_at(*place, 0.0, 0.0)[0], jnp.int32(1), MIDDLE)[1]
        .terminated
    )


def test_angles_are_wrapped_and_velocities_clipped():
    env = Acrobot(gravity=0.0)
    state, _ = env.transition(env.start_at(3.1, -3.1, 12.0, -25.0)[0], jnp.int32(1), MIDDLE)
    assert np.abs(state[:2]).max() <= np.float32(np.pi)
    state, step = env.replace(dt=1e-4).transition(env.start_at(0.0, 0.0, 100.0, -100.0)[0], jnp.int32(1), MIDDLE)
    assert state.velocity_1 == np.float32(4 * np.pi) and state.velocity_2 == np.float32(-9 * np.pi)
    assert env.observation_space.contains(np.asarray(step.obs))


@pytest.mark.parametrize("uniform", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("action", [0, 1, 2])
def test_noise_is_added_to_the_torque(uniform, action):
    env, oracle = Acrobot(torque_noise=0.7), Oracle(torque_noise=0.7)
    place = np.array([0.4, -0.9, 1.0, 2.0])
    oracle.state = place[None]
    obs, _, _ = oracle.step(np.array([action]), np.array([uniform]))
    _, step = env.transition(env.start_at(*place)[0], jnp.int32(action), Draws(jnp.float32(uniform)))
    np.testing.assert_allclose(step.obs, obs[0], atol=1e-6)


def test_noise_is_uniform_between_minus_and_plus_its_bound():
    env = Acrobot(torque_noise=0.5)
    draws, state = env.draw(jax.random.key(0), (20_000,)), env.start_at(0.0, 0.0, 0.0, 0.0)[0]
    after, _ = jax.vmap(Acrobot.transition, (None, None, None, 0))(env, state, jnp.int32(1), draws)
    # At rest the step is linear in a small torque.
    most = env.transition(state, jnp.int32(1), Draws(jnp.float32(1.0)))[0].velocity_2
    assert scipy.stats.kstest(np.asarray(draws.torque), "uniform").pvalue > 1e-3
    np.testing.assert_allclose(after.velocity_2, np.asarray(most) * (2 * np.asarray(draws.torque) - 1), atol=1e-3)


def test_without_noise_draws_do_not_matter():
    env = Acrobot()
    state, _ = env.start_at(0.4, -0.9, 1.0, 2.0)
    one, other = (env.transition(state, jnp.int32(2), Draws(jnp.float32(u)))[1].obs for u in (0.0, 0.99))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("action", [-1, 3, 2**31 - 1, -(2**31)])
def test_actions_outside_the_space_apply_no_torque(action):
    env = Acrobot()
    state, _ = env.start_at(0.4, -0.9, 1.0, 2.0)
    none, other = (env.transition(state, jnp.int32(a), MIDDLE)[1].obs for a in (1, action))
    np.testing.assert_array_equal(none, other)


def test_starts_are_uniform_and_independent():
    env = Acrobot(start_low=-0.2, start_high=0.1)
    draws = env.draw_start(jax.random.key(0), (20_000,))
    parts = np.stack(env.start(draws)[0])
    for part in parts:
        assert scipy.stats.kstest(part, "uniform", (-0.2, 0.3)).pvalue > 1e-3
    assert np.abs(np.corrcoef(parts) - np.eye(4)).max() < 4.5 / np.sqrt(20_000)
    assert np.abs(np.stack(Acrobot().start(draws)[0])).max() == pytest.approx(0.1, rel=1e-3)


def test_observation_space_follows_the_limits_of_a_batch():
    space = Acrobot(max_velocity_1=2.0, max_velocity_2=np.array([3.0, 5.0])).observation_space
    np.testing.assert_array_equal(space.high, np.array([1, 1, 1, 1, 2, 5], np.float32))


def test_the_second_links_length_does_not_move_it():
    place = Acrobot().start_at(0.4, -0.9, 1.0, 2.0)[0]
    one, other = (Acrobot(link_length_2=length).transition(place, jnp.int32(2), MIDDLE)[1] for length in (1.0, 3.0))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_each_member_of_a_batch_has_its_own_mass():
    masses = np.array([0.5, 1.0, 2.0], np.float32)
    envs = Acrobot(link_mass_2=masses)
    axes = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, envs)
    one_step = lambda env: env.transition(env.start_at(0.4, -0.9, 1.0, 2.0)[0], jnp.int32(2), MIDDLE)[1].obs  # noqa: E731
    batch, alone = jax.vmap(one_step, (axes,))(envs), [one_step(Acrobot(link_mass_2=float(mass))) for mass in masses]
    np.testing.assert_allclose(batch, alone, atol=2e-6)
