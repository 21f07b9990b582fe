"""Acrobot: two links hanging from a bar, swung up by the joint between them."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step
from jaxenvs.physics.trig import sin_cos
from jaxenvs.spaces import greatest

NEGATIVE, NONE, POSITIVE = range(3)


class State(NamedTuple):
    """The two links, after a step."""

    #: f32[], radians, of the first link, counter-clockwise from hanging down, in [-pi, pi].
    angle_1: jax.Array
    #: f32[], radians, of the second link against the first, in [-pi, pi].
    angle_2: jax.Array
    #: f32[], radians per second, in [-max_velocity_1, max_velocity_1].
    velocity_1: jax.Array
    #: f32[], radians per second, in [-max_velocity_2, max_velocity_2].
    velocity_2: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start; each f32[...], uniform in [0, 1)."""

    angle_1: jax.Array
    angle_2: jax.Array
    velocity_1: jax.Array
    velocity_2: jax.Array


class Draws(NamedTuple):
    """Everything random in a step."""

    #: f32[...], uniform in [0, 1): the noise of the torque.
    torque: jax.Array


class Acrobot(Environment):
    """Swing the free end of two hanging links above the bar, with a motor only in the joint between them.

    Sources: R. S. Sutton, "Generalization in reinforcement learning: successful examples using sparse coarse coding"
    (NIPS 8, 1996), and R. S. Sutton, A. G. Barto, "Reinforcement Learning: An Introduction" (1998), section 11.3,
    http://incompleteideas.net/book/11/node4.html, whose equations have a term that the paper's lack, and RLPy's
    and Gymnasium's `classic_control/acrobot.py`: every constant, initial state, reward and end is the same. A step is
    one step of the classical fourth-order Runge-Kutta method; then angles are wrapped to [-pi, pi], and velocities
    clipped.

    | observation f32[6] | | range |
    |---|---|---|
    | 0, 1 | cosine and sine of the first link's angle, from hanging down | [-1, 1] |
    | 2, 3 | cosine and sine of the second link's angle, against the first | [-1, 1] |
    | 4, 5 | angular velocities of the two links, rad/s | [-4 pi, 4 pi], [-9 pi, 9 pi] |

    | action i32[] | |
    |---|---|
    | 0 | torque -1 N m on the joint |
    | 1 | no torque |
    | 2 | torque 1 N m |

    Reward: -1 for every step, 0 for the step that reaches the height.
    End: terminated where -cos(angle_1) - cos(angle_1 + angle_2) > 1; truncated after 500 steps by the time limit.

    Start: angles and velocities uniform in [-0.1, 0.1); `start_at` sets any other state.

    Inside `jit`, an action outside 0..2 acts as 1, no torque; the noise is still added.
    The dynamics are chaotic: with the same torques, states agree with Gymnasium's float64 states to 1e-5 for about 50
    steps.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.Acrobot()
    >>> state, obs = env.start_at(3.0, 0.0, 0.0, 0.0)
    >>> state, step = env.step(jax.random.key(0), state, 2)
    >>> float(step.reward), bool(step.terminated)
    (0.0, True)
    """

    max_episode_steps = 500
    render_fps = 15
    keys_to_action = {"a": NEGATIVE, "s": NONE, "d": POSITIVE}  # noqa: RUF012
    idle_action = NONE

    #: Metres per second squared.
    gravity: float = 9.8
    #: Metres; the second one is only for the picture.
    link_length_1: float = constant(1.0, above=0.0)
    link_length_2: float = constant(1.0, above=0.0)
    #: Kilograms.
    link_mass_1: float = constant(1.0, above=0.0)
    link_mass_2: float = constant(1.0, above=0.0)
    #: From a link's joint to its centre of mass, metres.
    link_center_1: float = constant(0.5, above=0.0)
    link_center_2: float = constant(0.5, above=0.0)
    #: Moment of inertia of each link about its centre of mass, kilogram metres squared.
    link_inertia: float = constant(1.0, above=0.0)
    #: Angular velocities are clipped to these, radians per second.
    max_velocity_1: float = constant(4 * math.pi, above=0.0)
    max_velocity_2: float = constant(9 * math.pi, above=0.0)
    #: The torque of actions 0 and 2, newton metres.
    torque: float = constant(1.0, low=0.0)
    #: Added to the torque at each step: uniform between minus and plus this, newton metres.
    torque_noise: float = constant(0.0, low=0.0)
    #: An episode ends where -cos(angle_1) - cos(angle_1 + angle_2) exceeds this: the tip's height, if links are 1 m.
    goal_height: float = 1.0
    #: Length of a step, seconds.
    dt: float = constant(0.2, above=0.0)
    #: Each coordinate of a start is uniform between these two.
    start_low: float = -0.1
    start_high: float = 0.1
    #: The equations of the 1996 paper instead of the book's.
    nips_equations: bool = False

    @property
    def observation_space(self):
        high = np.array([1, 1, 1, 1, greatest(self.max_velocity_1), greatest(self.max_velocity_2)], np.float32)
        return spaces.Box(-high, high, dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (4, *shape)))

    def start(self, draws):
        return self.start_at(*(self.start_low + (self.start_high - self.start_low) * uniform for uniform in draws))

    def start_at(self, angle_1, angle_2, velocity_1, velocity_2):
        """(state, obs) of a state of the caller's choice: numbers or f32[...] arrays of one shape."""
        state = State(*(jnp.asarray(value, jnp.float32) for value in (angle_1, angle_2, velocity_1, velocity_2)))
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return Draws(jax.random.uniform(key, shape))

    def transition(self, state, action, draws):
        chosen = jnp.where(action == POSITIVE, self.torque, jnp.where(action == NEGATIVE, -self.torque, 0.0))
        torque = chosen + self.torque_noise * (2 * draws.torque - 1)
        moved = runge_kutta(lambda s: derivative(self, s, torque), state, self.dt)
        velocity_1 = jnp.clip(moved.velocity_1, -self.max_velocity_1, self.max_velocity_1)
        velocity_2 = jnp.clip(moved.velocity_2, -self.max_velocity_2, self.max_velocity_2)
        after = State(within_a_turn(moved.angle_1), within_a_turn(moved.angle_2), velocity_1, velocity_2)
        reached = at_goal(self, after)
        return after, Step(self.observe(after), jnp.where(reached, 0.0, jnp.full_like(torque, -1.0)), reached)

    def observe(self, state):
        (sine_1, cosine_1), (sine_2, cosine_2) = sin_cos(state.angle_1), sin_cos(state.angle_2)
        return jnp.stack([cosine_1, sine_1, cosine_2, sine_2, state.velocity_1, state.velocity_2], axis=-1)

    def render(self, state):
        from jaxenvs.render import acrobot

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        looks = {name: getattr(self, name) for name in ("link_length_1", "link_length_2", "goal_height")}
        return acrobot.picture(**numbers, **looks, reached=at_goal(self, state).item())


def at_goal(env, state):
    """bool[...]: the tip is high enough."""
    return -sin_cos(state.angle_1)[1] - sin_cos(state.angle_1 + state.angle_2)[1] > env.goal_height


def derivative(env, state, torque):
    """The rates of change of a `State`, as a `State` (Sutton and Barto 1998, figure 11.8)."""
    m1, m2, l1, c1, c2 = env.link_mass_1, env.link_mass_2, env.link_length_1, env.link_center_1, env.link_center_2
    angle_1, angle_2, velocity_1, velocity_2 = state
    (sine_1, _), (sine_2, cosine_2), (sine_12, _) = (sin_cos(a) for a in (angle_1, angle_2, angle_1 + angle_2))
    d1 = m1 * c1**2 + m2 * (l1**2 + c2**2 + 2 * l1 * c2 * cosine_2) + 2 * env.link_inertia
    d2 = m2 * (c2**2 + l1 * c2 * cosine_2) + env.link_inertia
    # The book's cos(angle - pi / 2) is the sine.
    phi2 = m2 * c2 * env.gravity * sine_12
    swing = m2 * l1 * c2 * sine_2
    pull = (m1 * c1 + m2 * l1) * env.gravity * sine_1
    phi1 = pull + phi2 - swing * velocity_2 * (velocity_2 + 2 * velocity_1)
    centrifugal = jnp.where(env.nips_equations, 0.0, swing * velocity_1**2)
    acceleration_2 = (torque + d2 / d1 * phi1 - centrifugal - phi2) / (m2 * c2**2 + env.link_inertia - d2**2 / d1)
    return State(velocity_1, velocity_2, -(d2 * acceleration_2 + phi1) / d1, acceleration_2)


def runge_kutta(rate, state, dt):
    """One step of the classical fourth-order method."""

    def ahead(step, slope):
        return jax.tree.map(lambda value, change: value + step * change, state, slope)

    start = rate(state)
    middle = rate(ahead(dt / 2, start))
    again = rate(ahead(dt / 2, middle))
    end = rate(ahead(dt, again))
    return ahead(dt / 6, jax.tree.map(lambda a, b, c, d: a + 2 * b + 2 * c + d, start, middle, again, end))


def within_a_turn(angle):
    """The same direction as an angle in [-pi, pi]."""
    return angle - 2 * math.pi * jnp.round(angle / (2 * math.pi))
