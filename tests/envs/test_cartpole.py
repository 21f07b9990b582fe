"""CartPole's facts: its mirror, its conserved quantities, its starts, and what its constants do."""
# Arrays stand where constants are declared as floats, to make batches.
# pyright: reportArgumentType=false, reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxenvs import CartPole
from jaxenvs.envs.cartpole import StartDraws


def advance(env, state, actions):
    """The `Step`s of actions i32[T], and the states, from one state."""

    def step(state, action):
        state, step = env.transition(state, action, ())
        return state, (step, state)

    return jax.lax.scan(step, state, actions)[1]


def test_the_mirror_image_stays_the_mirror_image():
    env, actions = CartPole(), jax.random.bernoulli(jax.random.key(0), shape=(40,)).astype(jnp.int32)
    places = (0.3, -0.2, 0.04, 0.5)
    step, _ = advance(env, env.start_at(*places)[0], actions)
    other, _ = advance(env, env.start_at(*(-place for place in places))[0], 1 - actions)
    np.testing.assert_array_equal(step.obs, -other.obs)
    np.testing.assert_array_equal(step.terminated, other.terminated)


def energy(env, state):
    """Of cart and rod (Florian 2007): kinetic, with the rod's about its centre, and potential."""
    _, v, angle, w = (np.asarray(part, np.float64) for part in state)
    kinetic = 0.5 * env.total_mass * v**2 + env.pole_moment * v * w * np.cos(angle)
    kinetic += 0.5 * env.pole_mass * env.half_length**2 * (4 / 3) * w**2
    return kinetic + env.pole_moment * env.gravity * np.cos(angle)


@pytest.mark.parametrize("semi_implicit", [False, True])
def test_without_a_push_energy_and_momentum_stay_as_the_step_shrinks(semi_implicit):
    drifts = []
    for dt, steps in ((1e-3, 1000), (2.5e-4, 4000)):
        env = CartPole(force=0.0, dt=dt, half_length=0.7, pole_mass=0.5, semi_implicit=semi_implicit)
        _, states = advance(env, env.start_at(0.0, 0.3, 2.0, 0.5)[0], jnp.zeros(steps, jnp.int32))
        momentum = env.total_mass * states.velocity + env.pole_moment * states.angular_velocity * np.cos(states.angle)
        drifts.append((np.ptp(energy(env, states)), np.ptp(np.asarray(momentum))))
    coarse, fine = np.asarray(drifts)
    assert (coarse < 0.03).all() and (fine < 0.3 * coarse).all()


def test_starts_are_uniform_and_independent():
    env = CartPole(start_low=-0.03, start_high=0.07)
    obs = np.asarray(env.start(env.draw_start(jax.random.key(0), (20_000,)))[1])
    for axis in obs.T:
        assert scipy.stats.kstest(axis, "uniform", (-0.03, 0.1)).pvalue > 1e-3
    assert np.abs(np.corrcoef(obs.T) - np.eye(4)).max() < 4.5 / np.sqrt(20_000)


def test_default_starts_fill_the_interval():
    ends = [CartPole().start(StartDraws(*[jnp.float32(u)] * 4))[1] for u in (0.0, 1.0)]
    np.testing.assert_allclose(ends, [[-0.05] * 4, [0.05] * 4], rtol=1e-6)


def step_from(position, angle, **constants):
    env = CartPole(**constants)
    return env.transition(env.start_at(position, 0.0, angle, 0.0)[0], jnp.int32(1), ())[1]


@pytest.mark.parametrize("side", [1, -1])
def test_limits_themselves_are_inside(side):
    limit = np.float32(12 * 2 * np.pi / 360)
    assert not step_from(side * 2.4, 0.0).terminated and not step_from(0.0, side * limit).terminated
    assert step_from(side * np.nextafter(np.float32(2.4), np.float32(3)), 0.0).terminated
    assert step_from(0.0, side * np.nextafter(limit, np.float32(1))).terminated


@pytest.mark.parametrize(("sutton_barto_reward", "before", "after"), [(False, 1.0, 1.0), (True, 0.0, -1.0)])
def test_rewards(sutton_barto_reward, before, after):
    assert step_from(0.0, 0.0, sutton_barto_reward=sutton_barto_reward).reward == before
    assert step_from(3.0, 0.0, sutton_barto_reward=sutton_barto_reward).reward == after


@pytest.mark.parametrize("action", [-1, 2, 2**31 - 1, -(2**31)])
def test_actions_outside_the_space_push_left(action):
    env = CartPole()
    state, _ = env.start_at(0.0, 0.0, 0.01, 0.0)
    left, other = (env.transition(state, jnp.int32(a), ())[1].obs for a in (0, action))
    np.testing.assert_array_equal(left, other)


def test_observation_space_follows_the_limits_of_a_batch():
    space = CartPole(position_limit=np.array([1.0, 3.0]), angle_limit=0.5).observation_space
    np.testing.assert_array_equal(space.high, np.array([6.0, np.inf, 1.0, np.inf], np.float32))
    np.testing.assert_array_equal(space.low, -space.high)


def test_each_member_of_a_batch_has_its_own_physics():
    masses, places = np.linspace(0.05, 2.0, 7, dtype=np.float32), (0.1, -0.3, 0.1, 0.2)
    envs = CartPole(pole_mass=masses)
    axes = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, envs)
    batch = jax.vmap(lambda env: env.transition(env.start_at(*places)[0], jnp.int32(1), ())[1].obs, (axes,))(envs)
    alone = [step.obs for step in (lone(mass, places) for mass in masses)]
    np.testing.assert_allclose(batch, alone, atol=1e-7)
    assert len(np.unique(batch[:, 3])) == 7


def lone(mass, places):
    env = CartPole(pole_mass=float(mass))
    return env.transition(env.start_at(*places)[0], jnp.int32(1), ())[1]
