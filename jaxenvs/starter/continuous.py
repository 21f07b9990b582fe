"""MyEnv: keep a greenhouse warm with a heater of any power. A starting point to change.

python -m jaxenvs check my_env.py:MyEnv                                   what holds, and what to fix
python -m jaxenvs train ppo --env my_env.py:MyEnv --total-steps 500_000   an agent, its curve and its film
"""

from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs


class State(NamedTuple):
    """Everything that changes from step to step: arrays only, without a key or a count of the episode's steps."""

    #: f32[], °C, in the greenhouse.
    temperature: jax.Array
    #: f32[], °C, outside.
    outside: jax.Array


class MyEnv(jaxenvs.Environment):
    """A greenhouse on a cold day; its heater costs fuel, and a frost kills the plants.

    Observation f32[2]: how far inside and outside are from the wanted temperature, in units of 10 °C.
    Action f32[1]: the heater's power, 0 is off and 1 is full; clipped to that.
    Reward: minus the square of the first observation, minus the fuel.
    End: terminated by frost; truncated after a day.
    """

    #: An episode is truncated after this many steps. VectorEnv and the bridges do it, not this class.
    max_episode_steps = 240
    #: Frames per second of a film.
    render_fps = 30

    # The constants: a type, a default, and the allowed values. `MyEnv(loss=0.8)` changes one.
    #: Length of a step, hours.
    dt: float = jaxenvs.constant(0.1, above=0.0, high=1.0)
    #: Fraction of the difference to the outside that is lost in an hour.
    loss: float = jaxenvs.constant(0.5, low=0.0, high=2.0)
    #: Heating at full power, °C per hour.
    heater_power: float = jaxenvs.constant(12.0, low=0.0)
    #: The temperature that the plants need, °C.
    wanted: float = jaxenvs.constant(20.0, low=5.0, high=40.0)
    #: Mean of the outside temperature, °C, and size of its random changes, °C per hour.
    outside_mean: float = 5.0
    outside_noise: float = jaxenvs.constant(3.0, low=0.0)
    #: Cost of an hour at full power, and of a frost.
    fuel_price: float = jaxenvs.constant(1.0, low=0.0)
    frost_penalty: float = jaxenvs.constant(50.0, low=0.0)

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    @property
    def action_space(self):
        return gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)

    # An episode's start. Everything random is drawn here, as plain uniforms or normals with `shape` in front ...
    def draw_start(self, key, shape=()):
        return jax.random.uniform(key, (*shape, 2))

    # ... and becomes a state and its observation here, with the help of the constants.
    def start(self, draws):
        state = State(temperature=10.0 + 20.0 * draws[0], outside=self.outside_mean + 5.0 * (2.0 * draws[1] - 1.0))
        return state, self.observe(state)

    # A step, in the same two parts. For several draws, use `a_key, b_key = jax.random.split(key)`.
    def draw(self, key, shape=()):
        return jax.random.normal(key, shape)

    # No Python `if` on a traced value: choose with jnp.where. Do not change anything in place: return a new state.
    def transition(self, state, action, draws):
        power = jnp.clip(action[0], 0.0, 1.0)
        heating = self.heater_power * power - self.loss * (state.temperature - state.outside)
        wandering = (self.outside_mean - state.outside) * self.dt / 4.0 + self.outside_noise * self.dt * draws
        after = State(state.temperature + self.dt * heating, state.outside + wandering)
        frozen = after.temperature < 0.0
        discomfort = ((after.temperature - self.wanted) / 10.0) ** 2
        reward = -discomfort - self.fuel_price * self.dt * power - jnp.where(frozen, self.frost_penalty, 0.0)
        return after, jaxenvs.Step(self.observe(after), reward, frozen)

    # Networks learn best from numbers near 1.
    def observe(self, state):
        return (jnp.stack([state.temperature, state.outside]) - self.wanted) / 10.0

    # Optional: a picture, uint8[height, width, 3], of one state as NumPy numbers, for films and windows. docs/play.md
    # has the shapes of Canvas, which needs Pillow: pip install "jaxenvs[play]"
    def render(self, state):
        from jaxenvs.render import Canvas

        canvas = Canvas(320, 150, (246, 247, 250))
        rows = [
            ("inside", state.temperature, (96, 168, 110)),
            ("outside", state.outside, (120, 160, 220)),
            ("wanted", self.wanted, (216, 84, 64)),
        ]
        for y, (label, celsius, colour) in zip((35, 75, 115), rows, strict=True):
            canvas.text(16, y, f"{label}: {float(celsius):.1f}", 14, (40, 44, 60))
            canvas.bar(130, y - 8, 304, y + 8, (float(celsius) + 10.0) / 50.0, colour, (224, 228, 236))
        return canvas.to_array()
