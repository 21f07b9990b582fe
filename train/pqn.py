"""Parallelised Q-network (Gallici et al. 2024, arXiv:2407.04811): Q-learning without replay and target network.

    repeat:
        play num_steps in num_envs environments: argmax_a Q(s, a), or with probability epsilon any action
        G_t = r_t + gamma * ((1 - lambda) * max_a Q(s_{t+1}, a) + lambda * G_{t+1})
        epochs x minibatches times, over shuffled segments of episodes:
            minimise (Q(s_t, a_t) - G_t)**2 / 2

Layers are normalised (Ba et al. 2016), which is what keeps the values from diverging without a target network.

Differences from the paper: Adam instead of rectified Adam, observations standardised and rewards scaled by running
statistics in the learner's state. A time limit is not a terminal state: the returns bootstrap from `final_obs`, and
only a termination cuts them; the lambda-trace is cut by either end.
"""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxenvs import constant, make_vec, rollout, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import gradients, minibatches, networks, running, schedules
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.episodes import check_batch, episode_metrics
from .floor.exploration import best_action, epsilon_greedy, taken
from .floor.gradients import adam
from .floor.heads import acts_in, check_actions, features, num_features, to_action
from .floor.losses import huber, squared
from .floor.minibatches import descents, shuffled_segments
from .floor.moments import Moments, update_moments
from .floor.policies import batch_of, policy_of
from .floor.returns import gae
from .floor.schedules import exploration, learning_rate
from .floor.sharding import per_device, replicate, sharded

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("pqn", "discrete")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Learning rate of Adam at the start.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Learning rate at the end of the schedule, as a fraction of the initial one.
    final_learning_rate: float = constant(0.0, low=0.0)
    #: Updates over which the learning rate changes linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Lambda of the lambda-return.
    lambda_: float = constant(0.9, low=0.0, high=1.0)
    #: Probability of a random action at the start.
    epsilon: float = constant(1.0, low=0.0, high=1.0)
    #: Probability of a random action at the end of exploration, as a fraction of the initial one.
    final_epsilon: float = constant(0.05, low=0.0, high=1.0)
    #: Fraction of schedule_updates over which epsilon changes linearly.
    exploration_fraction: float = constant(0.2, low=0.0, high=1.0)
    #: Maximum global norm of a gradient.
    max_grad_norm: float = constant(10.0, above=0.0)
    #: Environments stepped together.
    num_envs: int = static(128, low=1)
    #: Steps of each environment per update.
    num_steps: int = static(32, low=1)
    #: Passes over the data of an update.
    epochs: int = static(2, low=1, high=10_000)
    #: Parts of the data, one gradient step each.
    minibatches: int = static(8, low=1)
    #: Consecutive steps that stay together when the data is shuffled.
    segment: int = static(4, low=1)
    #: Huber loss, linear beyond an error of 1; if False, the squared error.
    huber: bool = static(False)
    #: Normalise the outputs of each hidden layer of mlp.
    layer_norm: bool = static(True)
    #: Normalise observations with their running mean and standard deviation.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random step counts, so that they do not all reach the time limit together.
    stagger: bool = static(True)
    #: The body of the network: mlp, cnn or small-cnn (from Python also a flax.linen module).
    network: Any = static("mlp")
    #: Widths of the hidden layers of mlp.
    hidden: tuple[int, ...] = static((64, 64))
    #: Activation of mlp: tanh, relu, elu, gelu, silu, sigmoid or linear.
    activation: str = static("relu")


class TrainState(NamedTuple):
    """The full training state."""

    #: Parameters of the network, a dict.
    params: Any
    #: Adam's state.
    optimiser: Any
    #: Moments of the observation features, f32[features].
    obs_moments: Moments
    #: Moments of the discounted return, f32[].
    return_moments: Moments
    #: f32[num_envs], running discounted returns.
    discounted: jax.Array
    #: The environments: `VectorState`, and the observations to act on.
    env_state: Any
    obs: Any
    #: f32[], the probability of a random action in the last update.
    epsilon: jax.Array
    #: The run's key; update u uses `fold_in(key, u)`.
    key: jax.Array
    #: i32[], updates made.
    updates: jax.Array


class Batch(NamedTuple):
    """What the loss reads of a step; arrays are [..., axes of a sample]."""

    #: Standardised features of the observation.
    features: jax.Array
    action: jax.Array
    #: f32[...], the lambda-return.
    target: jax.Array


#: See `algorithm.Algorithm`; all learners from what they just played have these in common.
check = minibatches.check
steps_per_update = minibatches.steps_per_update
warmup_steps = minibatches.warmup_steps
useful_devices = minibatches.useful_devices
scheduled = schedules.scheduled
shardings = running.shardings


@in_32_bits
def init(config, envs, key):
    """The initial training state; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("pqn", envs.single_action_space)
    params_key, env_key, age_key, run_key = jax.random.split(fusable(key), 4)
    inputs = num_features(envs.single_observation_space)
    params = networks.init(_network(config, envs), params_key, inputs)
    state = TrainState(
        params=params,
        optimiser=gradients.init(adam(config.max_grad_norm), params),
        epsilon=jnp.asarray(config.epsilon, jnp.float32),
        key=run_key,
        updates=jnp.int32(0),
        **running.begun(config, envs, env_key, age_key),
    )
    return varying_as(key, state)


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and learns from them; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the loss and of the values of the actions taken, and
    besides epsilon and the step size.
    """
    check_batch(envs, config.num_envs)
    state = sharded(mesh, state, shardings)
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    state = state._replace(epsilon=exploration(config, state.updates))
    env_state, obs, steps = _play(config, envs, state, play_key)
    done = steps.terminated | steps.truncated
    return_moments, discounted = running.returns(config, state, steps.reward, done)
    batch = _prepare(config, state._replace(return_moments=return_moments), steps, mesh)
    (params, optimiser), means = _learn(config, envs, state, replicate(mesh, batch), learn_key, mesh)
    means |= {"epsilon": state.epsilon, "learning_rate": learning_rate(config, state.updates)}
    after = state._replace(
        params=params, optimiser=optimiser, return_moments=return_moments, discounted=discounted, env_state=env_state,
        obs=obs, updates=state.updates + 1,
        # The moments change only now: the batch was acted on, and is learned from, with the old ones.
        obs_moments=update_moments(state.obs_moments, steps.features),
    )  # fmt: skip
    return after, episode_metrics(done, steps.episode_return, steps.episode_length, means)


@in_32_bits
def train(config, env, key, num_updates):
    """An entire run as one pure function; see `algorithm.Algorithm.train`."""
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    """The best known actions, or those with the present epsilon; see `algorithm.Algorithm.policy`."""
    envs = batch_of(envs)

    def choose(key, raw):
        q = _values(config, envs, state, raw)
        return best_action(q) if greedy else epsilon_greedy(fusable(key), q, state.epsilon)

    return policy_of(envs, choose)


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = batch_of(envs)
    moments = state.obs_moments if config.normalise_observations else None
    return Actor(_network(config, envs), state.params, moments)


def values(config, envs, params, x):
    """The values f32[..., actions] at standardised features f32[..., inputs]."""
    return networks.apply(_network(config, envs), params, x)


def lambda_returns(reward, value, next_value, terminated, truncated, *, gamma, lambda_):
    """G_t = r_t + gamma * ((1 - lambda) * v'_t + lambda * G_{t+1}), and r_t + gamma * v'_t where the trace is cut.

    v'_t counts nothing where the episode terminated (Daley and Amato 2019, arXiv:1810.09967, section 3).

    Args, Raises: as for `floor.returns.gae`; values are those of the best actions.
    Returns:
        f32[T, N].
    """
    return value + gae(reward, value, next_value, terminated, truncated, gamma=gamma, lambda_=lambda_)


def loss(config, envs, params, batch):
    """The error of the values of the actions taken.

    Args:
        config, envs: as for `update`.
        params: the network's parameters.
        batch: `Batch` of [samples, ...].
    Returns:
        (f32[], dict of f32[]): what to minimise, and what there is to report.
    """
    chosen = taken(values(config, envs, params, batch.features)[..., None], batch.action)[..., 0]
    chex.assert_equal_shape([chosen, batch.target])
    error = batch.target - chosen
    total = (huber(error) if config.huber else squared(error)).mean()
    return total, {"value_loss": total, "value": chosen.mean()}


class _Steps(NamedTuple):
    features: jax.Array
    choice: jax.Array
    # f32[...], the values of the best actions at the observation, and at the last one of the step.
    best: jax.Array
    next_best: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


def _values(config, envs, state, raw):
    """f32[..., actions] at features f32[..., inputs] that are not standardised yet."""
    return values(config, envs, state.params, running.seen(config, state, raw))


def _play(config, envs, state, key):
    """num_steps steps of the present policy: (env_state, obs, _Steps of [num_steps, num_envs, ...])."""
    space = envs.single_observation_space

    def act(key, obs):
        raw = features(space, obs)
        q = _values(config, envs, state, raw)
        choice = epsilon_greedy(key, q, state.epsilon)
        return to_action(envs.single_action_space, choice), (raw, choice, q.max(-1))

    def collect(obs, action, extra, step):
        # Here, where a step's numbers are in the cache: for all steps together it takes CPUs four times as long.
        next_best = _values(config, envs, state, features(space, step.final_obs)).max(-1)
        raw, choice, best = extra
        ends = step.terminated, step.truncated
        return _Steps(raw, choice, best, next_best, step.reward, *ends, step.episode_return, step.episode_length)

    return rollout(envs, act, key, state.env_state, state.obs, config.num_steps, collect)


def _prepare(config, state, steps, mesh):
    """The `Batch` of [num_steps, num_envs, ...] to learn from."""

    def prepare(steps, config, state):
        reward = running.scaled(config, state, steps.reward)
        ends = steps.terminated, steps.truncated
        target = lambda_returns(reward, steps.best, steps.next_best, *ends, gamma=config.gamma, lambda_=config.lambda_)
        return Batch(running.seen(config, state, steps.features), steps.choice, target)

    # Of the state, what all devices hold alike.
    shared = state._replace(discounted=(), env_state=(), obs=())
    return per_device(mesh, prepare, steps, axis=1, config=config, state=shared)


def _learn(config, envs, state, batch, key, mesh):
    """epochs x minibatches gradient steps: ((params, optimiser), means)."""
    data, rows = shuffled_segments(config, batch, key, mesh)

    def cost(config, params, minibatch, *_):
        return loss(config, envs, params, minibatch)

    learner, step_size = (state.params, state.optimiser), learning_rate(config, state.updates)
    return descents(mesh, cost, learner, data, rows, config=config, step_size=step_size)


def _network(config, envs):
    return networks.Network(networks.body_of(config, envs), int(envs.single_action_space.n), scale=0.01)
