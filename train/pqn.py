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

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxenvs import VectorEnv, constant, make_vec, rollout, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import gradients, networks
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.episodes import check_batch, episode_metrics, staggered
from .floor.exploration import best_action, epsilon_greedy, taken
from .floor.gradients import adam, descend, mean_gradient
from .floor.heads import acts_in, check_actions, features, num_features, to_action
from .floor.losses import huber, squared
from .floor.minibatches import segments, shuffled
from .floor.moments import Moments, discounted_sums, init_moments, standardise, update_moments
from .floor.returns import gae
from .floor.schedules import linear
from .floor.sharding import batch_sharding, per_device, replicate, replicated, shard

# Samples of a minibatch, for each device: with fewer, two devices were no faster than one with PPO.
_MIN_SAMPLES = 512

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("pqn", "discrete")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Step size of Adam at the start.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Step size at the end of the schedule, as a fraction of that at the start.
    final_learning_rate: float = constant(0.0, low=0.0)
    #: Updates over which the step size changes linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Decay of the trace of returns.
    lambda_: float = constant(0.9, low=0.0, high=1.0)
    #: Probability of a random action at the start.
    epsilon: float = constant(1.0, low=0.0, high=1.0)
    #: Probability of a random action at the end of exploration, as a fraction of that at the start.
    final_epsilon: float = constant(0.05, low=0.0, high=1.0)
    #: Part of schedule_updates over which epsilon changes linearly.
    exploration_fraction: float = constant(0.2, low=0.0, high=1.0)
    #: Maximum global norm of a gradient.
    max_grad_norm: float = constant(10.0, above=0.0)
    #: Environments stepped together.
    num_envs: int = static(128, low=1)
    #: Steps per environment and update.
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
    #: Standardise observations by running moments.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random ages, so that they do not all reach their time limit together.
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


def check(config, devices=1):
    """See `algorithm.Algorithm.check`."""
    networks.check(config.network, config.hidden, config.activation)
    if config.num_steps % config.segment:
        raise ValueError(f"num_steps must be a multiple of segment={config.segment}, got {config.num_steps}")
    total = steps_per_update(config) // config.segment
    if total % config.minibatches:
        raise ValueError(f"minibatches must divide num_envs * num_steps / segment = {total}, got {config.minibatches}")
    if devices < 1 or config.num_envs % devices or total // config.minibatches % devices:
        raise ValueError(
            f"devices must divide num_envs={config.num_envs} and the {total // config.minibatches} segments of a "
            f"minibatch, got {devices}"
        )


def useful_devices(config, available):
    """See `algorithm.Algorithm.useful_devices`: devices share evenly, and none has too little to do."""
    samples = steps_per_update(config) // config.minibatches

    def useful(count):
        even = not (config.num_envs % count or samples // config.segment % count)
        return even and samples // count >= _MIN_SAMPLES

    return max(n for n in range(1, max(1, available) + 1) if n == 1 or useful(n))


def steps_per_update(config):
    """See `algorithm.Algorithm.steps_per_update`."""
    return config.num_envs * config.num_steps


def warmup_steps(config):
    """See `algorithm.Algorithm.warmup_steps`."""
    return 0


def scheduled(config, num_updates):
    """See `algorithm.Algorithm.scheduled`."""
    horizon = jnp.where(config.schedule_updates == 0, float(num_updates), config.schedule_updates)
    return dataclasses.replace(config, schedule_updates=horizon)


def shardings(mesh, state):
    """See `algorithm.Algorithm.shardings`: each device holds its part of the environments, and all of the rest."""
    parts = {name: batch_sharding(mesh, getattr(state, name)) for name in ("discounted", "env_state", "obs")}
    return replicated(mesh, state)._replace(**parts)


@in_32_bits
def init(config, envs, key):
    """The initial training state; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("pqn", envs.single_action_space)
    params_key, env_key, age_key, run_key = jax.random.split(fusable(key), 4)
    inputs = num_features(envs.single_observation_space)
    params = networks.init(_network(config, envs), params_key, inputs)
    env_state, obs = envs.reset(env_key)
    state = TrainState(
        params=params,
        optimiser=gradients.init(adam(config.max_grad_norm), params),
        obs_moments=init_moments((inputs,)),
        return_moments=init_moments(()),
        discounted=jnp.zeros(config.num_envs),
        env_state=staggered(envs, env_state, age_key) if config.stagger else env_state,
        obs=obs,
        epsilon=jnp.asarray(config.epsilon, jnp.float32),
        key=run_key,
        updates=jnp.int32(0),
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
    if mesh is not None:
        state = jax.lax.with_sharding_constraint(state, shardings(mesh, state))
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    horizon = config.exploration_fraction * config.schedule_updates
    state = state._replace(epsilon=linear(config.epsilon, config.final_epsilon, state.updates, horizon))
    env_state, obs, steps = _play(config, envs, state, play_key)
    done = steps.terminated | steps.truncated
    sums, discounted = discounted_sums(steps.reward, done, state.discounted, gamma=config.gamma)
    return_moments = update_moments(state.return_moments, sums)
    batch = _prepare(config, state._replace(return_moments=return_moments), steps, mesh)
    params, optimiser, means = _learn(config, envs, state, replicate(mesh, batch), learn_key, mesh)
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
    envs = envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)

    @in_32_bits
    def act(key, obs):
        q = _values(config, envs, state, features(envs.single_observation_space, obs))
        choice = best_action(q) if greedy else epsilon_greedy(fusable(key), q, state.epsilon)
        return to_action(envs.single_action_space, choice)

    return act


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)
    moments = state.obs_moments if config.normalise_observations else None
    return Actor(_network(config, envs), state.params, moments)


def values(config, envs, params, x):
    """The values f32[..., actions] at standardised features f32[..., inputs]."""
    return networks.apply(_network(config, envs), params, x)


def learning_rate(config, updates):
    """The step size after this number of updates."""
    return linear(config.learning_rate, config.final_learning_rate, updates, config.schedule_updates)


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
    return values(config, envs, state.params, _standardised(config, state.obs_moments, raw))


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
        reward = steps.reward
        if config.scale_rewards:
            reward = reward / jnp.maximum(jnp.sqrt(state.return_moments.variance), 1e-4)
        ends = steps.terminated, steps.truncated
        target = lambda_returns(reward, steps.best, steps.next_best, *ends, gamma=config.gamma, lambda_=config.lambda_)
        return Batch(_standardised(config, state.obs_moments, steps.features), steps.choice, target)

    # Of the state, what all devices hold alike.
    shared = state._replace(discounted=(), env_state=(), obs=())
    return per_device(mesh, prepare, steps, axis=1, config=config, state=shared)


def _learn(config, envs, state, batch, key, mesh):
    """epochs x minibatches gradient steps: (params, optimiser, means)."""
    data = jax.tree.map(lambda x: segments(x, config.segment), batch)
    rows = shuffled(key, data.target.shape[0], config.epochs, config.minibatches, mesh)

    def learn(rows, config, data, step_size, learner):
        optimiser = adam(config.max_grad_norm)

        def step(carry, rows):
            params, optimiser_state = carry
            minibatch = jax.tree.map(lambda x: x[rows].reshape(-1, *x.shape[2:]), data)
            gradient, parts = mean_gradient(mesh, lambda params: loss(config, envs, params, minibatch), params)
            return descend(optimiser, optimiser_state, params, gradient, step_size), parts

        return jax.lax.scan(step, learner, rows)

    learner = state.params, state.optimiser
    (params, optimiser), parts = per_device(
        mesh, learn, shard(mesh, rows, axis=1), axis=1, together=True, config=config, data=data,
        step_size=learning_rate(config, state.updates), learner=learner,
    )  # fmt: skip
    return params, optimiser, {name: part.mean() for name, part in parts.items()}


def _network(config, envs):
    body = networks.body(
        config.network, envs.single_observation_space, hidden=config.hidden, activation=config.activation,
        layer_norm=config.layer_norm,
    )  # fmt: skip
    return networks.Network(body, int(envs.single_action_space.n), scale=0.01)


def _standardised(config, moments, x):
    return standardise(moments, x, clip=10.0) if config.normalise_observations else x
