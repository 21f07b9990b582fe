"""Environments whose values are known by hand, for trainers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from gymnasium import spaces

import jaxenvs


class ProbeState(NamedTuple):
    sign: jax.Array
    age: jax.Array


class Probe(jaxenvs.Environment):
    """Two choices (0 is -1, 1 is +1), a sign that lasts for the episode, and values that are known by hand."""

    max_episode_steps = 4

    #: Steps after which an episode ends by itself.
    horizon: int = 1
    #: Whether the second number observed is the age of the episode; it is 0 else.
    clock: bool = True
    #: Paid at every step.
    always: float = 0.0
    #: Paid at the last step.
    at_last: float = 0.0
    #: Paid at every step, times the sign; times the choice; times both.
    by_sign: float = 0.0
    by_choice: float = 0.0
    by_match: float = 0.0

    @property
    def observation_space(self):
        return spaces.Box(-1.0, 4.0, (2,))

    @property
    def action_space(self):
        return spaces.Discrete(2)

    def draw_start(self, key, shape=()):
        return jax.random.bernoulli(key, shape=shape)

    def start(self, draws):
        state = ProbeState(jnp.where(draws, 1.0, -1.0), jnp.int32(0))
        return state, self.observed(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        choice = 2.0 * action - 1.0
        after = state._replace(age=state.age + 1)
        terminated = after.age >= self.horizon
        reward = self.always + self.by_sign * state.sign + self.by_choice * choice + self.by_match * state.sign * choice
        return after, jaxenvs.Step(self.observed(after), reward + self.at_last * terminated, terminated)

    def observed(self, state):
        return jnp.stack([state.sign, jnp.where(self.clock, state.age, 0).astype(jnp.float32)])


class Pushed(Probe):
    """`Probe` with a force instead of the two choices: what a choice of -1 or 1 pays, a force pays in proportion.

    The box is wider than that, so that a force of at least 1 is easy to find.
    """

    @property
    def action_space(self):
        return spaces.Box(-2.0, 2.0, (1,))

    def transition(self, state, action, draws):
        return super().transition(state, 0.5 * (1.0 + jnp.clip(action[0], -1.0, 1.0)), draws)


class Target(jaxenvs.Environment):
    """One step; the reward is minus the squared distance of the action from a place in the box."""

    max_episode_steps = 4
    place: float = 3.5

    @property
    def observation_space(self):
        return spaces.Box(0.0, 1.0, (1,))

    @property
    def action_space(self):
        return spaces.Box(2.0, 6.0, (1,))

    def reset(self, key):
        return jnp.zeros(()), jnp.zeros(1)

    def step(self, key, state, action):
        return state, jaxenvs.Step(jnp.zeros(1), -((action[0] - self.place) ** 2), jnp.bool_(True))
