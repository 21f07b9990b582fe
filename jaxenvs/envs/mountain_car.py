"""MountainCar: a car too weak for the hill ahead, which has to gain speed on the hill behind."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step
from jaxenvs.physics.trig import sin_cos
from jaxenvs.spaces import greatest, least

LEFT, COAST, RIGHT = range(3)


class State(NamedTuple):
    """The car, after a step."""

    #: f32[], along the horizontal axis, in [min_position, max_position].
    position: jax.Array
    #: f32[], position per step, in [-max_speed, max_speed].
    velocity: jax.Array


class StartDraws(NamedTuple):
    """Everything random in a start."""

    #: f32[...], uniform in [0, 1).
    position: jax.Array


class MountainCar(Environment):
    """Drive out of a valley with an engine weaker than gravity: drive up one hill to gain speed for the other.

    Source: A. W. Moore, "Efficient memory-based learning for robot control" (PhD thesis, University of Cambridge 1990),
    as R. S. Sutton's `MountainCar1.cp` (https://perma.cc/6Z2N-PFWC) and Gymnasium's `classic_control/mountain_car.py`
    implement it: every constant, initial state, reward and end is the same. The hills are sin(3 position), and a step
    is

        velocity' = velocity + force * (action - 1) - gravity * cos(3 position),    position' = position + velocity',

    both clipped; the wall at the left end stops the car.

    | observation f32[2] | | range |
    |---|---|---|
    | 0 | position | [-1.2, 0.6] |
    | 1 | velocity, per step | [-0.07, 0.07] |

    | action i32[] | |
    |---|---|
    | 0 | accelerate to the left |
    | 1 | coast |
    | 2 | accelerate to the right |

    Reward: -1 for every step.

    End: terminated where position >= 0.5 and velocity >= `goal_velocity` (0); truncated after 200 steps by the
    time limit.

    Start: position uniform in [-0.6, -0.4), velocity 0; `start_at` sets any other state.

    Inside `jit`, an action outside 0..2 acts as 1, coasting.

    With the same actions, ends agree with Gymnasium's, and states agree with its float64 states to 1e-5 for 140 steps,
    to 1e-4 for all 200.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.MountainCar()
    >>> state, obs = env.start_at(0.49, 0.03)
    >>> state, step = env.step(jax.random.key(0), state, 2)
    >>> round(float(state.position), 4), float(step.reward), bool(step.terminated)
    (0.5207, -1.0, True)
    """

    max_episode_steps = 200
    render_fps = 30
    keys_to_action = {"a": LEFT, "s": COAST, "d": RIGHT}  # noqa: RUF012
    idle_action = COAST

    #: The engine's acceleration, per step squared.
    force: float = constant(0.001, low=0.0)
    #: Gravity's acceleration where the slope is steepest, per step squared.
    gravity: float = 0.0025
    #: The hills are sin(wave_number * position) high.
    wave_number: float = 3.0
    #: The ends of the track, a wall on the left.
    min_position: float = -1.2
    max_position: float = 0.6
    #: The velocity is clipped to this.
    max_speed: float = constant(0.07, above=0.0)
    #: An episode ends at or beyond this position, at this velocity or a higher one.
    goal_position: float = 0.5
    goal_velocity: float = 0.0
    #: The position of a start is uniform between these two.
    start_low: float = -0.6
    start_high: float = -0.4

    @property
    def observation_space(self):
        low = np.array([least(self.min_position), -greatest(self.max_speed)], np.float32)
        high = np.array([greatest(self.max_position), greatest(self.max_speed)], np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def draw_start(self, key, shape=()):
        return StartDraws(jax.random.uniform(key, shape))

    def start(self, draws):
        return self.start_at(self.start_low + (self.start_high - self.start_low) * draws.position)

    def start_at(self, position, velocity=None):
        """Starts an episode in a given state.

        Args:
            position, velocity: numbers or f32[...] arrays of one shape; at rest by default.
        Returns:
            (state, obs).
        """
        position = jnp.asarray(position, jnp.float32)
        state = State(position, jnp.zeros_like(position) if velocity is None else jnp.asarray(velocity, jnp.float32))
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        push = jnp.where(action == RIGHT, self.force, jnp.where(action == LEFT, -self.force, 0.0))
        after = rolled(self, state, push)
        terminated = at_goal(self, after)
        return after, Step(self.observe(after), jnp.full_like(after.position, -1.0), terminated)

    def observe(self, state):
        return jnp.stack(state, axis=-1)

    def render(self, state):
        from jaxenvs.render import mountain_car

        names = ("goal_position", "min_position", "max_position", "max_speed", "wave_number")
        numbers = {name: value.item() for name, value in jax.device_get(state)._asdict().items()}
        looks = {name: getattr(self, name) for name in names}
        return mountain_car.picture(**numbers, **looks, reached=at_goal(self, state).item())


def rolled(env, state, push):
    """The state one step later, under the engine's acceleration and gravity's."""
    _, slope = sin_cos(env.wave_number * state.position)
    velocity = jnp.clip(state.velocity + push - env.gravity * slope, -env.max_speed, env.max_speed)
    position = jnp.clip(state.position + velocity, env.min_position, env.max_position)
    stopped = (position <= env.min_position) & (velocity < 0)
    return State(position, jnp.where(stopped, 0.0, velocity))


def at_goal(env, state):
    """bool[...]: far enough, and fast enough."""
    return (state.position >= env.goal_position) & (state.velocity >= env.goal_velocity)
