"""HeartPole-v1 against its oracle over entire episodes, the distributions of its draws, and the homework's facts."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from reference.closeness import assert_close
from reference.heartpole import HeartPole as OracleV0
from reference.heartpole import sigmoid
from reference.heartpole_v1 import HeartPoleV1 as Oracle

from jaxenvs import HeartPole, HeartPoleV1
from jaxenvs.envs.heartpole_v1 import CANNABIS, COFFEE, EXERCISE, MEDITATION, NAP, NOTHING, SLEEP, WATER, Draws, State

STEPS = 672

# Each constant is changed in at least one set; `test_every_constant_is_changed_somewhere` holds us to it.
CONSTANTS = {
    "homework": {},
    "frail": {
        "heart_attack_proclivity": 0.9,
        "heart_attack_penalty": 37.0,
        "heart_attack_midpoint": 5.0,
        "heart_attack_fatality": 0.02,
        "coffee_alertness": 0.4,
        "coffee_hypertension": 0.55,
        "beer_hypertension": 0.7,
        "decay_rate": 0.94,
        "expected_penalty": False,
        "exercise_relief": 0.2,
        "meditation_relief": 0.6,
        "deadline": 500.0,
    },
    "sleepy": {
        "wake_alertness_low": 0.2,
        "wake_alertness_high": 2.1,
        "drowsiness_midpoint": 21.0,
        "drowsiness_scale": 4.0,
        "sleep_half_hours": 11,
        "rested_alertness": 1.3,
        "nap_recovery": 0.4,
        "nap_relief": 5.0,
        "exercise_alertness": 0.9,
        "water_recovery": 0.7,
        "meditation_alertness": 1.1,
    },
    "high": {
        "cannabis_alertness": 0.1,
        "cannabis_hypertension": 0.05,
        "cannabis_decay": 0.95,
        "cannabis_calm": 0.3,
        "cannabis_impairment": 0.2,
        "cannabis_danger": 2.2,
        "heart_attack_fatality": 0.5,
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

    #: bool, whether the oracle's episode still ran when the step began.
    running: Any
    obs: Any
    reward: Any
    attack: Any
    dead: Any
    terminated: Any
    oracle_obs: Any
    oracle_reward: Any
    oracle_attack: Any
    oracle_dead: Any
    oracle_terminated: Any
    #: f64, what the reward's rounding is relative to.
    reward_size: Any


def policies(rng):
    """i32[STEPS, 240]: people who do everything, most of them with some care for their sleep."""
    day = np.arange(STEPS) % 24
    routine = np.where(day == 23, SLEEP, np.where(day % 8 == 0, COFFEE, np.where(day % 8 == 5, EXERCISE, WATER)))
    careful = rng.integers(0, 9, (STEPS, 96))
    careful[day == 20] = SLEEP
    alike = [np.full((STEPS, 8), action) for action in range(9)]
    columns = [careful, rng.integers(0, 9, (STEPS, 48)), np.repeat(routine[:, None], 24, axis=1), *alike]
    return np.concatenate(columns, axis=1).astype(np.int32)


@jax.jit
def episodes(env, start_draws, draws, actions):
    """Free-running episodes from injected draws: (first obs, (Step, attack, dead) of every step)."""
    state, obs = jax.vmap(HeartPoleV1.start, (None, 0))(env, start_draws)

    def advance(state, step):
        state, after = jax.vmap(HeartPoleV1.transition, (None, 0, 0, 0))(env, state, *step)
        return state, (after, state.heart_attack, state.dead)

    return obs, jax.lax.scan(advance, state, (actions, draws))[1]


@functools.partial(jax.jit, static_argnames=("steps", "people"))
def many_draws(env, key, steps, people):
    start_key, key = jax.random.split(key)
    draws = jax.vmap(lambda step_key: env.draw(step_key, (people,)))(jax.random.split(key, steps))
    return env.draw_start(start_key, (people,)), draws


@functools.cache
def both(name):
    env, oracle = HeartPoleV1(**CONSTANTS[name]), Oracle(**CONSTANTS[name])
    actions = policies(np.random.default_rng(0))
    draws = many_draws(HeartPoleV1(), jax.random.key(sum(name.encode())), *actions.shape)
    first_obs, ours = jax.device_get(episodes(env, *draws, actions))
    start_draws, draws = jax.device_get(draws)
    np.testing.assert_allclose(first_obs, oracle.reset(start_draws), rtol=1e-6)
    theirs, sizes, alertness_size = [], [], 1.0
    for t in range(STEPS):
        alertness_size = np.maximum(alertness_size, np.abs(oracle.person["alertness"]))
        now = oracle.step(actions[t], jax.tree.map(lambda x, t=t: x[t], draws))
        theirs.append(now)
        sizes.append(reward_size(oracle, np.maximum(alertness_size, np.abs(oracle.person["alertness"])), now[1]))
    theirs = [np.stack(part) for part in zip(*theirs, strict=True)]
    ended = np.logical_or.accumulate(theirs[4])
    running = ~np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])
    step, attack, dead = ours
    return Run(running, step.obs, step.reward, attack, dead, step.terminated, *theirs, np.stack(sizes))


def reward_size(oracle, alertness, reward):
    """What the reward weighs: the penalty, and a productivity that moves with alertness and intoxication.

    Alertness is a sum through zero, and weighs its greatest size; the Ballmer peak multiplies the intoxication's.
    """
    person = oracle.person
    skill = oracle.ballmer(person["intoxication"] / oracle.decay_rate)
    steep = oracle.ballmer_height * person["intoxication"] / oracle.ballmer_width
    return np.abs(reward) * (1 + person["hypertension"]) + alertness * 2 * (skill + steep)


@pytest.fixture(params=CONSTANTS, scope="module")
def run(request):
    return both(request.param)


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(HeartPoleV1)}


def test_defaults_are_the_oracles():
    fields = dataclasses.fields(HeartPoleV1)
    assert {f.name: f.default for f in fields} == {f.name: getattr(Oracle(), f.name) for f in fields}


def test_v0s_constants_are_v0s_but_for_the_expected_penalty():
    changed = [f.name for f in dataclasses.fields(HeartPole) if getattr(HeartPoleV1(), f.name) != f.default]
    assert changed == ["expected_penalty"]


def test_attacks_strike_and_kill_at_the_oracles_steps(run):
    assert (run.oracle_attack & run.running).any(axis=0).sum() > 60
    np.testing.assert_array_equal(run.attack[run.running], run.oracle_attack[run.running])
    np.testing.assert_array_equal(run.dead[run.running], run.oracle_dead[run.running])


def test_episodes_terminate_at_the_oracles_steps(run):
    assert run.oracle_terminated.any(axis=0).all()
    np.testing.assert_array_equal(run.terminated[run.running], run.oracle_terminated[run.running])


def test_observation_follows_the_oracle(run):
    # Alertness is a sum through zero, and relative to its greatest size so far; all others weigh themselves.
    sizes = np.abs(run.oracle_obs)
    sizes[..., 0] = np.maximum.accumulate(np.maximum(sizes[..., 0], 0.5))
    assert_close(run.obs[run.running], run.oracle_obs[run.running], sizes[run.running])


def test_reward_follows_the_oracle(run):
    assert_close(run.reward[run.running], run.oracle_reward[run.running], run.reward_size[run.running])


# Distributions.

COUNT = 20_000
BUSY = State(
    alertness=jnp.float32(3.0),
    hypertension=jnp.float32(2.0),
    intoxication=jnp.float32(0.0),
    time_since_slept=jnp.float32(10.0),
    time_elapsed=jnp.float32(10.0),
    work_done=jnp.float32(3.0),
    high=jnp.float32(0.0),
    last_action=jnp.int32(NOTHING),
    heart_attack=jnp.bool_(False),
    dead=jnp.bool_(False),
)
TIRED = BUSY._replace(alertness=jnp.float32(0.0))


@jax.jit
def one_key_each(env, key, state, action):
    return jax.vmap(HeartPoleV1.step, (None, 0, None, None))(env, jax.random.split(key, COUNT), state, action)[0]


@jax.jit
def one_key_for_all(env, key, state, action):
    return jax.vmap(HeartPoleV1.transition, (None, None, None, 0))(env, state, action, env.draw(key, (COUNT,)))[0]


def drowsiness(*half_hours):
    return sum(sigmoid((t - 40) / 10) for t in half_hours)


@pytest.fixture(params=[one_key_each, one_key_for_all])
def effects(request):
    """(alertness, hypertension, high) after an action and its half-hours, `COUNT` times over, without attacks."""

    def of(action, state=BUSY):
        env = HeartPoleV1(heart_attack_proclivity=0.0)
        after = jax.device_get(request.param(env, jax.random.key(action), state, jnp.int32(action)))
        return after.alertness, after.hypertension, after.high

    return of


def assert_uniform(sample, low, high):
    assert scipy.stats.kstest(sample, "uniform", (low, high - low)).pvalue > 1e-3


def test_exercise_lifts_alertness_by_0_to_0_4(effects):
    assert_uniform(effects(EXERCISE)[0] - 3 + drowsiness(10, 11), 0.0, 0.4)


def test_exercise_takes_0_to_half_of_hypertension(effects):
    assert_uniform(1 - effects(EXERCISE)[1] / 0.97**2 / 2, 0.0, 0.5)


def test_a_nap_makes_up_for_0_4_to_0_8_of_the_missing_alertness(effects):
    missing = 1 + drowsiness(10)
    assert_uniform((effects(NAP, TIRED)[0] + drowsiness(9) + drowsiness(10)) / missing, 0.4, 0.8)


def test_water_makes_up_for_0_to_0_3_of_the_missing_alertness(effects):
    assert_uniform(effects(WATER, TIRED)[0] + drowsiness(10), 0.0, 0.3)


@pytest.mark.parametrize("action", [NAP, WATER])
def test_nothing_is_restored_to_whom_nothing_is_missing(effects, action):
    assert np.ptp(effects(action)[0]) == 0


def test_meditation_takes_0_to_0_3_of_the_excess_of_alertness_and_of_hypertension(effects):
    alertness, hypertension, _ = effects(MEDITATION)
    excess = 1 - drowsiness(10)
    assert_uniform((2 + excess - drowsiness(11) - alertness) / excess, 0.0, 0.3)
    assert_uniform(1 - hypertension / 0.97**2 / 2, 0.0, 0.3)


def test_cannabis_draws_its_three_effects(effects):
    alertness, hypertension, high = effects(CANNABIS)
    assert_uniform(3 - drowsiness(10) - alertness, 0.0, 0.4)
    assert_uniform(hypertension / 0.97 - 2, 0.0, 0.3)
    assert_uniform(high / 0.84, 0.5, 1.0)
    correlations = np.corrcoef([alertness, hypertension, high])[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(COUNT)


@pytest.mark.parametrize("step", [one_key_each, one_key_for_all])
@pytest.mark.parametrize(("hypertension", "high"), [(0.0, 0.0), (5.0, 0.0), (5.0, 0.5), (5.0, 3.0), (30.0, 1.0)])
def test_attacks_and_deaths_are_as_frequent_as_their_risks(step, hypertension, high):
    state = BUSY._replace(hypertension=jnp.float32(hypertension / 0.97), high=jnp.float32(high / 0.84))
    after = step(HeartPoleV1(), jax.random.key(7), state, jnp.int32(NOTHING))
    risk = min((1 + 3.8 * min(high, 1)) * OracleV0().heart_attack_risk(hypertension), 1)
    for struck, expected in ((after.heart_attack, risk), (after.dead, 0.14 * risk)):
        assert abs(np.mean(struck) - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / COUNT)


# Facts.


def transition(env, action, state=BUSY, **draws):
    middling = Draws(*(jnp.float32(draws.get(name, 0.5)) for name in Draws._fields))
    return env.transition(state, jnp.int32(action), middling)


@pytest.mark.parametrize(
    ("action", "half_hours"),
    [(NOTHING, 1), (WATER, 1), (CANNABIS, 1), (NAP, 2), (EXERCISE, 2), (MEDITATION, 2), (SLEEP, 17)],
)
def test_an_action_takes_its_time_and_work_half_an_hour(action, half_hours):
    assert transition(HeartPoleV1(), action)[0].time_elapsed - BUSY.time_elapsed == half_hours


@pytest.mark.parametrize("action", [NOTHING, COFFEE, 2, SLEEP])
def test_v0s_actions_do_to_the_body_what_they_do_in_v0(action):
    v0 = HeartPole().start(HeartPole().draw_start(jax.random.key(0)))[0]
    v1 = HeartPoleV1().start(HeartPole().draw_start(jax.random.key(0)))[0]
    draws = HeartPole().draw(jax.random.key(1))
    after_v0, _ = HeartPole().transition(v0, jnp.int32(action), draws)
    after_v1, _ = HeartPoleV1().transition(v1, jnp.int32(action), draws)
    np.testing.assert_array_equal(after_v0[:6], after_v1[:6])


def test_a_nap_takes_two_half_hours_off_the_time_awake():
    assert transition(HeartPoleV1(), NAP)[0].time_since_slept == 10 + 2 - 2


def test_the_risk_of_a_sleep_is_that_of_seventeen_half_hours():
    step = transition(HeartPoleV1(), SLEEP, TIRED._replace(hypertension=jnp.float32(0.0)))[1]
    each = 0.5 / (1 + np.exp(6.0))
    work = 1 / (1 + np.exp(-2.0)) / (1 + np.exp(-2.5)) + 2 * np.exp(-0.5 * 27**2)
    assert float(step.reward) == pytest.approx(work - 100 * (1 - (1 - each) ** 17), rel=1e-5)


@pytest.mark.parametrize(("elapsed", "over"), [(670.0, False), (671.0, True)])
def test_the_deadline_ends_the_episode(elapsed, over):
    assert (
        bool(transition(HeartPoleV1(), NOTHING, BUSY._replace(time_elapsed=jnp.float32(elapsed)))[1].terminated) == over
    )


def test_work_begun_at_the_deadline_does_not_count():
    late = BUSY._replace(time_elapsed=jnp.float32(671.0))
    assert transition(HeartPoleV1(), EXERCISE, late)[0].work_done == late.work_done
    assert transition(HeartPoleV1(), NOTHING, late)[0].work_done > late.work_done


def test_the_attacks_with_the_lowest_variates_kill():
    high = BUSY._replace(hypertension=jnp.float32(60.0))
    dead, survived, spared = (transition(HeartPoleV1(), NOTHING, high, heart_attack=u) for u in (0.06, 0.08, 0.51))
    assert bool(dead[0].dead) and bool(dead[0].heart_attack) and bool(dead[1].terminated)
    assert not survived[0].dead and bool(survived[0].heart_attack) and not survived[1].terminated
    assert survived[0].hypertension == 0 and not spared[0].heart_attack


def test_the_sampled_penalty_has_the_mean_of_the_expected_one():
    state = BUSY._replace(hypertension=jnp.float32(6.0))
    draws = HeartPoleV1().draw(jax.random.key(5), (COUNT,))
    sampled, expected = (
        np.asarray(jax.vmap(env.transition, (None, None, 0))(state, jnp.int32(NOTHING), draws)[1].reward)
        for env in (HeartPoleV1(expected_penalty=False), HeartPoleV1())
    )
    assert np.ptp(expected) == 0 and abs(sampled.mean() - expected[0]) < 4 * sampled.std() / np.sqrt(COUNT)


@pytest.mark.parametrize("action", [-1, 9, 100])
def test_inside_jit_an_unknown_action_acts_as_nothing(action):
    odd, idle = transition(HeartPoleV1(), action), transition(HeartPoleV1(), NOTHING)
    np.testing.assert_array_equal(odd[1].obs, idle[1].obs)
    assert odd[1].reward == idle[1].reward


def test_cannabis_calms_and_impairs():
    # Above the anxiety's midpoint it pays, at a good morning's alertness it does not.
    def work(alertness, high):
        state = BUSY._replace(alertness=jnp.float32(alertness), high=jnp.float32(high))
        return float(transition(HeartPoleV1(), NOTHING, state)[0].work_done)

    assert work(5.0, 0.8) > work(5.0, 0.0) and work(1.0, 0.8) < work(1.0, 0.0)


def test_describe_names_the_action_the_attack_and_the_death():
    high = BUSY._replace(hypertension=jnp.float32(60.0))
    text = HeartPoleV1().describe(transition(HeartPoleV1(), MEDITATION, high, heart_attack=0.0)[0])
    assert text.startswith("Chosen action: meditate\nHEART ATTACK\nDEATH\n{'alertness'") and "'high'" in text
