"""Pendulum: a rod on a motor too weak to lift it, which has to swing up and stay up."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant, static
from jaxenvs.core import Environment, Step
from jaxenvs.physics.trig import sin_cos
from jaxenvs.spaces import greatest


class State(NamedTuple):
    """The rod, after a step."""

    #: f32[], radians, counter-clockwise from upright; at most one step's change beyond [-pi, pi].
    angle: jax.Array
    #: f32[], radians per second, in [-max_speed, max_speed].
    velocity: jax.Array
    #: f32[], newton metres, as applied in the step that led here, 0 at the start; for the picture, no later step
    #: reads it.
    torque: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start; each f32[...], uniform in [0, 1)."""

    angle: jax.Array
    velocity: jax.Array


class Pendulum(Environment):
    """Swing up a rod and hold it upright, with a motor that is too weak to lift it directly.

    Source: Gymnasium's `classic_control/pendulum.py`; every constant, initial state and reward is the same. A uniform
    rod of mass m and length l has the moment of inertia m l^2 / 3 about its end, and its centre at l / 2, so

        angular acceleration = 3 g / (2 l) * sin(angle) + 3 / (m l^2) * torque,

    integrated with the semi-implicit Euler method; the velocity is clipped before the angle changes.

    | observation f32[3] | | range |
    |---|---|---|
    | 0 | cosine of the angle: height of the tip, in lengths | [-1, 1] |
    | 1 | sine of the angle | [-1, 1] |
    | 2 | velocity, rad/s | [-8, 8] |

    | action f32[1] | | range |
    |---|---|---|
    | 0 | torque, N m, counter-clockwise; clipped | [-2, 2] |

    Reward: -(angle^2 + 0.1 velocity^2 + 0.001 torque^2), of the state before the step, with the angle in [-pi, pi]:
    between -16.27 and 0.

    End: never terminated; truncated after 200 steps by the time limit.

    Start: angle uniform in [-pi, pi), velocity in [-1, 1); `start_at` sets any other state.

    Inside `jit`, a torque outside [-2, 2] is clipped, as in Gymnasium; a NaN torque gives a NaN state. `max_torque`
    is static, because the action space depends on it.

    The upright position is unstable: with the same torques, states agree with Gymnasium's float64 states to 1e-5 for 40
    steps.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.Pendulum(gravity=9.81)
    >>> state, obs = env.start_at(jax.numpy.pi / 2, 0.0)
    >>> state, step = env.step(jax.random.key(0), state, jax.numpy.array([2.0]))
    >>> round(float(state.velocity), 5), round(float(step.reward), 4)
    (1.03575, -2.4714)
    """

    max_episode_steps = 200
    render_fps = 30
    keys_to_action = {"a": np.array([2.0], np.float32), "d": np.array([-2.0], np.float32)}  # noqa: RUF012

    #: Metres per second squared.
    gravity: float = 10.0
    #: Of the rod, kilograms.
    mass: float = constant(1.0, above=0.0)
    #: Of the rod, metres.
    length: float = constant(1.0, above=0.0)
    #: Length of a step, seconds.
    dt: float = constant(0.05, above=0.0)
    #: The velocity is clipped to this, radians per second.
    max_speed: float = constant(8.0, above=0.0)
    #: The torque is clipped to this, newton metres.
    max_torque: float = static(2.0, above=0.0)
    #: Cost of the squared velocity and of the squared torque; the squared angle costs 1.
    velocity_cost: float = constant(0.1, low=0.0)
    torque_cost: float = constant(0.001, low=0.0)
    #: |angle| and |velocity| start below these.
    start_angle: float = constant(math.pi, low=0.0)
    start_velocity: float = constant(1.0, low=0.0)

    @property
    def observation_space(self):
        high = np.array([1.0, 1.0, greatest(self.max_speed)], np.float32)
        return spaces.Box(-high, high, dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Box(-self.max_torque, self.max_torque, (1,), np.float32)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (2, *shape)))

    def start(self, draws):
        return self.start_at(self.start_angle * (2 * draws.angle - 1), self.start_velocity * (2 * draws.velocity - 1))

    def start_at(self, angle, velocity):
        """Starts an episode in a given state.

        Args:
            angle, velocity: numbers or f32[...] arrays of one shape.
        Returns:
            (state, obs).
        """
        angle, velocity = jnp.asarray(angle, jnp.float32), jnp.asarray(velocity, jnp.float32)
        state = State(angle, velocity, jnp.zeros_like(angle))
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        angle, torque = within_a_turn(state.angle), jnp.clip(action[0], -self.max_torque, self.max_torque)
        cost = angle**2 + self.velocity_cost * state.velocity**2 + self.torque_cost * torque**2
        velocity = state.velocity + self.dt * acceleration(self, angle, torque)
        velocity = jnp.clip(velocity, -self.max_speed, self.max_speed)
        after = State(angle + self.dt * velocity, velocity, torque)
        return after, Step(self.observe(after), -cost, jnp.zeros_like(cost, bool))

    def observe(self, state):
        sine, cosine = sin_cos(state.angle)
        return jnp.stack([cosine, sine, state.velocity], axis=-1)

    def render(self, state):
        from jaxenvs.render import pendulum

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        return pendulum.picture(**numbers, max_torque=self.max_torque)


def acceleration(env, angle, torque):
    """Of a uniform rod about its end, rad/s^2."""
    return 3 * env.gravity / (2 * env.length) * sin_cos(angle)[0] + 3 / (env.mass * env.length**2) * torque


def within_a_turn(angle):
    """The same direction as an angle in [-pi, pi]."""
    return angle - 2 * math.pi * jnp.round(angle / (2 * math.pi))
