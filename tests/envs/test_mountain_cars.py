"""Facts of MountainCar and MountainCarContinuous: hill, wall, flag, starts, costs, and what their constants do."""
# Arrays stand where constants are declared as floats, to make batches.
# pyright: reportArgumentType=false, reportCallIssue=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxenvs import MountainCar, MountainCarContinuous

BOTH = pytest.mark.parametrize("env", [MountainCar(), MountainCarContinuous()], ids=["discrete", "continuous"])


def push(env, strength):
    """The action that pushes with -1, 0 or 1."""
    return jnp.int32(strength + 1) if isinstance(env, MountainCar) else jnp.array([strength], jnp.float32)


def step_from(env, position, velocity, strength=0):
    return env.transition(env.start_at(position, velocity)[0], push(env, strength), ())


@BOTH
def test_a_step_is_the_published_one(env):
    force = env.force if isinstance(env, MountainCar) else env.power
    env = env.replace(wave_number=2.5, gravity=0.004)
    for strength in (-1, 0, 1):
        state, step = step_from(env, -0.3, 0.01, strength)
        velocity = 0.01 + strength * force - 0.004 * np.cos(2.5 * -0.3)
        np.testing.assert_allclose(state, [-0.3 + velocity, velocity], rtol=1e-5)
        np.testing.assert_array_equal(step.obs, np.stack(state))


@BOTH
def test_the_bottom_of_the_valley_is_at_rest(env):
    state, _ = step_from(env, -np.pi / 6, 0.0)
    np.testing.assert_allclose(state, [-np.pi / 6, 0], atol=1e-7)


@BOTH
def test_coasting_keeps_energy_nearly(env):
    env = env.replace(gravity=1e-5)

    def coast(state, _):
        state, _ = env.transition(state, push(env, 0), ())
        return state, state

    _, states = jax.lax.scan(coast, env.start_at(-0.9)[0], None, length=3000)
    energy = 0.5 * np.asarray(states.velocity) ** 2 + 1e-5 / 3 * np.sin(3 * np.asarray(states.position))
    assert np.ptp(states.position) > 0.5 and np.ptp(energy) < 0.02 * 1e-5 / 3 * 2


@BOTH
def test_the_wall_stops_the_car(env):
    state, step = step_from(env, -1.19, -0.05, -1)
    np.testing.assert_array_equal(state, np.array([-1.2, 0.0], np.float32))
    assert not step.terminated
    assert step_from(env, *state, 1)[0].velocity > 0


@BOTH
def test_the_right_end_does_not_stop_the_car(env):
    state, step = step_from(env, 0.59, 0.05, 1)
    assert state.position == np.float32(0.6) and state.velocity > 0.04 and step.terminated


@BOTH
@pytest.mark.parametrize("side", [-1, 1])
def test_speed_is_limited(env, side):
    assert step_from(env, -np.pi / 6, side * 0.0699, side)[0].velocity == np.float32(side * 0.07)


@BOTH
def test_the_goal_needs_its_velocity(env):
    goal = env.goal_position
    assert step_from(env, goal - 0.01, 0.02, 1)[1].terminated
    assert not step_from(env, goal - 0.04, 0.02, 1)[1].terminated
    assert not step_from(env.replace(goal_velocity=0.03), goal - 0.01, 0.02, 1)[1].terminated
    assert not step_from(env, goal + 0.01, -0.005, -1)[1].terminated


@BOTH
def test_observations_at_the_ends_lie_in_the_space(env):
    space = env.observation_space
    for position, velocity, strength in ((-1.2, -0.07, -1), (0.6, 0.07, 1)):
        assert space.contains(np.asarray(step_from(env, position, velocity, strength)[1].obs))


@BOTH
def test_observation_space_follows_the_constants_of_a_batch(env):
    env = env.replace(min_position=np.array([-1.0, -2.0]), max_position=0.9, max_speed=np.array([0.05, 0.1]))
    np.testing.assert_array_equal(env.observation_space.low, np.array([-2.0, -0.1], np.float32))
    np.testing.assert_array_equal(env.observation_space.high, np.array([0.9, 0.1], np.float32))


@BOTH
def test_starts_are_uniform_and_at_rest(env):
    state, obs = env.start(env.draw_start(jax.random.key(0), (20_000,)))
    assert scipy.stats.kstest(np.asarray(state.position), "uniform", (-0.6, 0.2)).pvalue > 1e-3
    assert not state.velocity.any() and obs.shape == (20_000, 2)
    moved, _ = env.replace(start_low=0.1, start_high=0.3).start(env.draw_start(jax.random.key(0), (2_000,)))
    assert 0.1 <= moved.position.min() < 0.11 and 0.29 < moved.position.max() <= 0.3


@BOTH
def test_each_member_of_a_batch_has_its_own_gravity(env):
    gravities = np.array([0.001, 0.0025, 0.004], np.float32)
    envs = env.replace(gravity=gravities)
    axes = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, envs)
    batch = jax.vmap(lambda env: step_from(env, -0.8, 0.0)[1].obs, (axes,))(envs)
    alone = [step_from(env.replace(gravity=float(g)), -0.8, 0.0)[1].obs for g in gravities]
    np.testing.assert_allclose(batch, alone, atol=1e-7)


@pytest.mark.parametrize("action", [-1, 3, 2**31 - 1, -(2**31)])
def test_actions_outside_the_space_coast(action):
    env = MountainCar()
    state, _ = env.start_at(-0.5, 0.01)
    coasting, other = (env.transition(state, jnp.int32(a), ())[1].obs for a in (1, action))
    np.testing.assert_array_equal(coasting, other)


def test_every_discrete_step_costs_1():
    assert step_from(MountainCar(), -0.5, 0.0)[1].reward == -1
    assert step_from(MountainCar(), 0.49, 0.05)[1].reward == -1


def test_a_continuous_step_pays_for_its_force_and_the_goal_its_bonus():
    env = MountainCarContinuous(goal_bonus=50.0, force_cost=0.4)
    step = lambda position, force: env.transition(env.start_at(position, 0.05)[0], jnp.array([force]), ())[1]  # noqa: E731
    assert float(step(-0.5, 0.5).reward) == pytest.approx(-0.1)
    assert float(step(0.44, -0.5).reward) == pytest.approx(50 - 0.1)
    assert step(-0.5, 0.0).reward == 0


@pytest.mark.parametrize("force", [1.5, -3.0])
def test_force_beyond_the_limits_is_clipped_but_paid_for(force):
    env = MountainCarContinuous()
    state, _ = env.start_at(-0.5, 0.0)
    (found, step), (clipped, _) = (
        env.transition(state, jnp.array([u]), ()) for u in (force, np.clip(force, -1.0, 1.0))
    )
    np.testing.assert_array_equal(found, clipped)
    assert float(step.reward) == pytest.approx(-0.1 * force**2)


def test_the_action_space_follows_the_limits():
    space = MountainCarContinuous(min_force=-0.5, max_force=2.0).action_space
    assert (space.low.item(), space.high.item()) == (-0.5, 2.0)
