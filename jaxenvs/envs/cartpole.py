"""CartPole: a pole on a cart, kept upright by pushing the cart left or right."""

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

LEFT, RIGHT = range(2)


class State(NamedTuple):
    """Cart and pole, after a step."""

    #: f32[], metres right of the middle of the track.
    position: jax.Array
    #: f32[], metres per second.
    velocity: jax.Array
    #: f32[], radians, clockwise from upright.
    angle: jax.Array
    #: f32[], radians per second.
    angular_velocity: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start; each f32[...], uniform in [0, 1)."""

    position: jax.Array
    velocity: jax.Array
    angle: jax.Array
    angular_velocity: jax.Array


class CartPole(Environment):
    """Push a cart left or right along a frictionless track, and keep the pole that is hinged to it upright.

    Sources: A. G. Barto, R. S. Sutton, C. W. Anderson, "Neuronlike adaptive elements that can solve difficult learning
    control problems" (IEEE Transactions on Systems, Man, and Cybernetics 13, 1983), as Sutton's `pole.c`
    (https://perma.cc/C9ZM-652R) and Gymnasium's `classic_control/cartpole.py` implement it: every constant, initial
    state, reward and end is the same. The equations of motion are those of R. V. Florian, "Correct equations for the
    dynamics of the cart-pole system" (2007), eq. 23 and 24 without friction,
    https://coneural.org/florian/papers/05_cart_pole.pdf.

    | observation f32[4] | | range |
    |---|---|---|
    | 0 | position, m | twice the limit: [-4.8, 4.8] |
    | 1 | velocity, m/s | (-inf, inf) |
    | 2 | angle of the pole, rad | twice the limit: [-0.419, 0.419] (24 degrees) |
    | 3 | angular velocity, rad/s | (-inf, inf) |

    | action i32[] | |
    |---|---|
    | 0 | push the cart to the left |
    | 1 | push the cart to the right |

    Reward: 1 for every step, including the last one. With `sutton_barto_reward=True`, -1 for the step in which the pole
    falls or the cart leaves the track, 0 for any other step.

    End: terminated beyond 2.4 m from the middle, or beyond 12 degrees from upright; truncated after 500 steps by the
    time limit (200 as CartPole-v0). A step from a terminal state has the usual reward; Gymnasium's reward is 0.

    Start: position, velocity, angle and angular velocity uniform in [-0.05, 0.05); `start_at` sets any other state.

    Inside `jit`, an action outside 0..1 acts as 0, as in Gymnasium.

    An upright pole is unstable: an error grows by a factor of e in a quarter of a second. With the same actions, states
    agree with Gymnasium's float64 states to 1e-5 for 60 steps, and the end is the same if the pole falls within 120
    steps.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.CartPole()
    >>> state, obs = env.start_at(0.0, 0.0, 0.1, 0.0)
    >>> state, step = env.step(jax.random.key(0), state, 1)
    >>> round(float(state.velocity), 4), float(step.reward), bool(step.terminated)
    (0.1936, 1.0, False)
    """

    max_episode_steps = 500
    render_fps = 50
    keys_to_action = {"a": LEFT, "d": RIGHT}  # noqa: RUF012

    #: Metres per second squared.
    gravity: float = 9.8
    #: Kilograms.
    cart_mass: float = constant(1.0, above=0.0)
    pole_mass: float = constant(0.1, above=0.0)
    #: Half the length of the pole, metres: where its centre of mass is.
    half_length: float = constant(0.5, above=0.0)
    #: Force of a push, newtons.
    force: float = constant(10.0, low=0.0)
    #: Length of a step, seconds.
    dt: float = constant(0.02, above=0.0)
    #: An episode ends beyond this distance from the middle, metres.
    position_limit: float = constant(2.4, above=0.0)
    #: An episode ends beyond this angle from upright, radians.
    angle_limit: float = constant(12 * 2 * math.pi / 360, above=0.0)
    #: Each coordinate of a start is uniform between these two.
    start_low: float = -0.05
    start_high: float = 0.05
    #: Pay -1 at the end and 0 before it, as Barto, Sutton and Anderson do, instead of 1 a step.
    sutton_barto_reward: bool = False
    #: Move with the velocities after the step's acceleration instead of those before it.
    semi_implicit: bool = static(False)

    @property
    def total_mass(self):
        """Kilograms."""
        return self.cart_mass + self.pole_mass

    @property
    def pole_moment(self):
        """Mass of the pole times the distance of its centre from the hinge, kilogram metres."""
        return self.pole_mass * self.half_length

    @property
    def observation_space(self):
        # Twice the limits: the observation that ends an episode is still inside.
        high = [2 * greatest(self.position_limit), np.inf, 2 * greatest(self.angle_limit), np.inf]
        return spaces.Box(-np.array(high, np.float32), np.array(high, np.float32), dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(2)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (4, *shape)))

    def start(self, draws):
        return self.start_at(*(self.start_low + (self.start_high - self.start_low) * uniform for uniform in draws))

    def start_at(self, position, velocity, angle, angular_velocity):
        """Starts an episode in a given state.

        Args:
            position, velocity, angle, angular_velocity: numbers or f32[...] arrays of one shape.
        Returns:
            (state, obs).
        """
        state = State(*(jnp.asarray(value, jnp.float32) for value in (position, velocity, angle, angular_velocity)))
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        force = jnp.where(action == RIGHT, self.force, -self.force)
        after = moved(self, state, *accelerations(self, state, force))
        terminated = fallen(self, after)
        reward = jnp.where(self.sutton_barto_reward, -terminated.astype(jnp.float32), 1.0)
        return after, Step(self.observe(after), reward, terminated)

    def observe(self, state):
        return jnp.stack(state, axis=-1)

    def render(self, state):
        from jaxenvs.render import cartpole

        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        looks = {name: getattr(self, name) for name in ("position_limit", "angle_limit", "half_length")}
        return cartpole.picture(**numbers, **looks)


def accelerations(env, state, force):
    """Those of cart and pole, m/s^2 and rad/s^2, under a force on the cart (Florian 2007, eq. 24 and 23)."""
    sine, cosine = sin_cos(state.angle)
    push = (force + env.pole_moment * state.angular_velocity**2 * sine) / env.total_mass
    # 4/3 is the moment of inertia of a uniform rod about its end, in units of mass times half length squared.
    inertia = env.half_length * (4 / 3 - env.pole_mass * cosine**2 / env.total_mass)
    angular = (env.gravity * sine - cosine * push) / inertia
    return push - env.pole_moment * angular * cosine / env.total_mass, angular


def moved(env, state, acceleration, angular_acceleration):
    """The state after `dt`: Euler's method, explicit or semi-implicit."""
    velocity = state.velocity + env.dt * acceleration
    angular_velocity = state.angular_velocity + env.dt * angular_acceleration
    used, angular_used = (velocity, angular_velocity) if env.semi_implicit else (state.velocity, state.angular_velocity)
    return State(
        position=state.position + env.dt * used,
        velocity=velocity,
        angle=state.angle + env.dt * angular_used,
        angular_velocity=angular_velocity,
    )


def fallen(env, state):
    """bool[...]: the cart is out of bounds, or the pole too far from upright."""
    return (jnp.abs(state.position) > env.position_limit) | (jnp.abs(state.angle) > env.angle_limit)
