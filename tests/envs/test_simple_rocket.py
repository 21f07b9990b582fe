"""SimpleRocket against its oracle over entire episodes, the distribution of its starts, its facts and its gradients."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.closeness import assert_close
from reference.simple_rocket import SimpleRocket as Oracle

from jaxenvs import SimpleRocket
from jaxenvs.envs.simple_rocket import StartDraws

STEPS = 500

# Each constant is changed in at least one set; `test_every_constant_is_changed_somewhere` holds us to it.
CONSTANTS = {
    "tutorial": {},
    "coarse": {"dt": 0.05, "bound": 1.4, "failure_penalty": 321.0, "start_low": 0.1, "start_high": 1.2},
    "generous": {"goal_tolerance": 0.06, "goal_bonus": 77.0, "retreat_cost": 2.5, "start_low": 0.3, "dt": 0.02},
    "elsewhere": {
        "goal_position": 0.4,
        "goal_velocity": -0.2,
        "goal_tolerance": 0.03,
        "bound": 2.7,
        "retreat_cost": 4.0,
    },
}


class Run(NamedTuple):
    """The same episodes, ours and the oracle's; [STEPS, rockets, ...]."""

    #: bool, whether the oracle's episode still ran when the step began.
    running: Any
    obs: Any
    reward: Any
    terminated: Any
    oracle_obs: Any
    oracle_reward: Any
    oracle_terminated: Any


def pd_law(obs):
    """u = -4 x - 4 v: critically damped."""
    return -4.0 * obs[..., :1] - 4.0 * obs[..., 1:]


@functools.partial(jax.jit, static_argnames="follow")
def episodes(env, start_draws, thrusts, follow=0):
    """Free-running episodes: (first obs, Step of every step); the first `follow` rockets obey the PD law."""
    state, obs = jax.vmap(SimpleRocket.start, (None, 0))(env, start_draws)
    obeys = (jnp.arange(obs.shape[0]) < follow)[:, None]

    def advance(carry, thrust):
        state, obs = carry
        action = jnp.where(obeys, pd_law(obs), thrust)
        state, step = jax.vmap(SimpleRocket.transition, (None, 0, 0, None))(env, state, action, ())
        return (state, step.obs), step

    return obs, jax.lax.scan(advance, (state, obs), thrusts)[1]


PILOTS = {"PD law": 64, "random": 64, "full ahead": 24, "full astern": 24, "idle": 16, "beyond the limits": 24}


def thrusts(rng):
    """f32[STEPS, 216, 1], one kind of pilot beside the other; those of the PD law come as they fly."""
    shapes = {pilot: (STEPS, count, 1) for pilot, count in PILOTS.items()}
    return np.concatenate(
        [
            np.zeros(shapes["PD law"]),
            rng.uniform(-1, 1, shapes["random"]),
            np.ones(shapes["full ahead"]),
            -np.ones(shapes["full astern"]),
            np.zeros(shapes["idle"]),
            rng.uniform(-3, 3, shapes["beyond the limits"]),
        ],
        axis=1,
    ).astype(np.float32)


@functools.cache
def both(name):
    env, oracle = SimpleRocket(**CONSTANTS[name]), Oracle(**CONSTANTS[name])
    given = thrusts(np.random.default_rng(0))
    start_draws = env.draw_start(jax.random.key(1), (given.shape[1],))
    first_obs, step = jax.device_get(episodes(env, start_draws, given, follow=PILOTS["PD law"]))
    obs, theirs = oracle.reset(jax.device_get(start_draws)), []
    np.testing.assert_allclose(first_obs, obs, rtol=1e-6)
    # Each side's PD law looks at its own rocket: with the other's thrusts, nothing would damp a rounding error, and a
    # landing within 1e-8 would be left to chance.
    for action in given:
        action[: PILOTS["PD law"]] = pd_law(obs[: PILOTS["PD law"]])
        theirs.append(oracle.step(action))
        obs = theirs[-1][0]
    theirs = [np.stack(part) for part in zip(*theirs, strict=True)]
    ended = np.logical_or.accumulate(theirs[2])
    running = ~np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])
    return Run(running, step.obs, step.reward, step.terminated, *theirs)


@pytest.fixture(params=CONSTANTS, scope="module")
def run(request):
    return both(request.param)


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(SimpleRocket)}


def test_defaults_are_the_tutorials():
    fields = dataclasses.fields(SimpleRocket)
    assert {f.name: f.default for f in fields} == {f.name: getattr(Oracle(), f.name) for f in fields}


def test_episodes_terminate_at_the_oracles_steps(run):
    assert run.oracle_terminated.any(axis=0).sum() > 100
    np.testing.assert_array_equal(run.terminated[run.running], run.oracle_terminated[run.running])


def test_generous_rockets_land():
    assert (both("generous").oracle_reward > 70).any(axis=0).sum() >= PILOTS["PD law"]


def test_observation_follows_the_oracle(run):
    # Position and velocity are sums through zero: relative to the largest met so far, and at least to the start's 1.
    sizes = np.maximum.accumulate(np.maximum(np.abs(run.oracle_obs), 1.0))
    assert_close(run.obs[run.running], run.oracle_obs[run.running], sizes[run.running])


@pytest.mark.parametrize("name", CONSTANTS)
def test_reward_follows_the_oracle(name):
    # Relative to the terms: the nearness and slowness are at most 1, the haste is that of the speed met so far.
    run, oracle = both(name), Oracle(**CONSTANTS[name])
    speed = np.maximum.accumulate(np.abs(run.oracle_obs[..., 1]))
    sizes = np.maximum(1 + oracle.retreat_cost * speed, np.abs(run.oracle_reward))
    assert_close(run.reward[run.running], run.oracle_reward[run.running], sizes[run.running])


# Starts.

COUNT = 20_000


@pytest.fixture(params=["one key each", "one key for all"])
def starts(request):
    """f32[COUNT, 2], first observations."""
    env, key = SimpleRocket(), jax.random.key(3)
    if request.param == "one key each":
        return np.asarray(jax.jit(jax.vmap(env.reset))(jax.random.split(key, COUNT))[1])
    return np.asarray(env.start(env.draw_start(key, (COUNT,)))[1])


@pytest.mark.parametrize("axis", [0, 1])
def test_start_magnitudes_are_uniform_in_0_5_to_1(starts, axis):
    assert scipy.stats.kstest(np.abs(starts[:, axis]), "uniform", (0.5, 0.5)).pvalue > 1e-3


def test_start_signs_combine_evenly(starts):
    counts = np.bincount((starts > 0) @ np.array([1, 2]), minlength=4)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_start_position_and_velocity_are_independent(starts):
    magnitudes = np.abs(starts).T
    assert abs(np.corrcoef(magnitudes)[0, 1]) < 4.5 / np.sqrt(COUNT)


@pytest.mark.parametrize("axis", [0, 1])
def test_start_magnitudes_are_alike_on_both_sides(starts, axis):
    side = starts[:, axis] > 0
    assert scipy.stats.kstest(starts[side, axis], -starts[~side, axis]).pvalue > 1e-3


def test_start_at_takes_the_callers_place():
    state, obs = SimpleRocket().start_at(1, 0)
    assert obs.dtype == jnp.float32 and obs.tolist() == [1.0, 0.0]
    assert (state.position, state.velocity, state.thrust) == (1.0, 0.0, 0.0)


def test_start_at_takes_arrays():
    places = jnp.linspace(-1.0, 1.0, 5)
    assert SimpleRocket().start_at(places, -places)[1].shape == (5, 2)


def test_start_at_gives_the_state_that_start_gives():
    env = SimpleRocket()
    drawn, given = env.start(env.draw_start(jax.random.key(0))), env.start_at(1, 0)
    assert jax.tree.map(jax.typeof, drawn) == jax.tree.map(jax.typeof, given)


# Facts.


def step_from(position, velocity, thrust, **constants):
    env = SimpleRocket(**constants)
    return env.transition(env.start_at(position, velocity)[0], jnp.array([thrust], jnp.float32), ())[1]


def test_at_rest_at_the_goal_an_episode_ends_with_500():
    step = step_from(0, 0, 0)
    assert bool(step.terminated) and step.reward == 502.0


@pytest.mark.parametrize(("position", "landed"), [(0.9e-8, True), (-0.9e-8, True), (1.1e-8, False)])
def test_the_goal_is_1e_8_wide(position, landed):
    assert bool(step_from(position, 0, 0).terminated) == landed


@pytest.mark.parametrize(("position", "landed"), [(0.5 + 4e-6, True), (0.5 - 4e-6, True), (0.5 + 6e-6, False)])
def test_a_goal_elsewhere_is_also_a_hundred_thousandth_of_itself_wide(position, landed):
    assert np.allclose([position, 0.0], [0.5, 0.0]) == landed
    assert bool(step_from(position, 0, 0, goal_position=0.5).terminated) == landed


@pytest.mark.parametrize("velocity", [1.1e-8, -1.1e-8])
def test_passing_the_goal_is_not_landing(velocity):
    assert not step_from(0, velocity, 0).terminated


@pytest.mark.parametrize("position", [2.0, -2.0])
def test_too_far_costs_500_and_ends_the_episode(position):
    step = step_from(position, np.sign(position) * 0.5, 0)
    assert bool(step.terminated) and float(step.reward) == pytest.approx(1 / (2.005**2 + 1) - 5 - 500, rel=1e-6)


@pytest.mark.parametrize("side", [1, -1])
def test_too_fast_costs_500_and_ends_the_episode(side):
    step = step_from(-side, side * 1.995, side)
    position, velocity = 1 - 0.01 * 1.995 - 0.5e-4, 2.005
    assert bool(step.terminated)
    assert float(step.reward) == pytest.approx(1 / (position**2 + 1) + 1 / (velocity**2 + 1) - 500, rel=1e-6)


@pytest.mark.parametrize(("position", "velocity"), [(2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0)])
def test_the_bound_itself_is_inside(position, velocity):
    assert not step_from(position, velocity, 0).terminated


def test_retreating_costs_ten_times_the_speed():
    assert float(step_from(0.5, 0.6, 0).reward) == pytest.approx(1 / (0.506**2 + 1) - 6, rel=1e-6)


def test_approaching_pays_for_slowness():
    assert float(step_from(0.5, -0.6, 0).reward) == pytest.approx(1 / (0.494**2 + 1) + 1 / 1.36, rel=1e-6)


@pytest.mark.parametrize("thrust", [1.5, 40.0, -1.01, np.inf, -np.inf])
def test_thrust_beyond_the_limits_is_clipped(thrust):
    clipped = step_from(0.5, 0.5, np.clip(thrust, -1, 1))
    np.testing.assert_array_equal(step_from(0.5, 0.5, thrust).obs, clipped.obs)


@pytest.mark.parametrize("dt", [1.001, 2, np.inf])
def test_dt_above_1_is_refused(dt):
    with pytest.raises(ValueError, match=r"dt must be .*at most 1\.0, got"):
        SimpleRocket(dt=dt)


def test_dt_of_1_is_taken():
    assert step_from(0.0, 0.0, 1.0, dt=1).obs.tolist() == [0.5, 1.0]


def pd_returns(start_draws):
    step = episodes(SimpleRocket(), start_draws, np.zeros((STEPS, 4096, 1), np.float32), follow=4096)
    assert not step[1].terminated.any()
    return np.asarray(step[1].reward, np.float64).sum(axis=0)


def test_the_pd_law_returns_about_730_over_random_starts():
    # The standard deviation over starts is 246, so that the mean of 4096 has a standard error of 3.9.
    returns = pd_returns(SimpleRocket().draw_start(jax.random.key(0), (4096,)))
    assert abs(returns.mean() - 730.7) < 3 * 3.9


def test_the_pd_law_returns_732_75_over_the_quantiles_of_starts():
    # The midpoints of 64 x 64 equal cells; the oracle in float64 gives 732.748 there, and 732.741 on 256 x 256.
    quantiles = (jnp.arange(64, dtype=jnp.float32) + 0.5) / 64
    returns = pd_returns(StartDraws(*(axis.ravel() for axis in jnp.meshgrid(quantiles, quantiles))))
    assert abs(returns.mean() - 732.748) < 0.01


# Gradients.

HORIZON = 50


@jax.jit
def rollout_return(env, start, thrusts):
    """Undiscounted return of thrusts f32[HORIZON] from (position, velocity)."""

    def advance(state, thrust):
        state, step = env.transition(state, thrust[None], ())
        return state, step.reward

    return jax.lax.scan(advance, env.start_at(*start)[0], thrusts)[1].sum()


def central_differences(start, thrusts, h=1e-5):
    """The gradient of the oracle's return in float64, and whether it flew clear of every switching surface."""
    oracle = Oracle(precision=np.float64)
    moved = np.concatenate([thrusts + h * np.eye(HORIZON), thrusts - h * np.eye(HORIZON)])
    oracle.reset_at(np.tile(start, (2 * HORIZON, 1)))
    steps = [oracle.step(moved[:, t : t + 1]) for t in range(HORIZON)]
    obs, returns = np.stack([step[0] for step in steps]), np.sum([step[1] for step in steps], axis=0)
    sides = np.sign(obs[..., 0] * obs[..., 1])
    clear = np.all(sides == sides[0, 0]) and not any(step[2].any() for step in steps)
    return (returns[:HORIZON] - returns[HORIZON:]) / (2 * h), clear


@pytest.mark.parametrize("start", [(1.0, -0.7), (-0.9, 0.5), (0.6, 0.6), (-0.5, -0.8)])
def test_gradient_by_all_thrusts_is_that_of_central_differences(start):
    thrusts = np.random.default_rng(0).uniform(-0.5, 0.5, HORIZON)
    expected, clear = central_differences(start, thrusts)
    assert clear
    gradient = jax.grad(rollout_return, argnums=2)(SimpleRocket(), start, jnp.asarray(thrusts, jnp.float32))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_gradient_by_a_constant_is_that_of_central_differences():
    thrusts = np.random.default_rng(0).uniform(-0.5, 0.5, HORIZON)

    def oracle_return(dt):
        oracle = Oracle(precision=np.float64, dt=dt)
        oracle.reset_at([[1.0, -0.7]])
        return sum(oracle.step(thrust[None, None])[1][0] for thrust in thrusts)

    expected = (oracle_return(0.01 + 1e-6) - oracle_return(0.01 - 1e-6)) / 2e-6
    gradient = jax.grad(rollout_return)(SimpleRocket(), (1.0, -0.7), jnp.asarray(thrusts, jnp.float32))
    assert float(gradient.dt) == pytest.approx(expected, rel=1e-4)
