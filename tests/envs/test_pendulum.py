"""Pendulum's facts: its energy and mirror, its starts and costs, and gradients through a rollout."""
# Arrays stand where constants are declared as floats, to make batches.
# pyright: reportArgumentType=false, reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxenvs import Pendulum


def advance(env, state, torques):
    """The `Step`s of torques f32[T], and the states, from one state."""

    def step(state, torque):
        state, step = env.transition(state, torque[None], ())
        return state, (step, state)

    return jax.lax.scan(step, state, torques)[1]


def energy(env, states):
    """Of a rod turning about its end, J."""
    angle, velocity = np.asarray(states.angle, np.float64), np.asarray(states.velocity, np.float64)
    inertia = env.mass * env.length**2 / 3
    return 0.5 * inertia * velocity**2 + env.mass * env.gravity * env.length / 2 * np.cos(angle)


@pytest.mark.parametrize("start", [(2.0, 0.0), (np.pi, 3.0), (0.5, 1.0)])
def test_without_torque_energy_stays_as_the_step_shrinks(start):
    spread = []
    for dt, steps in ((4e-3, 500), (1e-3, 2000)):
        env = Pendulum(dt=dt, mass=0.7, length=1.3, max_speed=50.0)
        _, states = advance(env, env.start_at(*start)[0], jnp.zeros(steps))
        spread.append(np.ptp(energy(env, states)))
    # The semi-implicit Euler method keeps energy within a band as wide as the step.
    assert spread[0] < 0.1 and spread[1] < 0.3 * spread[0]


def test_energy_does_not_drift_over_a_long_time():
    env = Pendulum(dt=0.01, max_speed=50.0)
    _, states = advance(env, env.start_at(2.0, 0.0)[0], jnp.zeros(20_000))
    found = energy(env, states)
    assert abs(found[-5000:].mean() - found[:5000].mean()) < 0.01


def test_the_mirror_image_stays_the_mirror_image():
    env, torques = Pendulum(), jax.random.uniform(jax.random.key(0), (200,), minval=-2.0, maxval=2.0)
    step, _ = advance(env, env.start_at(2.0, 0.4)[0], torques)
    other, _ = advance(env, env.start_at(-2.0, -0.4)[0], -torques)
    np.testing.assert_array_equal(step.obs, np.asarray(other.obs) * np.array([1.0, -1.0, -1.0], np.float32))
    np.testing.assert_array_equal(step.reward, other.reward)


def test_a_full_turn_changes_nothing():
    env = Pendulum()
    for turns in (-3, 1, 5):
        one, other = (
            env.transition(env.start_at(a, 1.0)[0], jnp.ones(1), ())[1] for a in (1.2, 1.2 + turns * 2 * np.pi)
        )
        np.testing.assert_allclose(one.obs, other.obs, atol=5e-6)
        np.testing.assert_allclose(one.reward, other.reward, atol=2e-5)


def test_the_angle_of_the_state_stays_within_a_turn():
    env = Pendulum()
    _, states = advance(env, env.start_at(0.1, 8.0)[0], jnp.full(1000, 2.0))
    assert np.abs(states.angle).max() <= np.pi + 8 * 0.05 + 1e-5


def test_observations_lie_on_the_circle():
    _, obs = jax.vmap(Pendulum().start_at)(jnp.linspace(-4.0, 4.0, 100_001), jnp.zeros(100_001))
    assert np.abs(obs[:, :2]).max() <= 1
    np.testing.assert_allclose(np.square(obs[:, :2]).sum(axis=1), 1, rtol=1e-6)


def test_upright_and_at_rest_costs_nothing():
    env = Pendulum()
    _, step = env.transition(env.start_at(0.0, 0.0)[0], jnp.zeros(1), ())
    assert step.reward == 0 and not step.terminated and step.obs.tolist() == [1, 0, 0]


@pytest.mark.parametrize(("velocity_cost", "torque_cost"), [(0.1, 0.001), (0.3, 0.05), (0.0, 0.0)])
def test_reward_is_minus_the_weighted_squares_before_the_step(velocity_cost, torque_cost):
    env = Pendulum(velocity_cost=velocity_cost, torque_cost=torque_cost)
    _, step = env.transition(env.start_at(-2.5, 3.0)[0], jnp.array([1.5]), ())
    assert float(step.reward) == pytest.approx(-(6.25 + 9 * velocity_cost + 2.25 * torque_cost), rel=1e-6)


@pytest.mark.parametrize("torque", [2.5, 1e30, -2.001, np.inf, -np.inf])
def test_torque_beyond_the_limits_is_clipped(torque):
    env = Pendulum()
    state, _ = env.start_at(1.0, 0.0)
    found, clipped = (env.transition(state, jnp.array([u], jnp.float32), ()) for u in (torque, np.clip(torque, -2, 2)))
    jax.tree.map(np.testing.assert_array_equal, found, clipped)
    assert found[0].torque == np.clip(torque, -2, 2)


def test_spaces_follow_the_constants():
    env = Pendulum(max_torque=3.5, max_speed=np.array([4.0, 9.0]))
    assert env.action_space.high.item() == 3.5 and env.observation_space.high.tolist() == [1, 1, 9]


def test_starts_are_uniform_and_independent():
    env = Pendulum(start_angle=1.5, start_velocity=0.4)
    state, _ = env.start(env.draw_start(jax.random.key(0), (20_000,)))
    assert scipy.stats.kstest(np.asarray(state.angle), "uniform", (-1.5, 3.0)).pvalue > 1e-3
    assert scipy.stats.kstest(np.asarray(state.velocity), "uniform", (-0.4, 0.8)).pvalue > 1e-3
    assert abs(np.corrcoef(state.angle, state.velocity)[0, 1]) < 4.5 / np.sqrt(20_000)
    widest, _ = Pendulum().start(env.draw_start(jax.random.key(0), (20_000,)))
    assert np.abs(widest.angle).max() == pytest.approx(np.pi, rel=1e-3) and 0.999 < np.abs(widest.velocity).max() <= 1


def oracle_return(torques, start, gravity=10.0):
    """The return of torques [T] in NumPy float64, by the equations of Gymnasium's `pendulum.py`."""
    angle, velocity, total = *start, 0.0
    for torque in torques:
        total -= ((angle + np.pi) % (2 * np.pi) - np.pi) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2
        velocity = np.clip(velocity + (1.5 * gravity * np.sin(angle) + 3 * torque) * 0.05, -8, 8)
        angle = angle + velocity * 0.05
    return total


@jax.jit
def rollout_return(env, start, torques):
    return advance(env, env.start_at(*start)[0], torques)[0].reward.sum()


@pytest.mark.parametrize("start", [(2.8, 0.3), (0.2, -0.1), (-1.5, 0.0)])
def test_gradient_by_every_torque_is_that_of_central_differences(start):
    torques, h = np.random.default_rng(0).uniform(-1.5, 1.5, 25), 1e-6
    both = [[oracle_return(torques + sign * h * row, start) for row in np.eye(25)] for sign in (1, -1)]
    expected = np.subtract(*both) / (2 * h)
    gradient = jax.grad(rollout_return, argnums=2)(Pendulum(), start, jnp.asarray(torques, jnp.float32))
    np.testing.assert_allclose(gradient, expected, atol=2e-5 * np.abs(expected).max())


def test_gradient_by_gravity_is_that_of_central_differences():
    torques, start = np.random.default_rng(1).uniform(-1.5, 1.5, 25), (2.0, 0.3)
    expected = (oracle_return(torques, start, 10 + 1e-5) - oracle_return(torques, start, 10 - 1e-5)) / 2e-5
    gradient = jax.grad(rollout_return)(Pendulum(), start, jnp.asarray(torques, jnp.float32))
    assert float(gradient.gravity) == pytest.approx(expected, rel=1e-4)


def test_each_member_of_a_batch_has_its_own_gravity():
    gravities = np.array([1.0, 5.0, 10.0], np.float32)
    envs = Pendulum(gravity=gravities)
    axes = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, envs)
    batch = jax.vmap(rollout_return, (axes, None, None))(envs, (2.0, 0.0), jnp.ones(25))
    alone = [rollout_return(Pendulum(gravity=float(g)), (2.0, 0.0), jnp.ones(25)) for g in gravities]
    np.testing.assert_allclose(batch, alone, rtol=1e-5)
