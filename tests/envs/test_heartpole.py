"""HeartPole against its oracle over entire episodes, the distributions of its draws, and the tutorial's facts."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.closeness import assert_close
from reference.heartpole import OBSERVED, sigmoid
from reference.heartpole import HeartPole as Oracle

from jaxenvs import HeartPole
from jaxenvs.envs.heartpole import BEER, COFFEE, NOTHING, SLEEP, Draws, StartDraws, State

STEPS = 1000

# Each constant is changed in at least one set; `test_every_constant_is_changed_somewhere` holds us to it.
CONSTANTS = {
    "tutorial": {},
    "frail": {
        "heart_attack_proclivity": 0.9,
        "heart_attack_penalty": 37.0,
        "heart_attack_midpoint": 3.5,
        "coffee_alertness": 0.4,
        "coffee_hypertension": 0.55,
        "beer_hypertension": 0.7,
        "decay_rate": 0.94,
    },
    "sleepy": {
        "wake_alertness_low": 0.2,
        "wake_alertness_high": 2.1,
        "drowsiness_midpoint": 21.0,
        "drowsiness_scale": 4.0,
        "sleep_half_hours": 11,
        "heart_attack_midpoint": 4.0,
        "expected_penalty": True,
    },
    "drunk": {
        "beer_alertness": 0.1,
        "beer_intoxication_low": 0.002,
        "beer_intoxication_high": 0.05,
        "anxiety_midpoint": 1.4,
        "ballmer_midpoint": 0.11,
        "ballmer_steepness": 21.0,
        "ballmer_peak": 0.2,
        "ballmer_width": 0.03,
        "ballmer_height": 5.0,
    },
}


class Run(NamedTuple):
    """The same episodes, ours and the oracle's; [STEPS, people, ...]."""

    action: Any
    obs: Any
    reward: Any
    attack: Any
    terminated: Any
    oracle_obs: Any
    oracle_reward: Any
    oracle_attack: Any


def policies(rng):
    """i32[STEPS, 216]: people of seven kinds, side by side."""
    workday = np.arange(STEPS) % 32
    routine = np.where(workday == 31, SLEEP, np.where(workday % 8 == 0, COFFEE, NOTHING))
    alike = [(COFFEE, 32), (BEER, 32), (SLEEP, 32), (NOTHING, 8)]
    columns = [
        rng.integers(0, 4, (STEPS, 64)),
        rng.integers(0, 3, (STEPS, 32)),
        np.repeat(routine[:, None], 16, axis=1),
    ]
    return np.concatenate([*columns, *(np.full((STEPS, count), action) for action, count in alike)], axis=1).astype(
        np.int32
    )


@jax.jit
def episodes(env, start_draws, draws, actions):
    """Free-running episodes from injected draws: (first obs, Step and attack of every step)."""
    state, obs = jax.vmap(HeartPole.start, (None, 0))(env, start_draws)

    def advance(state, step):
        state, after = jax.vmap(HeartPole.transition, (None, 0, 0, 0))(env, state, *step)
        return state, (after, state.heart_attack)

    return obs, jax.lax.scan(advance, state, (actions, draws))[1]


@functools.partial(jax.jit, static_argnames=("steps", "people"))
def many_draws(env, key, steps, people):
    start_key, key = jax.random.split(key)
    draws = jax.vmap(lambda step_key: env.draw(step_key, (people,)))(jax.random.split(key, steps))
    return env.draw_start(start_key, (people,)), draws


@functools.cache
def both(name):
    env, oracle = HeartPole(**CONSTANTS[name]), Oracle(**CONSTANTS[name])
    actions = policies(np.random.default_rng(0))
    draws = many_draws(HeartPole(), jax.random.key(sum(name.encode())), *actions.shape)
    first_obs, (step, attack) = jax.device_get(episodes(env, *draws, actions))
    start_draws, draws = jax.device_get(draws)
    np.testing.assert_allclose(first_obs, oracle.reset(start_draws), rtol=1e-6)
    theirs = [oracle.step(actions[t], jax.tree.map(lambda x, t=t: x[t], draws)) for t in range(STEPS)]
    return Run(
        actions, step.obs, step.reward, attack, step.terminated, *(np.stack(part) for part in zip(*theirs, strict=True))
    )


@pytest.fixture(params=CONSTANTS, scope="module")
def run(request):
    return both(request.param)


@functools.cache
def sizes(name):
    """What a difference of 1e-5 is relative to: (of each observed quantity [STEPS, people, 6], of each reward).

    Where a quantity is a sum of terms of either sign, its rounding errors are relative to the sizes of the terms and
    not to the sum, which passes through zero: alertness (to the largest met so far), work done (to the sum of what
    each half-hour's productivity weighs) and the reward (productivity, old score and penalty). And a term weighs as
    much as it moves when what it is computed from moves by as much as that weighs: the Ballmer peak makes sixteen times
    as much of an error in the intoxication. Hypertension and intoxication have no cancellation and weigh themselves.
    """
    oracle, run = Oracle(**CONSTANTS[name]), both(name)
    alertness, hypertension, intoxication, awake, elapsed, work = np.moveaxis(run.oracle_obs, -1, 0)
    alertness_size = np.maximum.accumulate(np.maximum(np.abs(alertness), 1.0))
    drowsiness = sigmoid((awake - 1 - oracle.drowsiness_midpoint) / oracle.drowsiness_scale)
    worker = {"alertness": alertness + drowsiness, "intoxication": intoxication / oracle.decay_rate}
    productivity = oracle.productivity(worker)
    by_alertness = weight(lambda x: oracle.productivity(worker | {"alertness": x}), worker["alertness"], alertness_size)
    by_intoxication = weight(lambda x: oracle.productivity(worker | {"intoxication": x}), *[worker["intoxication"]] * 2)
    productivity_size = np.abs(productivity) + by_alertness + by_intoxication
    work_size = np.cumsum(productivity_size, axis=0)
    half_hours = np.diff(elapsed, axis=0, prepend=0.0)
    old_score_size = np.divide(before(work_size), before(elapsed), out=np.zeros_like(work), where=before(elapsed) > 0)
    penalty = work / elapsed - before(work) / np.maximum(before(elapsed), 1) - run.oracle_reward
    # The derivative of the risk by hypertension is at most the risk; an attack has hidden the hypertension behind it.
    highest = np.maximum.accumulate(hypertension, axis=0) if oracle.expected_penalty else 0.0
    reward_size = (productivity_size + old_score_size * half_hours) / elapsed + penalty * (1 + highest)
    observed = (alertness_size, hypertension, intoxication, awake, elapsed, work_size)
    return np.stack(observed, axis=-1), reward_size


def weight(function, x, size):
    """How far function(x) moves when x moves by its size, to first order."""
    return np.abs(function(x + 1e-6 * size) - function(x - 1e-6 * size)) / 2e-6


def before(x):
    """The same quantity one step earlier, 0 at first."""
    return np.concatenate([np.zeros_like(x[:1]), x[:-1]])


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(HeartPole)}


def test_defaults_are_the_tutorials():
    assert {f.name: f.default for f in dataclasses.fields(HeartPole)} == {
        f.name: getattr(Oracle(), f.name) for f in dataclasses.fields(HeartPole)
    }


def test_heart_attacks_strike_at_the_oracles_steps(run):
    assert run.oracle_attack.any(axis=0).sum() > 100
    np.testing.assert_array_equal(run.attack, run.oracle_attack)


def test_no_episode_terminates(run):
    assert not run.terminated.any()


@pytest.mark.parametrize("name", OBSERVED)
@pytest.mark.parametrize("constants", CONSTANTS)
def test_observation_follows_the_oracle(constants, name):
    run, index = both(constants), OBSERVED.index(name)
    assert_close(run.obs[..., index], run.oracle_obs[..., index], sizes(constants)[0][..., index])


def test_half_hours_are_counted_exactly(run):
    np.testing.assert_array_equal(run.obs[..., 3:5], run.oracle_obs[..., 3:5])


@pytest.mark.parametrize("constants", CONSTANTS)
def test_reward_follows_the_oracle(constants):
    run = both(constants)
    assert_close(run.reward, run.oracle_reward, sizes(constants)[1])


def test_rewards_telescope_to_the_score_less_the_attacks():
    run = both("tutorial")
    returns = run.reward.astype(np.float64).sum(axis=0) + 100.0 * run.attack.sum(axis=0)
    scores = run.obs[-1, :, 5] / run.obs[-1, :, 4]
    np.testing.assert_allclose(returns, scores, rtol=1e-5, atol=2e-4)


# Distributions.

COUNT = 20_000
RESTED = State(
    alertness=jnp.float32(1.0),
    hypertension=jnp.float32(2.0),
    intoxication=jnp.float32(0.05),
    time_since_slept=jnp.float32(0.0),
    time_elapsed=jnp.float32(10.0),
    work_done=jnp.float32(3.0),
    last_action=jnp.int32(NOTHING),
    heart_attack=jnp.bool_(False),
)
# What an alertness loses in the half-hour of work after waking, whatever else happened.
DROWSINESS = 1 / (1 + np.exp(4.0))


@jax.jit
def one_key_each(env, key, state, action):
    return jax.vmap(HeartPole.step, (None, 0, None, None))(env, jax.random.split(key, COUNT), state, action)[0]


@jax.jit
def one_key_for_all(env, key, state, action):
    return jax.vmap(HeartPole.transition, (None, None, None, 0))(env, state, action, env.draw(key, (COUNT,)))[0]


@pytest.fixture(params=[one_key_each, one_key_for_all])
def effects(request):
    """What an action does to `RESTED`, `COUNT` times over, before the half-hour of work."""

    def of(action):
        after = jax.device_get(
            request.param(HeartPole(heart_attack_proclivity=0.0), jax.random.key(action), RESTED, jnp.int32(action))
        )
        return (
            after.alertness + DROWSINESS - (0 if action == SLEEP else 1),
            after.hypertension / 0.97 - 2.0,
            after.intoxication / 0.97 - 0.05,
        )

    return of


def assert_uniform(sample, low, high):
    assert scipy.stats.kstest(sample, "uniform", (low, high - low)).pvalue > 1e-3


def assert_uncorrelated(*samples):
    correlations = np.corrcoef(samples)[np.triu_indices(len(samples), 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(COUNT)


def test_coffee_lifts_alertness_by_0_to_1(effects):
    assert_uniform(effects(COFFEE)[0], 0.0, 1.0)


def test_coffee_adds_0_to_0_3_hypertension(effects):
    assert_uniform(effects(COFFEE)[1], 0.0, 0.3)


def test_coffee_does_not_intoxicate(effects):
    assert np.abs(effects(COFFEE)[2]).max() < 1e-6


def test_coffee_draws_its_two_effects_independently(effects):
    assert_uncorrelated(*effects(COFFEE)[:2])


def test_beer_takes_0_to_0_5_alertness(effects):
    assert_uniform(-effects(BEER)[0], 0.0, 0.5)


def test_beer_adds_0_to_0_3_hypertension(effects):
    assert_uniform(effects(BEER)[1], 0.0, 0.3)


def test_beer_adds_0_01_to_0_03_intoxication(effects):
    assert_uniform(effects(BEER)[2], 0.01, 0.03)


def test_beer_draws_its_three_effects_independently(effects):
    assert_uncorrelated(*effects(BEER))


def test_sleep_wakes_at_0_7_to_1_3(effects):
    assert_uniform(effects(SLEEP)[0], 0.7, 1.3)


def test_doing_nothing_has_no_effect(effects):
    assert np.abs(np.stack(effects(NOTHING))).max() < 1e-6


@pytest.mark.parametrize("start", ["one key each", "one key for all"])
def test_days_start_at_0_7_to_1_3(start):
    env, key = HeartPole(), jax.random.key(5)
    if start == "one key each":
        state = jax.jit(jax.vmap(env.reset))(jax.random.split(key, COUNT))[0]
    else:
        state = jax.vmap(env.start)(env.draw_start(key, (COUNT,)))[0]
    assert_uniform(np.asarray(state.alertness), 0.7, 1.3)
    assert not np.stack(state[1:6]).any()


@pytest.mark.parametrize("step", [one_key_each, one_key_for_all])
@pytest.mark.parametrize("hypertension", [0.0, 2.0, 5.0, 6.0, 9.0, 30.0])
def test_heart_attacks_are_as_frequent_as_the_risk(step, hypertension):
    state = RESTED._replace(hypertension=jnp.float32(hypertension / 0.97))
    frequency = np.mean(step(HeartPole(), jax.random.key(7), state, jnp.int32(NOTHING)).heart_attack)
    risk = 0.5 / (1 + np.exp(6.0 - hypertension))
    assert abs(frequency - risk) < 4.5 * np.sqrt(risk * (1 - risk) / COUNT)


def test_attacks_are_independent_of_what_the_coffee_did():
    # At the midpoint of the risk; the few hundredths that coffee adds to it there are far below the bound.
    state = RESTED._replace(hypertension=jnp.float32(6.0))
    env = HeartPole(coffee_hypertension=0.001)
    after = jax.device_get(one_key_for_all(env, jax.random.key(8), state, jnp.int32(COFFEE)))
    assert_uncorrelated(after.alertness, after.heart_attack)
    struck = jax.device_get(one_key_for_all(env, jax.random.key(8), state, jnp.int32(BEER)))
    assert_uncorrelated(struck.intoxication, struck.heart_attack)


# The tutorial's facts.


def coffees_to_the_first_attack():
    """Two i[COUNT] samples, ours and the oracle's, each on its own random numbers."""
    cups, rng = 300, np.random.default_rng(1)
    draws = many_draws(HeartPole(), jax.random.key(28), cups, COUNT)
    ours = episodes(HeartPole(), *draws, np.full((cups, COUNT), COFFEE, np.int32))[1][1]
    oracle = Oracle()
    oracle.reset(StartDraws(jnp.asarray(rng.random(COUNT), jnp.float32)))
    theirs = np.stack([oracle.step(np.full(COUNT, COFFEE), Draws(*rng.random((4, COUNT))))[2] for _ in range(cups)])
    assert np.all(np.any(ours, axis=0) & np.any(theirs, axis=0))
    return np.argmax(ours, axis=0) + 1, np.argmax(theirs, axis=0) + 1


def test_the_first_attack_comes_after_as_many_coffees_as_in_the_tutorial():
    ours, theirs = coffees_to_the_first_attack()
    assert abs(ours.mean() - theirs.mean()) < 4 * np.sqrt((ours.var() + theirs.var()) / COUNT)
    assert scipy.stats.kstest(ours, theirs).pvalue > 1e-3
    assert np.quantile(ours, 0.1) < 28 < np.quantile(ours, 0.9)


def returns_of(env, action, people):
    draws = many_draws(env, jax.random.key(3), STEPS, people)
    actions = np.full((STEPS, people), action, np.int32)
    return np.asarray(episodes(env, *draws, actions)[1][0].reward, np.float64).sum(axis=0)


def test_sleeping_at_every_step_returns_minus_123_58():
    # The penalty is certain, 100 * 1000 * sigmoid(-6) / 2 = 123.631; waking at 0.7 to 1.3 earns 0.047.
    assert abs(returns_of(HeartPole(expected_penalty=True), SLEEP, 216).mean() + 123.58) < 0.005


def test_expected_penalty_has_the_mean_of_the_sampled_one():
    env = HeartPole()
    actions = np.random.default_rng(2).integers(0, 4, (STEPS, 216)).astype(np.int32)
    draws = many_draws(env, jax.random.key(4), STEPS, 216)
    sampled, expected = (
        np.asarray(episodes(e, *draws, actions)[1][0].reward).sum(axis=0)
        for e in (env, env.replace(expected_penalty=True))
    )
    noise = sampled - expected
    assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(noise.size)
    assert noise.std() > 50


def transition(env, action, state=RESTED, **draws):
    middling = Draws(*(jnp.float32(draws.get(name, 0.5)) for name in Draws._fields))
    return env.transition(state, jnp.int32(action), middling)


def test_an_attack_resets_hypertension():
    state, step = transition(HeartPole(), NOTHING, RESTED._replace(hypertension=jnp.float32(40.0)), heart_attack=0.49)
    assert bool(state.heart_attack) and state.hypertension == 0 and step.obs[1] == 0


def test_an_attack_costs_100():
    high = RESTED._replace(hypertension=jnp.float32(40.0))
    struck, spared = (transition(HeartPole(), NOTHING, high, heart_attack=u)[1].reward for u in (0.49, 0.51))
    assert float(spared - struck) == pytest.approx(100.0, rel=1e-6)


def test_the_decayed_hypertension_decides_the_attack():
    risk_before, risk_after = (Oracle().heart_attack_risk(h) for h in (6.0, 6.0 * 0.97))
    between = (risk_before + risk_after) / 2
    assert not transition(HeartPole(), NOTHING, RESTED._replace(hypertension=jnp.float32(6.0)), heart_attack=between)[
        0
    ].heart_attack


def test_work_is_done_with_the_alertness_before_the_half_hour_passes():
    # Long awake, so that the half-hour takes a full unit of alertness.
    tired = RESTED._replace(time_since_slept=jnp.float32(300.0), intoxication=jnp.float32(0.0))
    done = transition(HeartPole(), NOTHING, tired)[0].work_done - tired.work_done
    assert float(done) == pytest.approx(Oracle().productivity({"alertness": 1.0, "intoxication": 0.0}), rel=1e-5)


def test_expected_penalty_pays_the_risk_whether_or_not_an_attack_strikes():
    env, high = HeartPole(expected_penalty=True), RESTED._replace(hypertension=jnp.float32(6.0))
    (struck, struck_step), (spared, spared_step) = (transition(env, NOTHING, high, heart_attack=u) for u in (0.1, 0.9))
    assert bool(struck.heart_attack) and not bool(spared.heart_attack)
    assert struck_step.reward == spared_step.reward


def test_the_score_is_0_at_time_0():
    state, _ = HeartPole().start(StartDraws(jnp.float32(0.5)))
    state, step = transition(HeartPole(), NOTHING, state, heart_attack=1.0)
    assert float(step.reward) == pytest.approx(float(state.work_done), rel=1e-6)


def test_sleep_takes_sixteen_half_hours_and_work_one_more():
    assert transition(HeartPole(), SLEEP)[0].time_elapsed - RESTED.time_elapsed == 17


@pytest.mark.parametrize("action", [-1, 4, 100])
def test_inside_jit_an_unknown_action_acts_as_nothing(action):
    odd, idle = transition(HeartPole(), action), transition(HeartPole(), NOTHING)
    np.testing.assert_array_equal(odd[1].obs, idle[1].obs)
    assert odd[1].reward == idle[1].reward
