"""An environment of your own: two parts of a state, constants, a picture; checked, then trained for a moment.

python examples/own_environment.py
jaxenvs play examples/own_environment.py:Bathtub
"""

import argparse
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp

import jaxenvs
from train import ppo


class State(NamedTuple):
    water: jax.Array  # f32[], litres


class Bathtub(jaxenvs.Environment):
    """Keep the water at the mark with one tap.

    | action i32[] | |
    |---|---|
    | 0 | the tap is closed |
    | 1 | the tap is open |
    """

    max_episode_steps = 200
    keys_to_action = {"w": 1, "s": 0}  # noqa: RUF012
    idle_action = 0
    leak: float = jaxenvs.constant(0.1, low=0.0)  # litres a step
    inflow: float = jaxenvs.constant(0.3, low=0.0)  # litres a step
    mark: float = jaxenvs.constant(10.0, above=0.0)  # litres

    observation_space = gymnasium.spaces.Box(-jnp.inf, jnp.inf, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, key):
        state = State(jax.random.uniform(key, maxval=2 * self.mark))
        return state, self.observe(state)

    def step(self, key, state, action):
        after = State(state.water - self.leak + self.inflow * action)
        return after, jaxenvs.Step(self.observe(after), -jnp.abs(after.water / self.mark - 1), jnp.bool_(False))

    def observe(self, state):
        return (state.water / self.mark - 1)[None]

    def render(self, state):
        from jaxenvs.render import Canvas

        canvas = Canvas(240, 160)
        canvas.bar(20, 60, 220, 100, float(state.water / (2 * self.mark)), (52, 106, 232), (225, 228, 236))
        canvas.line([(120, 50), (120, 110)], (232, 60, 62), 2)
        canvas.text(120, 130, f"{float(state.water):.1f} litres", 16, (40, 40, 40), anchor="mm")
        return canvas.to_array()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--updates", type=int, default=20)
    options = parser.parse_args(arguments)

    print(jaxenvs.check_env(Bathtub()))
    config = ppo.Config(num_envs=options.num_envs, num_steps=40)
    _, metrics = ppo.train(config, Bathtub(), jax.random.key(0), num_updates=options.updates)
    returns = metrics.return_sum / jnp.maximum(metrics.episodes, 1)
    print(f"mean return, update by update: {[round(float(one), 1) for one in returns]}")
    return metrics


if __name__ == "__main__":
    main()
