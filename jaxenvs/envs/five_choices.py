"""FiveChoices: five actions, one of which pays."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from gymnasium import spaces

from jaxenvs.constants import constant
from jaxenvs.core import Environment, Step


class State(NamedTuple):
    """Before the choice, or after it."""

    #: i32[], 0 before the choice, 1 after it.
    chosen: jax.Array
    #: i32[], the action that led here, -1 at the start; for the picture, no later step reads it.
    last_action: jax.Array


class FiveChoices(Environment):
    """Choose one of five actions; only one of them gives a positive reward.

    Source: example 1 of "How to create a custom Reinforcement Learning Environment in Gymnasium with Ray" (`MyEnv`).

    | observation i32[] | |
    |---|---|
    | 0 | nothing is chosen yet |
    | 1 | the choice is made |

    | action i32[] | |
    |---|---|
    | 0, 1, 3, 4 | a wrong choice |
    | 2 | the right choice |

    Reward: 1 for the right choice, -1 for every other choice.

    End: terminated after one step.

    Inside `jit`, an action outside 0..4 is a wrong choice.

    >>> import jax, jaxenvs
    >>> env = jaxenvs.FiveChoices()
    >>> state, obs = env.reset(jax.random.key(0))
    >>> state, step = env.step(jax.random.key(1), state, 2)
    >>> int(step.obs), float(step.reward), bool(step.terminated)
    (1, 1.0, True)
    """

    max_episode_steps = 1
    render_fps = 2
    keys_to_action = {"1": 0, "2": 1, "3": 2, "4": 3, "5": 4}  # noqa: RUF012

    #: The choice that pays.
    paying_choice: int = constant(2, low=0, high=4)
    #: Reward of that choice, and of every other choice.
    payment: float = 1.0
    other_payment: float = -1.0

    @property
    def observation_space(self):
        return spaces.Discrete(2)

    @property
    def action_space(self):
        return spaces.Discrete(5)

    def draw_start(self, key, shape=()):
        # Nothing is random; the zeros have the shape of the batch.
        return jnp.zeros(shape, jnp.int32)

    def start(self, draws):
        state = State(chosen=draws, last_action=draws - 1)
        return state, self.observe(state)

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        reward = jnp.where(action == self.paying_choice, self.payment, self.other_payment)
        after = State(chosen=jnp.ones_like(state.chosen), last_action=action)
        return after, Step(self.observe(after), reward, after.chosen == 1)

    def observe(self, state):
        return state.chosen

    def render(self, state):
        from jaxenvs.render import five_choices

        return five_choices.picture(last_action=int(state.last_action), paying_choice=int(self.paying_choice))
