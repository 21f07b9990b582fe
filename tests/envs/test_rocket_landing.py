"""RocketLanding against its oracle over entire episodes, its starts, its physics, its rules and its gradients."""
# Arrays stand where constants are declared as floats, to make batches.
# pyright: reportArgumentType=false, reportCallIssue=false

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.closeness import assert_close
from reference.rocket_landing import CRASHED, FLYING, LANDED, LOST, controller
from reference.rocket_landing import RocketLanding as Oracle

from jaxenvs import RocketLanding
from jaxenvs.envs.rocket_landing import State

STEPS = 250

# Each constant is changed in at least one set; `test_every_constant_is_changed_somewhere` holds us to it.
CONSTANTS = {
    "mars": {},
    "moon": {
        "gravity": 1.62,
        "air_density": 0.0,
        "dry_mass": 2100.0,
        "thrust_low": 1500.0,
        "thrust_high": 7000.0,
        "exhaust_velocity": 3050.0,
        "gimbal_limit": 0.1,
        "engine_arm": 1.7,
        "gyration_radius": 2.3,
        "start_tilt": 0.05,
        "dt": 0.35,
    },
    "storm": {
        "air_density": 0.9,
        "drag_area": 24.0,
        "wind": -3.0,
        "wind_spread": 5.0,
        "start_fuel": 31.0,
        "dt": 0.1,
        "arena_width": 60.0,
        "arena_height": 110.0,
        "tilt_limit": 0.8,
    },
    "forgiving": {
        "pad_half_width": 30.0,
        "landing_descent": 6.0,
        "landing_drift": 4.0,
        "landing_tilt": 0.4,
        "landing_tilt_rate": 0.5,
        "landing_bonus": 40.0,
        "crash_penalty": 15.0,
        "fuel_cost": 0.7,
        "reference_braking": 1.8,
        "reference_touchdown": 2.5,
        "tilt_cost": 7.0,
        "tilt_preview": 0.3,
    },
    "near": {
        "start_offset": 6.0,
        "start_height_low": 10.0,
        "start_height_high": 25.0,
        "start_drift": 1.0,
        "start_descent_low": 0.0,
        "start_descent_high": 3.0,
        "start_tilt": 0.4,
        "start_tilt_rate": 0.3,
    },
}
PILOTS = {"controller": 64, "unsteady controller": 48, "random": 48, "full thrust": 16, "least thrust": 16, "wild": 24}


class Run(NamedTuple):
    """The same episodes, ours and the oracle's; [STEPS, rockets, ...]."""

    #: bool, whether the oracle's episode still ran when the step began.
    running: Any
    obs: Any
    reward: Any
    outcome: Any
    terminated: Any
    oracle_obs: Any
    oracle_reward: Any
    oracle_outcome: Any
    #: f64, the oracle's estimate before each step.
    oracle_estimate: Any


def pilots(rng, obs, oracle):
    """f32[rockets, 2], one kind of pilot beside the other."""
    steady = controller(obs, oracle)
    noise = rng.normal(0.0, 0.4, steady.shape)
    kinds = [
        steady,
        steady + noise,
        rng.uniform(-1, 1, steady.shape),
        np.broadcast_to([1.0, 0.0], steady.shape),
        np.broadcast_to([-1.0, 0.1], steady.shape),
        rng.uniform(-3, 3, steady.shape),
    ]
    who = np.repeat(np.arange(len(PILOTS)), list(PILOTS.values()))
    return np.stack(kinds)[who, np.arange(len(who))].astype(np.float32)


@jax.jit
def episodes(env, start_draws, actions):
    """Free-running episodes: (first obs, (Step, outcome) of every step)."""
    state, obs = jax.vmap(RocketLanding.start, (None, 0))(env, start_draws)

    def advance(state, action):
        state, step = jax.vmap(RocketLanding.transition, (None, 0, 0, None))(env, state, action, ())
        return state, (step, state.outcome)

    return obs, jax.lax.scan(advance, state, actions)[1]


@functools.cache
def both(name):
    env, oracle, rng = RocketLanding(**CONSTANTS[name]), Oracle(**CONSTANTS[name]), np.random.default_rng(0)
    start_draws = env.draw_start(jax.random.key(1), (sum(PILOTS.values()),))
    first = obs = oracle.reset(jax.device_get(start_draws))
    actions, theirs = [], []
    with np.errstate(all="ignore"):  # What happens after an episode's end is not compared.
        for _ in range(STEPS):
            actions.append(pilots(rng, obs, oracle))
            estimate = oracle.estimate()
            obs, reward, _ = oracle.step(actions[-1])
            theirs.append((obs, reward, oracle.outcome, estimate))
    first_obs, (step, outcome) = jax.device_get(episodes(env, start_draws, np.stack(actions)))
    np.testing.assert_allclose(first_obs, first, rtol=1e-5, atol=1e-6)
    theirs = [np.stack(part) for part in zip(*theirs, strict=True)]
    ended = np.logical_or.accumulate(theirs[2] != FLYING)
    running = ~np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])
    return Run(running, step.obs, step.reward, outcome, step.terminated, *theirs)


@pytest.fixture(params=CONSTANTS, scope="module")
def run(request):
    return both(request.param)


def sizes(name):
    """What a difference of 1e-5 is relative to: (of what is observed [STEPS, rockets, 9], of each reward).

    Every quantity is the sum of its rates, so that its rounding errors are relative to what has been added up: to the
    way that the greatest speed so far would have gone, to the speed that thrust and gravity have given and taken. The
    reward is the difference of two estimates, whose reference turns the faster the nearer the pad.
    """
    run, oracle = both(name), Oracle(**CONSTANTS[name])
    t = oracle.dt * np.arange(1, STEPS + 1)[:, None]
    x, height, velocity_x, velocity_y, tilt, tilt_rate, _, wind, _ = np.moveaxis(np.abs(run.oracle_obs), -1, 0)
    speed = highest(np.maximum(velocity_x, velocity_y), 0.5)
    turning = highest(tilt_rate, 0.1)
    authority = oracle.gravity * oracle.engine_arm * np.sin(oracle.gimbal_limit) / oracle.gyration_radius**2
    gained, turned = highest(speed, 0.5) + oracle.gravity * t / 10, turning + 2 * authority * t
    position, attitude = highest(x, 0.5) + speed * t / 5, highest(tilt, 0.5) + turning * t
    climb, ones = highest(height, 0.5) + speed * t / 10, np.ones_like(x)
    observed = (position, climb, gained, gained, attitude, turned, ones, highest(wind, 0.1), ones)
    depth = 100 * height + oracle.reference_touchdown**2 / (2 * oracle.reference_braking)
    bend = np.sqrt(2 * oracle.reference_braking / np.hypot(50 * x, depth))
    bend = np.maximum(bend, np.concatenate([bend[:1], bend[:-1]]))
    reward = run.oracle_estimate + 10 * gained + oracle.tilt_cost * attitude / 2 + bend * 50 * position
    return np.stack(observed, axis=-1), reward + np.abs(run.oracle_reward)


def highest(x, least):
    """The highest so far, and `least` at least."""
    return np.maximum.accumulate(np.maximum(x, least))


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(RocketLanding)}


def test_defaults_are_the_oracles():
    fields = dataclasses.fields(RocketLanding)
    assert {f.name: f.default for f in fields} == {f.name: getattr(Oracle(), f.name) for f in fields}


def test_episodes_end_at_the_oracles_steps_and_in_the_same_way(run):
    assert (run.oracle_outcome != FLYING).any(axis=0).sum() > 100
    np.testing.assert_array_equal(run.outcome[run.running], run.oracle_outcome[run.running])
    np.testing.assert_array_equal(run.terminated[run.running], run.oracle_outcome[run.running] != FLYING)


@pytest.mark.parametrize("outcome", [LANDED, CRASHED, LOST])
def test_every_ending_is_met_by_many(outcome):
    met = [np.any((run.oracle_outcome == outcome) & run.running, axis=0).sum() for run in map(both, CONSTANTS)]
    assert sum(met) > 50


def test_fuel_runs_out_in_the_storm():
    run = both("storm")
    assert np.any((run.oracle_obs[..., 6] == 0) & run.running, axis=0).sum() > 20


@pytest.mark.parametrize("name", CONSTANTS)
def test_observation_follows_the_oracle(name):
    run = both(name)
    assert_close(run.obs[run.running], run.oracle_obs[run.running], sizes(name)[0][run.running])


def test_how_it_ended_is_observed_exactly(run):
    np.testing.assert_array_equal(run.obs[run.running][:, 8], run.oracle_obs[run.running][:, 8])


@pytest.mark.parametrize("name", CONSTANTS)
def test_reward_follows_the_oracle(name):
    run = both(name)
    assert_close(run.reward[run.running], run.oracle_reward[run.running], sizes(name)[1][run.running])


# The controller.


@functools.cache
def controlled():
    """(outcome, return, final obs) of the oracle under its controller, 4096 starts."""
    oracle = Oracle()
    draws = RocketLanding().draw_start(jax.random.key(0), (4096,))
    obs = oracle.reset(jax.device_get(draws))
    over, total, ending = np.zeros(4096, bool), np.zeros(4096), np.zeros(4096, int)
    for _ in range(STEPS):
        obs, reward, done = oracle.step(controller(obs, oracle))
        total += np.where(over, 0.0, reward)
        ending = np.where(over, ending, oracle.outcome)
        over |= done
    return ending, total


def test_the_controller_lands_from_99_per_cent_of_the_starts():
    assert np.mean(controlled()[0] == LANDED) >= 0.99


def test_the_controller_returns_about_142_5():
    assert abs(controlled()[1].mean() - 142.5) < 1.0


# Starts.

COUNT = 20_000
OBSERVED_RANGES = [(-0.8, 0.8), (0.8, 1.2), (-0.5, 0.5), (-1.5, -0.5), (-0.4, 0.4), (-0.2, 0.2)]


@pytest.fixture(params=["one key each", "one key for all"])
def starts(request):
    """f32[COUNT, 9], first observations."""
    env, key = RocketLanding(wind=2.0, wind_spread=3.0), jax.random.key(3)
    if request.param == "one key each":
        return np.asarray(jax.jit(jax.vmap(env.reset))(jax.random.split(key, COUNT))[1])
    return np.asarray(env.start(env.draw_start(key, (COUNT,)))[1])


@pytest.mark.parametrize(("index", "low", "high"), [(i, *r) for i, r in enumerate(OBSERVED_RANGES)] + [(7, -0.1, 0.5)])
def test_starts_are_uniform(starts, index, low, high):
    assert scipy.stats.kstest(starts[:, index], "uniform", (low, high - low)).pvalue > 1e-3


def test_start_quantities_are_independent(starts):
    correlations = np.corrcoef(starts[:, [0, 1, 2, 3, 4, 5, 7]].T)[np.triu_indices(7, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(COUNT)


def test_starts_are_full_and_flying(starts):
    assert np.all(starts[:, 6] == 1) and np.all(starts[:, 8] == 0)


# Physics.

MIDAIR = State(
    x=jnp.float32(0.0),
    height=jnp.float32(60.0),
    velocity_x=jnp.float32(0.0),
    velocity_y=jnp.float32(0.0),
    tilt=jnp.float32(0.0),
    tilt_rate=jnp.float32(0.0),
    fuel=jnp.float32(100.0),
    wind=jnp.float32(0.0),
    thrust=jnp.float32(0.0),
    gimbal=jnp.float32(0.0),
    outcome=jnp.int32(FLYING),
)
VACUUM = {"air_density": 0.0}


def at(**changed):
    return MIDAIR._replace(**{name: jnp.float32(value) for name, value in changed.items()})


@jax.jit
def states(env, state, actions):
    """The `State` after each of the actions, f32[T, 2]."""

    def advance(state, action):
        state, _ = env.transition(state, action, ())
        return state, state

    return jax.lax.scan(advance, state, actions)[1]


def held(throttle, gimbal, steps):
    return jnp.tile(jnp.array([throttle, gimbal], jnp.float32), (steps, 1))


def step_from(state=MIDAIR, throttle=0.0, gimbal=0.0, **constants):
    return RocketLanding(**constants).transition(state, jnp.array([throttle, gimbal], jnp.float32), ())


def test_speed_is_gained_by_the_rocket_equation():
    env = RocketLanding(gravity=0.0, **VACUUM)
    after = states(env, MIDAIR, held(1.0, 0.0, 20))
    expected = 1966.0 * np.log(1605.0 / (1505.0 + np.asarray(after.fuel, np.float64)))
    np.testing.assert_allclose(after.velocity_y, expected, rtol=1e-5)


def test_mass_burns_at_thrust_over_exhaust_velocity():
    after = step_from(throttle=1.0)[0]
    assert float(after.fuel) == pytest.approx(100.0 - 0.2 * 13258.0 / 1966.0, rel=1e-6)


def test_without_fuel_it_falls_along_a_parabola():
    after = states(RocketLanding(**VACUUM), at(fuel=0.0, velocity_x=3.0, velocity_y=9.0), held(1.0, 1.0, 20))
    t = 0.2 * np.arange(1, 21)
    np.testing.assert_allclose(after.x, 3 * t, rtol=1e-5)
    np.testing.assert_allclose(after.height, 60 + 9 * t - 3.7114 / 2 * t**2, rtol=1e-5)
    assert not np.any(after.thrust) and not np.any(after.tilt_rate) and not np.any(after.fuel)


def test_the_last_fuel_is_burnt_and_no_more():
    after = states(RocketLanding(), at(fuel=0.7), held(1.0, 0.0, 3))
    assert after.fuel.tolist() == [0.0, 0.0, 0.0]
    assert float(after.thrust[0]) == pytest.approx(0.7 * 1966.0 / 0.2, rel=1e-6) and after.thrust[1] == 0


def test_a_positive_gimbal_turns_to_the_right():
    assert float(step_from(gimbal=1.0)[0].tilt_rate) > 0.1


def test_the_gimbal_turns_as_its_lever_and_the_inertia_say():
    after = step_from(throttle=-1.0, gimbal=0.5, dry_mass=1505.0)[0]
    mass = 1605.0 - 0.1 * 4972.0 / 1966.0
    assert float(after.tilt_rate) == pytest.approx(0.2 * 4972.0 / mass * 2.5 * np.sin(0.125) / 1.8**2, rel=1e-5)


def test_a_rocket_that_leans_right_is_pushed_right():
    assert float(step_from(at(tilt=0.2))[0].velocity_x) > 0


def test_the_mirror_image_stays_the_mirror_image():
    env = RocketLanding(air_density=0.5)
    mirrored = jnp.array([-1, 1, -1, 1, -1, -1, 1, -1, 1], jnp.float32)
    actions = jax.random.uniform(jax.random.key(2), (40, 2), minval=-1, maxval=1)
    quantities = {"x": 3.0, "velocity_x": -2.0, "tilt": 0.1, "tilt_rate": 0.05, "wind": 4.0}
    one = states(env, at(**quantities), actions)
    other = states(env, at(**{name: -value for name, value in quantities.items()}), actions * jnp.array([[1.0, -1.0]]))
    np.testing.assert_array_equal(env.observe(one), env.observe(other) * mirrored[None])


def test_air_slows_down_by_the_square_of_the_speed():
    slower = [
        9.0 - float(step_from(at(fuel=0.0, velocity_y=speed), gravity=0.0, air_density=d)[0].velocity_y)
        for speed, d in ((9.0, 0.0), (9.0, 0.1), (9.0, 0.2))
    ]
    assert slower[0] == 0 and slower[2] == pytest.approx(2 * slower[1], rel=1e-2)
    lost = [
        v - float(step_from(at(fuel=0.0, velocity_y=v), gravity=0.0, air_density=0.1)[0].velocity_y) for v in (10, 20)
    ]
    assert lost[1] == pytest.approx(4 * lost[0], rel=1e-2)


def test_wind_carries_a_rocket_along():
    after = states(RocketLanding(air_density=1.0, gravity=0.0), at(fuel=0.0, wind=5.0), held(0.0, 0.0, 200))
    speeds = np.asarray(after.velocity_x)
    assert np.all(np.diff(speeds) > 0) and 0.5 < speeds[-1] < 5.0


def test_the_wind_stays_what_it_was_at_the_start():
    env = RocketLanding(wind=1.0, wind_spread=2.0)
    state, _ = env.reset(jax.random.key(0))
    assert np.all(states(env, state, held(0.0, 0.0, 5)).wind == state.wind)


def test_halving_the_step_divides_the_error_by_four():
    def end(dt):
        env, steps = RocketLanding(dt=dt, air_density=0.5), round(2.0 / dt)
        after = states(env, at(velocity_x=4.0), held(0.3, 0.6, steps))
        return np.array([after.x[-1], after.velocity_x[-1], after.tilt[-1]], np.float64)

    oracle = Oracle(dt=0.001, air_density=0.5)
    oracle.reset_at([[0.0, 60.0, 4.0, 0.0, 0.0, 0.0, 100.0]], [0.0])
    for _ in range(2000):
        oracle.step([[0.3, 0.6]])
    errors = [np.abs(end(dt) - oracle.body[0, [0, 2, 4]])[:2] for dt in (0.4, 0.2)]
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.2)


# Rules.

GENTLE = {"height": 0.1, "velocity_y": -1.0, "velocity_x": 0.1, "fuel": 20.0}


def touchdown(**changed):
    """The state and `Step` of one touching the ground with so much of each quantity."""
    return step_from(at(**GENTLE | changed), throttle=-0.8)


def test_a_soft_touchdown_on_the_pad_lands():
    state, step = touchdown()
    assert int(state.outcome) == LANDED and bool(step.terminated) and step.obs[8] == 1 and state.height == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"x": 5.2},
        {"x": -5.2},
        {"velocity_y": -2.3},
        {"velocity_x": 1.4},
        {"velocity_x": -1.4},
        {"tilt": 0.12},
        {"tilt": -0.12},
        {"tilt_rate": 0.12},
        {"tilt_rate": -0.12},
    ],
)
def test_one_limit_broken_is_a_crash(changed):
    state, step = touchdown(**changed)
    assert int(state.outcome) == CRASHED and bool(step.terminated) and step.obs[8] == -1


@pytest.mark.parametrize("changed", [{"x": 4.8}, {"velocity_y": -2.0}, {"velocity_x": 1.0}, {"tilt": -0.09}])
def test_within_the_limits_it_is_a_landing(changed):
    assert int(touchdown(**changed)[0].outcome) == LANDED


@pytest.mark.parametrize("changed", [{"x": 151.0}, {"x": -151.0}, {"height": 201.0}, {"tilt": 1.55}, {"tilt": -1.55}])
def test_outside_or_tumbled_is_lost(changed):
    state, step = step_from(at(**changed))
    assert int(state.outcome) == LOST and bool(step.terminated) and step.obs[8] == -1


def test_in_midair_nothing_ends():
    state, step = step_from()
    assert int(state.outcome) == FLYING and not step.terminated and step.obs[8] == 0


def test_landing_pays_the_bonus_and_crashing_costs_the_penalty():
    changed = {"landing_bonus": 0.0, "crash_penalty": 0.0}
    for state, worth in ((at(**GENTLE), 100.0), (at(**GENTLE | {"x": 9.0}), -100.0)):
        rewards = [step_from(state, throttle=-0.8, **constants)[1].reward for constants in ({}, changed)]
        assert float(rewards[0] - rewards[1]) == pytest.approx(worth, rel=1e-5)


def test_an_entire_episode_returns_what_its_ends_say():
    # to_go(start) - to_go(end) - fuel_cost * c ln(m / m_end) + bonus - penalty, over episodes of every ending.
    run, oracle = both("mars"), Oracle()
    rockets = np.flatnonzero((run.oracle_outcome != FLYING).any(axis=0))
    total = np.where(run.running, run.reward, 0.0).sum(axis=0)[rockets]
    last = run.running.sum(axis=0)[rockets] - 1
    end = run.oracle_obs[last, rockets]
    oracle.body, oracle.air = end[:, :7] * [50, 100, 10, 10, 0.5, 0.5, 100], end[:, 7]
    paid = 1966.0 * np.log(1605.0 / (1505.0 + oracle.body[:, 6]))
    expected = run.oracle_estimate[0, rockets] - oracle.estimate() - 0.2 * paid + 100 * end[:, 8]
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=5e-3)


def test_actions_beyond_the_limits_are_clipped():
    np.testing.assert_array_equal(
        step_from(throttle=7.0, gimbal=-3.0)[1].obs, step_from(throttle=1.0, gimbal=-1.0)[1].obs
    )


# Batches of constants, and gradients.


def test_one_vmap_flies_rockets_of_their_own_mass_gravity_and_wind():
    rng, count = np.random.default_rng(0), 12
    own = {
        "dry_mass": rng.uniform(1200, 1800, count).astype(np.float32),
        "gravity": rng.uniform(3, 4.5, count).astype(np.float32),
        "wind": rng.uniform(-5, 5, count).astype(np.float32),
    }
    env, actions = RocketLanding(air_density=0.5, **own), held(0.1, 0.05, 30)
    key = jax.random.key(4)
    starts = jax.vmap(lambda one: one.start(env.draw_start(key))[0], in_axes=(in_axes(env),))(env)
    together = jax.vmap(states, in_axes=(in_axes(env), 0, None))(env, starts, actions)
    for i in range(count):
        alone = RocketLanding(air_density=0.5, **{name: float(value[i]) for name, value in own.items()})
        after = states(alone, alone.start(env.draw_start(key))[0], actions)
        np.testing.assert_allclose(
            alone.observe(after), alone.observe(jax.tree.map(lambda x, i=i: x[i], together)), 1e-5, 1e-6
        )


def in_axes(env):
    return jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, env)


HORIZON = 30


@jax.jit
def rollout_return(env, actions):
    """Undiscounted return of actions f32[HORIZON, 2] from a fixed start."""

    def advance(state, action):
        state, step = env.transition(state, action, ())
        return state, step.reward

    start = at(x=-20.0, height=90.0, velocity_x=3.0, velocity_y=-8.0, tilt=0.1, tilt_rate=-0.05, wind=2.0)
    return jax.lax.scan(advance, start, actions)[1].sum()


def oracle_return(actions, **constants):
    oracle = Oracle(**constants)
    oracle.reset_at([[-20.0, 90.0, 3.0, -8.0, 0.1, -0.05, 100.0]], [2.0])
    rewards = [oracle.step(action[None])[1][0] for action in actions]
    assert oracle.outcome[0] == FLYING
    return sum(rewards)


def smooth_actions():
    return np.random.default_rng(0).uniform([-0.3, -0.2], [0.3, 0.2], (HORIZON, 2))


def test_gradient_by_all_actions_is_that_of_central_differences():
    actions, h = smooth_actions(), 1e-5
    expected = np.zeros_like(actions)
    for index in np.ndindex(actions.shape):
        moved = np.zeros_like(actions)
        moved[index] = h
        expected[index] = (oracle_return(actions + moved) - oracle_return(actions - moved)) / (2 * h)
    gradient = jax.grad(rollout_return, argnums=1)(RocketLanding(), jnp.asarray(actions, jnp.float32))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


DIFFERENTIATED = (
    "gravity",
    "dry_mass",
    "exhaust_velocity",
    "thrust_high",
    "gimbal_limit",
    "engine_arm",
    "drag_area",
    "dt",
)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradient_by_a_constant_is_that_of_central_differences(name):
    actions, value = smooth_actions(), getattr(Oracle(), name)
    h = 1e-5 * value
    more, less = (oracle_return(actions, **{name: value + side * h}) for side in (1, -1))
    gradient = jax.grad(rollout_return)(RocketLanding(), jnp.asarray(actions, jnp.float32))
    assert float(getattr(gradient, name)) == pytest.approx((more - less) / (2 * h), rel=2e-3, abs=1e-5)


def test_gradients_exist_where_the_air_is_at_rest_and_the_rocket_upright():
    gradient = jax.grad(lambda action: step_of(action).reward)(jnp.zeros(2))
    assert np.all(np.isfinite(gradient))


def step_of(action):
    return RocketLanding().transition(MIDAIR, action, ())[1]
