"""HeartPole-v1: HeartPole's homework. More to do than coffee, beer and sleep, a deadline, and attacks that may kill."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Step
from jaxenvs.envs import heartpole
from jaxenvs.envs.heartpole import ACTION_NAMES, BEER, COFFEE, NOTHING, SLEEP, Draws, HeartPole

NAP, EXERCISE, WATER, MEDITATION, CANNABIS = range(4, 9)
ALL_ACTION_NAMES = (*ACTION_NAMES, "nap", "exercise", "drink_water", "meditate", "use_cannabis")


class State(NamedTuple):
    """A person's body and working life, after a step."""

    #: f32[], unbounded; 1 is a good morning, below 0 work does harm, above 3 anxiety sets in.
    alertness: jax.Array
    #: f32[], >= 0, blood pressure above normal; at 6 the risk is half of its maximum.
    hypertension: jax.Array
    #: f32[], >= 0, blood alcohol, per cent.
    intoxication: jax.Array
    #: f32[], >= 0, half-hours awake; a nap takes some off.
    time_since_slept: jax.Array
    #: f32[], half-hours since the start.
    time_elapsed: jax.Array
    #: f32[], sum of productivity over the half-hours worked before the deadline.
    work_done: jax.Array
    #: f32[], >= 0, how much cannabis acts; 1 is a full dose just taken.
    high: jax.Array
    #: i32[], the action that led here, -1 at the start; for the picture, no later step reads it.
    last_action: jax.Array
    #: bool[], whether a heart attack struck in the step that led here; for the picture, no later step reads it.
    heart_attack: jax.Array
    #: bool[], whether it killed.
    dead: jax.Array


class HeartPoleV1(HeartPole):
    """Work in steps of half an hour until the deadline, and choose actions that keep body and mind fit.

    Source: the facts of HeartPole-v0 (V. Liventsev, "Tutorial: writing a custom OpenAI Gym environment"), which do not
    change, and its homework: new actions that modify health and productivity. The papers cited at the constants state
    that an effect exists and its direction; we chose the size of the effects.

    | observation f32[6] | | range |
    |---|---|---|
    | 0 | alertness / 2 | (-inf, inf) |
    | 1 | hypertension / 6 | [0, inf) |
    | 2 | intoxication / 0.1 | [0, inf) |
    | 3 | time since slept / 48 half-hours | [0, inf) |
    | 4 | high | [0, inf) |
    | 5 | time elapsed / deadline | [0, inf) |

    | action i32[] | | half-hours before work |
    |---|---|---|
    | 0, 1, 2, 3 | nothing, coffee, beer, sleep: as in v0 | 0, 0, 0, 16 |
    | 4 | nap: makes up for lost alertness and for a part of the time awake | 1 |
    | 5 | exercise: more alertness, less hypertension | 1 |
    | 6 | water: makes up for a little lost alertness | 0 |
    | 7 | meditation: less hypertension, less excess of alertness | 1 |
    | 8 | cannabis: less alertness and skill, less anxiety, more hypertension, a more dangerous heart | 0 |

    Reward: the work done, which is the productivity of the half-hour of work if it begins before the deadline, minus
    100 times the probability of a heart attack during the step. With `expected_penalty=False`, minus 100 for an attack
    instead. Attacks happen in both cases.

    End: terminated when an attack kills (about one in seven), and at the deadline, after 672 half-hours; truncated
    after 672 steps by the time limit. A heart attack that does not kill resets hypertension to 0.

    In each half-hour of the step, the probability of an attack is computed as in v0, with the hypertension after it.
    Cannabis multiplies it by up to 4.8.

    | the best known simple policies | mean return |
    |---|---|
    | sleep after 12 hours awake | 84.0 +- 0.2 |
    | coffee below alertness 1.5, sleep after 16 hours | 359.9 +- 0.7 |
    | coffee below alertness 2, sleep after 18 hours | 388.0 +- 0.9 |
    | the same, and exercise above hypertension 0.8 | 421.5 +- 0.8 |
    | coffee below 2.2 for 16 hours, exercise above hypertension 0.75, sleep below alertness 0.6 | 437.2 +- 0.8 |

    These are means and standard errors over 16384 episodes; `python -m benchmarks.heartpole_policies` measures them,
    and others.

    Inside `jit`, an action outside 0..8 acts as 0, nothing.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.make("HeartPole-v1")
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, 5)
    >>> float(state.time_elapsed), step.obs.shape
    (2.0, (6,))
    """

    max_episode_steps = 672
    keys_to_action = {  # noqa: RUF012
        "n": NOTHING,
        "c": COFFEE,
        "b": BEER,
        "s": SLEEP,
        "z": NAP,
        "e": EXERCISE,
        "w": WATER,
        "m": MEDITATION,
        "g": CANNABIS,
    }
    info_fields = ("heart_attack", "dead")

    #: Pay the expected penalty instead of the sampled one.
    expected_penalty: bool = True
    #: Half-hours until the work is due: two weeks.
    deadline: float = constant(672.0, above=0.0)
    #: Fraction of heart attacks that kill (American Heart Association, Heart Disease and Stroke Statistics).
    heart_attack_fatality: float = constant(0.14, low=0.0, high=1.0)
    #: Alertness up to which a nap and water restore it.
    rested_alertness: float = 1.0
    #: A nap restores between half of this and all of this fraction of the missing alertness, and reduces the time
    #: awake by this number of half-hours (Rosekind et al. 1994, NASA TM-108839: alertness after a nap in the cockpit).
    nap_recovery: float = constant(0.8, low=0.0, high=1.0)
    nap_relief: float = constant(2.0, low=0.0)
    #: Exercise adds between 0 and this to alertness (Chang et al. 2012, Brain Research 1453) and removes between 0 and
    #: this fraction of hypertension (Kenney and Seals 1993, Hypertension 22: post-exercise hypotension).
    exercise_alertness: float = constant(0.4, low=0.0)
    exercise_relief: float = constant(0.5, low=0.0, high=1.0)
    #: Water restores between 0 and this fraction of the missing alertness (Ganio et al. 2011, Br. J. Nutr. 106: mild
    #: dehydration impairs vigilance).
    water_recovery: float = constant(0.3, low=0.0, high=1.0)
    #: Meditation removes between 0 and this fraction of hypertension (Brook et al. 2013, Hypertension 61), and of the
    #: alertness above the second number (Goyal et al. 2014, JAMA Intern. Med. 174: anxiety).
    meditation_relief: float = constant(0.3, low=0.0, high=1.0)
    meditation_alertness: float = 2.0
    #: Cannabis takes between 0 and this from alertness, adds between 0 and this to hypertension, and adds between half
    #: a dose and a full dose to `high`, which is multiplied by the third number each half-hour (half-life two hours;
    #: Grotenhermen 2003, Clin. Pharmacokinet. 42).
    cannabis_alertness: float = constant(0.4, low=0.0)
    cannabis_hypertension: float = constant(0.3, low=0.0)
    cannabis_decay: float = constant(0.84, low=0.0, high=1.0)
    #: A dose raises the alertness at which anxiety halves productivity by this (Childs et al. 2017, Drug and Alcohol
    #: Dependence 177: small doses relieve stress), and multiplies skill by exp(-this) (Crean et al. 2011, Journal of
    #: Addiction Medicine 5).
    cannabis_calm: float = constant(1.0, low=0.0)
    cannabis_impairment: float = constant(0.5, low=0.0)
    #: Heart attacks are this many times as likely after a dose (Mittleman et al. 2001, Circulation 103).
    cannabis_danger: float = constant(4.8, low=1.0)

    @property
    def observation_space(self):
        low = np.array([-np.inf, 0, 0, 0, 0, 0], np.float32)
        return spaces.Box(low, np.full(6, np.inf, np.float32), dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(9)

    def start(self, draws):
        zero = jnp.zeros_like(draws.alertness)
        never = jnp.full_like(zero, -1, jnp.int32)
        woken = heartpole.wake_alertness(self, draws.alertness)
        state = State(woken, zero, zero, zero, zero, zero, zero, never, zero > 0, zero > 0)
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return Draws(*jax.random.uniform(key, (4, *shape)))

    def transition(self, state, action, draws):
        acted = act(self, state, action, draws)
        work = jnp.where(acted.time_elapsed < self.deadline, productivity(self, acted), 0.0)
        worked = half_hour_passed(self, acted._replace(work_done=acted.work_done + work))
        risk = heart_attack_risk(self, worked, worked.time_elapsed - state.time_elapsed)
        attack = draws.heart_attack < risk
        # Of the attacks, those with the lowest variates kill.
        dead = draws.heart_attack < risk * self.heart_attack_fatality
        attacks_paid = jnp.where(self.expected_penalty, risk, attack.astype(risk.dtype))
        after = worked._replace(
            hypertension=jnp.where(attack, 0.0, worked.hypertension), last_action=action, heart_attack=attack, dead=dead
        )
        over = dead | (after.time_elapsed >= self.deadline)
        return after, Step(self.observe(after), work - self.heart_attack_penalty * attacks_paid, over)

    def observe(self, state):
        scaled = (
            state.alertness / 2,
            state.hypertension / 6,
            state.intoxication / 0.1,
            state.time_since_slept / 48,
            state.high,
            state.time_elapsed / self.deadline,
        )
        return jnp.stack(scaled, axis=-1)

    def describe(self, state):
        numbers = {name: round(float(value), 6) for name, value in list(state._asdict().items())[:7]}
        chosen = f"Chosen action: {ALL_ACTION_NAMES[int(state.last_action)]}\n" if state.last_action >= 0 else ""
        struck = ("HEART ATTACK\n" if state.heart_attack else "") + ("DEATH\n" if state.dead else "")
        return f"{chosen}{struck}{numbers}\n"

    def render(self, state):
        from jaxenvs.render import heartpole_v1

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        risk, half_hour = heart_attack_risk(self, state, 1.0).item(), productivity(self, state).item()
        due = np.asarray(self.deadline).item()
        return heartpole_v1.picture(**numbers, attack_risk=risk, productivity=half_hour, deadline=due)


def act(env, state, action, draws):
    """The immediate effects of an action, on a `State`, including the half-hour that some of them take."""
    nap, exercise, water = action == NAP, action == EXERCISE, action == WATER
    meditation, cannabis, sleep = action == MEDITATION, action == CANNABIS, action == SLEEP
    pause = nap | exercise | meditation
    before = heartpole.act(env, state, action, draws)
    rested = half_hour_passed(env, before)
    now = jax.tree.map(lambda after, until: jnp.where(pause, after, until), rested, before)
    recovered = jnp.where(nap, env.nap_recovery * (0.5 + 0.5 * draws.alertness), 0.0)
    recovered = jnp.where(water, env.water_recovery * draws.alertness, recovered)
    calmed = jnp.where(meditation, env.meditation_relief * draws.alertness, 0.0)
    lift = jnp.where(exercise, env.exercise_alertness, jnp.where(cannabis, -env.cannabis_alertness, 0.0))
    relief = jnp.where(exercise, env.exercise_relief, jnp.where(meditation, env.meditation_relief, 0.0))
    strain = jnp.where(cannabis, env.cannabis_hypertension, 0.0)
    missing = jnp.maximum(env.rested_alertness - now.alertness, 0.0)
    excess = jnp.maximum(now.alertness - env.meditation_alertness, 0.0)
    slept = jnp.where(sleep, env.cannabis_decay**env.sleep_half_hours, 1.0)
    return now._replace(
        alertness=now.alertness + lift * draws.alertness + recovered * missing - calmed * excess,
        hypertension=(1 - relief * draws.hypertension) * now.hypertension + strain * draws.hypertension,
        time_since_slept=jnp.maximum(now.time_since_slept - jnp.where(nap, env.nap_relief, 0.0), 0.0),
        high=slept * now.high + jnp.where(cannabis, 0.5 + 0.5 * draws.intoxication, 0.0),
    )


def half_hour_passed(env, state):
    """Half an hour awake, on a `State`."""
    return heartpole.half_hour_passed(env, state)._replace(high=env.cannabis_decay * state.high)


def productivity(env, state):
    """Work done in half an hour: alertness, limited by anxiety, times skill."""
    calm = jax.nn.sigmoid(env.anxiety_midpoint + env.cannabis_calm * state.high - state.alertness)
    skill = heartpole.ballmer(env, state.intoxication) * jnp.exp(-env.cannabis_impairment * state.high)
    return state.alertness * calm * skill


def heart_attack_risk(env, state, half_hours):
    """Probability of a heart attack in a number of half-hours."""
    danger = 1 + (env.cannabis_danger - 1) * jnp.minimum(state.high, 1.0)
    risk = jnp.minimum(danger * heartpole.heart_attack_risk(env, state.hypertension), 1.0)
    return -jnp.expm1(half_hours * jnp.log1p(-risk))
