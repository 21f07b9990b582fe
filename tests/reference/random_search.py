"""Random search over a linear policy: the smallest algorithm that keeps the contract of `train/algorithm.py`.

repeat: try the best policy with noise in its weights in every environment; keep it if its mean return is higher
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs import VectorEnv, constant, make_vec, rollout, static
from jaxenvs.random import fusable
from train.floor.config import hyperparameters
from train.floor.episodes import check_batch, episode_metrics
from train.floor.heads import distribution_over, features, num_features, num_outputs, to_action
from train.floor.sharding import replicated

# Not declared: the errors of the others would name it.
ACTIONS = "discrete", "choices", "box"


@hyperparameters
class Config:
    """Hyperparameters."""

    #: Standard deviation of the noise in the weights.
    noise: float = constant(1.0, low=0.0)
    #: Environments played together.
    num_envs: int = static(16, low=1)
    #: Steps in each of them.
    num_steps: int = static(64, low=1)


class TrainState(NamedTuple):
    """The full training state."""

    #: f32[features + 1, outputs], the best weights so far; the last row is added to the outputs.
    weights: jax.Array
    #: f32[], their mean reward per step.
    best: jax.Array
    key: jax.Array
    updates: jax.Array


def check(config, devices=1):
    if devices != 1:
        raise ValueError(f"devices must be 1, got {devices}")


def useful_devices(config, available):
    return 1


def steps_per_update(config):
    return config.num_envs * config.num_steps


def warmup_steps(config):
    return 0


def scheduled(config, num_updates):
    return config


def shardings(mesh, state):
    return replicated(mesh, state)


def init(config, envs, key):
    check(config)
    check_batch(envs, config.num_envs)
    inputs, outputs = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    least = jnp.float32(jnp.finfo(jnp.float32).min)
    return TrainState(jnp.zeros((inputs + 1, outputs)), least, fusable(key), jnp.int32(0))


@functools.partial(jax.jit, static_argnames="mesh")
def update(config, envs, state, mesh=None):
    reset_key, noise_key, play_key = jax.random.split(jax.random.fold_in(state.key, state.updates), 3)
    weights = state.weights + config.noise * jax.random.normal(noise_key, state.weights.shape)
    env_state, obs = envs.reset(reset_key)
    _, _, steps = rollout(envs, _act(envs, weights), play_key, env_state, obs, config.num_steps)
    reward = steps.reward.mean()
    after = TrainState(
        jnp.where(reward > state.best, weights, state.weights), jnp.maximum(reward, state.best), state.key,
        state.updates + 1,
    )  # fmt: skip
    done = steps.terminated | steps.truncated
    return after, episode_metrics(done, steps.episode_return, steps.episode_length, {"best": after.best})


def train(config, env, key, num_updates):
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    return _act(envs if isinstance(envs, VectorEnv) else make_vec(envs, 1), state.weights)


def _act(envs, weights) -> Any:
    def act(key, obs):
        x = features(envs.single_observation_space, obs)
        outputs = x @ weights[:-1] + jnp.broadcast_to(weights[-1], (*x.shape[:-1], weights.shape[1]))
        chosen = distribution_over(envs.single_action_space, outputs, jnp.zeros(weights.shape[1]))
        return to_action(envs.single_action_space, chosen.mode())

    return act
