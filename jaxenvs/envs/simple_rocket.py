"""SimpleRocket: a rocket on a line, that has to come to rest at the origin."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step


class State(NamedTuple):
    """The rocket, after a step."""

    #: f32[], distance from the origin along the line.
    position: jax.Array
    #: f32[], distance per second.
    velocity: jax.Array
    #: f32[], the thrust applied in the step that led here, in [-1, 1]; for the picture, no later step reads it.
    thrust: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start: the lower half of a variate means the negative side."""

    #: f32[...], uniform in [0, 1).
    position: jax.Array
    #: f32[...], uniform in [0, 1).
    velocity: jax.Array


class SimpleRocket(Environment):
    """Thrust left or right along a line, and come to rest at the origin.

    Source: "gymnasium と Pytorch で強化学習のカスタム環境を作る" (the tutorial's `SimpleRocketEnv`). Its classical
    fourth-order Runge-Kutta step is exact for a constant thrust during the step. Here, it is written in closed form.

    | observation f32[2] | | range |
    |---|---|---|
    | 0 | position | [-3, 3] |
    | 1 | velocity, per second | [-3, 3] |

    | action f32[1] | | range |
    |---|---|---|
    | 0 | thrust: acceleration, per second squared; clipped | [-1, 1] |

    Reward: 1 / (position**2 + 1), and either - 10 * |velocity| while moving away from the goal
    (position * velocity > 0), or + 1 / (velocity**2 + 1).

    End: terminated beyond |position| or |velocity| of 2, with -500; terminated with +500 if both are within 1e-8 of the
    goal; truncated after 500 steps by the time limit.

    Start: |position| and |velocity| uniform in [0.5, 1), each with a random sign; `start_at` sets any other state.

    Inside `jit`, a thrust outside [-1, 1] is clipped, as in the tutorial; NaN thrust gives a NaN state.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.SimpleRocket()
    >>> state, obs = env.start_at(1.0, 0.0)
    >>> thrust_gradient = jax.grad(lambda u: env.transition(state, u, ())[1].reward)(jax.numpy.zeros(1))
    >>> thrust_gradient.shape
    (1,)
    """

    max_episode_steps = 500
    render_fps = 50
    keys_to_action = {  # noqa: RUF012
        "a": np.array([-1.0], np.float32),
        "d": np.array([1.0], np.float32),
        "s": np.array([0.0], np.float32),
    }

    #: Length of a step, seconds.
    dt: float = constant(0.01, above=0.0, high=1.0)
    #: An episode fails beyond this distance from the origin, and beyond this speed.
    bound: float = constant(2.0, above=0.0)
    #: Cost of failing.
    failure_penalty: float = constant(500.0, low=0.0)
    #: Where the rocket should rest.
    goal_position: float = 0.0
    goal_velocity: float = 0.0
    #: Distance from the goal that counts as reached, and its reward.
    goal_tolerance: float = constant(1e-8, low=0.0)
    goal_bonus: float = constant(500.0, low=0.0)
    #: Cost of speed while moving away from the goal.
    retreat_cost: float = constant(10.0, low=0.0)
    #: |position| and |velocity| start uniform between these two.
    start_low: float = constant(0.5, low=0.0)
    start_high: float = constant(1.0, low=0.0)

    @property
    def observation_space(self):
        return spaces.Box(-3.0, 3.0, (2,), np.float32)

    @property
    def action_space(self):
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def draw_start(self, key, shape=()):
        return StartDraws(*jax.random.uniform(key, (2, *shape)))

    def start(self, draws):
        return self.start_at(signed_start(self, draws.position), signed_start(self, draws.velocity))

    def start_at(self, position, velocity):
        """Starts an episode at a given place, as the tutorial's `initial` does.

        Args:
            position, velocity: numbers or f32[...] arrays of one shape.
        Returns:
            (state, obs).
        """
        position, velocity = jnp.asarray(position, jnp.float32), jnp.asarray(velocity, jnp.float32)
        state = State(position, velocity, jnp.zeros_like(position))
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        thrust = jnp.clip(action[0], -1.0, 1.0)
        position = state.position + self.dt * state.velocity + 0.5 * self.dt * self.dt * thrust
        velocity = state.velocity + self.dt * thrust
        after = State(position, velocity, thrust)
        failed, landed = out_of_bounds(self, after), at_goal(self, after)
        ending = jnp.where(landed, self.goal_bonus, 0.0) - jnp.where(failed, self.failure_penalty, 0.0)
        return after, Step(self.observe(after), shaping(self, after) + ending, failed | landed)

    def observe(self, state):
        return jnp.stack([state.position, state.velocity], axis=-1)

    def render(self, state):
        from jaxenvs.render import rocket

        return rocket.picture(**{name: value.item() for name, value in jax.device_get(state)._asdict().items()})


def signed_start(env, uniform):
    """A coordinate of the start: magnitude between the two constants, sign from the half that `uniform` is in."""
    lower_half = uniform < 0.5
    # 2 * uniform modulo 1, exactly; XLA's remainder is a function call for each number, which prevents vector code.
    fraction = jnp.where(lower_half, 2 * uniform, 2 * uniform - 1)
    magnitude = env.start_low + (env.start_high - env.start_low) * fraction
    return jnp.where(lower_half, -magnitude, magnitude)


def shaping(env, state):
    """The reward of being somewhere, before any ending."""
    nearness = 1 / ((state.position - env.goal_position) ** 2 + 1)
    slowness = 1 / ((state.velocity - env.goal_velocity) ** 2 + 1)
    haste = env.retreat_cost * jnp.abs(state.velocity - env.goal_velocity)
    return nearness + jnp.where(state.position * state.velocity > 0, -haste, slowness)


def out_of_bounds(env, state):
    """bool[...]: too far or too fast."""
    return (jnp.abs(state.position) > env.bound) | (jnp.abs(state.velocity) > env.bound)


def at_goal(env, state):
    """bool[...]: as NumPy's `allclose` to the goal, with its absolute tolerance and its relative one of 1e-5."""
    near_position = jnp.abs(state.position - env.goal_position) <= env.goal_tolerance + 1e-5 * abs(env.goal_position)
    near_velocity = jnp.abs(state.velocity - env.goal_velocity) <= env.goal_tolerance + 1e-5 * abs(env.goal_velocity)
    return near_position & near_velocity
