"""HeartPole: balance productivity against health, with coffee, beer and sleep."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant, static
from jaxenvs.core import Environment, Step

NOTHING, COFFEE, BEER, SLEEP = range(4)
ACTION_NAMES = ("do_nothing", "drink_coffee", "drink_beer", "sleep")


class State(NamedTuple):
    """A person's body and working life, after a step."""

    #: f32[], unbounded; 1 is a good morning, below 0 work does harm, above 3 anxiety sets in.
    alertness: jax.Array
    #: f32[], >= 0, blood pressure above normal; at 6 the risk is half of its maximum.
    hypertension: jax.Array
    #: f32[], >= 0, blood alcohol, per cent.
    intoxication: jax.Array
    #: f32[], half-hours awake.
    time_since_slept: jax.Array
    #: f32[], half-hours since the start.
    time_elapsed: jax.Array
    #: f32[], sum of productivity over the half-hours worked.
    work_done: jax.Array
    #: i32[], the action that led here, -1 at the start; for the picture, no later step reads it.
    last_action: jax.Array
    #: bool[], whether a heart attack struck in the step that led here; for the picture, no later step reads it.
    heart_attack: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start."""

    #: f32[...], uniform in [0, 1): how well the night was slept.
    alertness: jax.Array


class Draws(NamedTuple):
    """Everything random in a step; one action happens, so its effects share the variates."""

    #: f32[...], uniform in [0, 1): the change of alertness by coffee or beer, or the alertness after sleep.
    alertness: jax.Array
    #: f32[...], uniform in [0, 1): the hypertension that coffee or beer adds.
    hypertension: jax.Array
    #: f32[...], uniform in [0, 1): the intoxication that beer adds.
    intoxication: jax.Array
    #: f32[...], uniform in [0, 1): a heart attack happens where it is below the risk.
    heart_attack: jax.Array


class HeartPole(Environment):
    """Work in steps of half an hour, and before each step choose nothing, coffee, beer, or eight hours of sleep.

    Source: V. Liventsev, "Tutorial: writing a custom OpenAI Gym environment" (the HeartPole tutorial and package).
    The facts and their constants are the tutorial's.

    | observation f32[6] | | range |
    |---|---|---|
    | 0 | alertness | (-inf, inf) |
    | 1 | hypertension | [0, inf) |
    | 2 | intoxication | [0, inf) |
    | 3 | time since slept, half-hours | [0, inf) |
    | 4 | time elapsed, half-hours | [0, inf) |
    | 5 | work done | (-inf, inf) |

    | action i32[] | |
    |---|---|
    | 0 | nothing |
    | 1 | coffee: more alertness, more hypertension |
    | 2 | beer: less alertness, more hypertension, intoxication |
    | 3 | sleep: 16 half-hours pass without work, then a new morning |

    Reward: the change of the score, `work_done / time_elapsed` (0 at time 0), minus 100 for a heart attack. An attack
    happens with probability `heart_attack_proclivity * sigmoid(hypertension - 6)` and resets hypertension to 0. With
    `expected_penalty=True`, every step subtracts 100 times this probability instead of 100 for an attack: the optimum
    is the same, without the noise. Attacks still happen.

    End: never terminated; truncated after 1000 steps by the time limit.

    Inside `jit`, an action outside 0..3 acts as 0, nothing.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.HeartPole()
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, 3)
    >>> float(state.time_elapsed)
    17.0
    """

    max_episode_steps = 1000
    render_fps = 10
    keys_to_action = {"n": NOTHING, "c": COFFEE, "b": BEER, "s": SLEEP}  # noqa: RUF012
    idle_action = NOTHING
    info_fields = ("heart_attack",)

    #: Probability of an attack per half-hour at unbounded hypertension.
    heart_attack_proclivity: float = constant(0.5, low=0.0, high=1.0)
    #: Cost of an attack, subtracted from the reward.
    heart_attack_penalty: float = constant(100.0, low=0.0)
    #: Hypertension at which half of the proclivity is reached.
    heart_attack_midpoint: float = 6.0
    #: Pay the expected penalty instead of the sampled one.
    expected_penalty: bool = False
    #: Alertness after sleep is uniform between these two.
    wake_alertness_low: float = 0.7
    wake_alertness_high: float = 1.3
    #: Coffee adds between 0 and this to alertness.
    coffee_alertness: float = constant(1.0, low=0.0)
    #: Coffee adds between 0 and this to hypertension.
    coffee_hypertension: float = constant(0.3, low=0.0)
    #: Beer takes between 0 and this from alertness.
    beer_alertness: float = constant(0.5, low=0.0)
    #: Beer adds between 0 and this to hypertension.
    beer_hypertension: float = constant(0.3, low=0.0)
    #: Beer adds between these two to intoxication, per cent of blood alcohol (https://attorneydwi.com/b-a-c-per-drink/).
    beer_intoxication_low: float = constant(0.01, low=0.0)
    beer_intoxication_high: float = constant(0.03, low=0.0)
    #: Hypertension and intoxication are multiplied by this each half-hour (half-life about 12 hours).
    decay_rate: float = constant(0.97, low=0.0, high=1.0)
    #: Half-hours awake at which alertness falls by 1/2 each half-hour, and the scale of that sigmoid.
    drowsiness_midpoint: float = 40.0
    drowsiness_scale: float = constant(10.0, above=0.0)
    #: Alertness at which anxiety halves productivity.
    anxiety_midpoint: float = 3.0
    #: Intoxication at which skill is halved, and the steepness of that sigmoid.
    ballmer_midpoint: float = 0.05
    ballmer_steepness: float = 50.0
    #: The peak of the Ballmer function: its position, width and height.
    ballmer_peak: float = 0.135
    ballmer_width: float = constant(0.005, above=0.0)
    ballmer_height: float = 2.0
    #: Length of a sleep, half-hours.
    sleep_half_hours: int = static(16, low=0)

    @property
    def observation_space(self):
        low = np.array([-np.inf, 0, 0, 0, 0, -np.inf], np.float32)
        return spaces.Box(low, np.full(6, np.inf, np.float32), dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(4)

    def draw_start(self, key, shape=()):
        return StartDraws(jax.random.uniform(key, shape))

    def start(self, draws):
        zero = jnp.zeros_like(draws.alertness)
        never = jnp.full_like(zero, -1, jnp.int32)
        state = State(wake_alertness(self, draws.alertness), zero, zero, zero, zero, zero, never, zero > 0)
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return Draws(*jax.random.uniform(key, (4, *shape)))

    def transition(self, state, action, draws):
        old_score = score(state)
        acted = act(self, state, action, draws)
        worked = half_hour_passed(self, acted._replace(work_done=acted.work_done + productivity(self, acted)))
        # new_score - old_score, with the common part cancelled by hand: float32 would lose it.
        half_hours = worked.time_elapsed - state.time_elapsed
        gain = (productivity(self, acted) - old_score * half_hours) / worked.time_elapsed
        risk = heart_attack_risk(self, worked.hypertension)
        attack = draws.heart_attack < risk
        attacks_paid = jnp.where(self.expected_penalty, risk, attack.astype(risk.dtype))
        after = worked._replace(
            hypertension=jnp.where(attack, 0.0, worked.hypertension), last_action=action, heart_attack=attack
        )
        reward = gain - self.heart_attack_penalty * attacks_paid
        return after, Step(self.observe(after), reward, jnp.zeros_like(attack))

    def observe(self, state):
        return jnp.stack(state[:6], axis=-1)

    def describe(self, state):
        numbers = {name: round(float(value), 6) for name, value in list(state._asdict().items())[:6]}
        chosen = f"Chosen action: {ACTION_NAMES[int(state.last_action)]}\n" if state.last_action >= 0 else ""
        return chosen + ("HEART ATTACK\n" if state.heart_attack else "") + f"{numbers}\n"

    def render(self, state):
        from jaxenvs.render import heartpole

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        risk = heart_attack_risk(self, state.hypertension).item()
        return heartpole.picture(**numbers, attack_risk=risk, productivity=productivity(self, state).item())


def score(state):
    """Average productivity since the start, f32[...]; 0 at time 0."""
    return state.work_done / jnp.maximum(state.time_elapsed, 1)


def act(env, state, action, draws):
    """The immediate effects of an action, on a `State`."""
    coffee, beer, sleep = action == COFFEE, action == BEER, action == SLEEP
    woken = wake_alertness(env, draws.alertness)
    lift = jnp.where(coffee, env.coffee_alertness, jnp.where(beer, -env.beer_alertness, 0.0)) * draws.alertness
    strain = jnp.where(coffee, env.coffee_hypertension, jnp.where(beer, env.beer_hypertension, 0.0))
    intake = env.beer_intoxication_low + (env.beer_intoxication_high - env.beer_intoxication_low) * draws.intoxication
    kept = jnp.where(sleep, env.decay_rate**env.sleep_half_hours, 1.0)
    return state._replace(
        alertness=jnp.where(sleep, woken, state.alertness + lift),
        hypertension=kept * state.hypertension + strain * draws.hypertension,
        intoxication=kept * state.intoxication + jnp.where(beer, intake, 0.0),
        time_since_slept=jnp.where(sleep, 0.0, state.time_since_slept),
        time_elapsed=state.time_elapsed + jnp.where(sleep, float(env.sleep_half_hours), 0.0),
    )


def wake_alertness(env, uniform):
    """Alertness after sleep."""
    return env.wake_alertness_low + (env.wake_alertness_high - env.wake_alertness_low) * uniform


def half_hour_passed(env, state):
    """Half an hour awake, on a `State`."""
    drowsiness = jax.nn.sigmoid((state.time_since_slept - env.drowsiness_midpoint) / env.drowsiness_scale)
    return state._replace(
        alertness=state.alertness - drowsiness,
        hypertension=env.decay_rate * state.hypertension,
        intoxication=env.decay_rate * state.intoxication,
        time_since_slept=state.time_since_slept + 1,
        time_elapsed=state.time_elapsed + 1,
    )


def productivity(env, state):
    """Work done in half an hour: alertness, limited by anxiety, times skill."""
    calm = jax.nn.sigmoid(env.anxiety_midpoint - state.alertness)
    return state.alertness * calm * ballmer(env, state.intoxication)


def ballmer(env, intoxication):
    """Programming skill as a function of blood alcohol, with its narrow peak."""
    sober = jax.nn.sigmoid((env.ballmer_midpoint - intoxication) * env.ballmer_steepness)
    offset = (intoxication - env.ballmer_peak) / env.ballmer_width
    return sober + env.ballmer_height * jnp.exp(-0.5 * offset**2)


def heart_attack_risk(env, hypertension):
    """Probability of a heart attack in half an hour."""
    return env.heart_attack_proclivity * jax.nn.sigmoid(hypertension - env.heart_attack_midpoint)
