"""MountainCarContinuous: the car in the valley with a throttle, which pays for the force it uses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from jaxenvs.constants import constant, static
from jaxenvs.core import Environment, Step
from jaxenvs.physics.trig import sin_cos
from jaxenvs.spaces import greatest, least


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


class MountainCarContinuous(Environment):
    """Drive out of a valley with an engine weaker than gravity, and with as little force as possible.

    Source: A. W. Moore, "Efficient memory-based learning for robot control" (PhD thesis, University of Cambridge 1990),
    with the continuous action of O. Sigaud's variant, Gymnasium's `classic_control/continuous_mountain_car.py`: every
    constant, initial state, reward and end is the same as in that file. The hills are sin(3 position), and a step is

        velocity' = velocity + power * force - gravity * cos(3 position),    position' = position + velocity',

    all clipped; the wall at the left end stops the car.

    | observation f32[2] | | range |
    |---|---|---|
    | 0 | position | [-1.2, 0.6] |
    | 1 | velocity, per step | [-0.07, 0.07] |

    | action f32[1] | | range |
    |---|---|---|
    | 0 | force, to the right; clipped | [-1, 1] |

    Reward: -0.1 action^2 for every step, and 100 for the step that reaches the goal.

    End: terminated where position >= 0.45 and velocity >= `goal_velocity` (0); truncated after 999 steps by the
    time limit.

    Start: position uniform in [-0.6, -0.4), velocity 0; `start_at` sets any other state.

    Inside `jit`, a force outside [-1, 1] is clipped, but the reward uses the value before clipping, as in Gymnasium;
    NaN gives a NaN state. `min_force` and `max_force` are static, because the action space depends on them.

    With the same actions, ends agree with Gymnasium's, and states agree with its states (also float32) to 1e-5 for 110
    steps, to 1e-4 for all 999.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.MountainCarContinuous()
    >>> state, obs = env.start_at(0.44, 0.03)
    >>> state, step = env.step(jax.random.key(0), state, jax.numpy.array([0.5]))
    >>> round(float(state.position), 4), round(float(step.reward), 4), bool(step.terminated)
    (0.4701, 99.975, True)
    """

    max_episode_steps = 999
    render_fps = 30
    keys_to_action = {  # noqa: RUF012
        "a": np.array([-1.0], np.float32),
        "s": np.array([0.0], np.float32),
        "d": np.array([1.0], np.float32),
    }

    #: The acceleration by a force of 1, per step squared.
    power: float = constant(0.0015, low=0.0)
    #: The force is clipped to these.
    min_force: float = static(-1.0, high=0.0)
    max_force: float = static(1.0, low=0.0)
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
    goal_position: float = 0.45
    goal_velocity: float = 0.0
    #: Reward of reaching the goal.
    goal_bonus: float = 100.0
    #: Cost of the square of the action.
    force_cost: float = constant(0.1, low=0.0)
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
        return spaces.Box(self.min_force, self.max_force, (1,), np.float32)

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
        after = rolled(self, state, self.power * jnp.clip(action[0], self.min_force, self.max_force))
        terminated = at_goal(self, after)
        reward = jnp.where(terminated, self.goal_bonus, 0.0) - self.force_cost * action[0] ** 2
        return after, Step(self.observe(after), reward, terminated)

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
