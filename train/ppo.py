"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347), with a clipped objective.

    repeat:
        play num_steps in num_envs environments with the policy pi_old
        A_t = generalised advantages, from the values of the true successor observations
        epochs x minibatches times, over shuffled segments of episodes:
            ratio_t = pi(a_t | s_t) / pi_old(a_t | s_t)
            minimise -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) + value_cost * (v - target)**2 / 2
                     - entropy_bonus * entropy

Differences from the paper, all after Andrychowicz et al. 2021 (arXiv:2006.05990) or Engstrom et al. 2020
(arXiv:2005.12729): separate actor and critic, observations standardised and rewards scaled by running statistics in
the learner's state, advantages standardised per minibatch, the global norm of gradients bounded. A time limit is not
a terminal state: targets bootstrap from `final_obs`, and only a termination cuts them.
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
from .floor.gradients import adam
from .floor.heads import acts_in, choices, distribution_over, features, num_features, num_outputs, to_action
from .floor.minibatches import descents, shuffled_segments
from .floor.moments import Moments, update_moments
from .floor.policies import batch_of, policy_of
from .floor.returns import gae
from .floor.schedules import learning_rate, linear
from .floor.sharding import per_device, replicate, sharded

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("ppo", "discrete", "choices", "box")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Learning rate of Adam at the start.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Learning rate at the end of the schedule, as a fraction of the initial one.
    final_learning_rate: float = constant(0.0, low=0.0)
    #: Updates over which rates change linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Lambda of the generalised advantage estimate (GAE).
    lambda_: float = constant(0.95, low=0.0, high=1.0)
    #: Clipping range of the probability ratio around 1 (epsilon in the paper).
    clip: float = constant(0.2, above=0.0)
    #: Clipping range of the value update, if clip_values is on.
    value_clip: float = constant(0.2, above=0.0)
    #: Weight of the value loss.
    value_cost: float = constant(0.5, low=0.0)
    #: Weight of the policy's entropy at the start.
    entropy_bonus: float = constant(0.0, low=0.0)
    #: Weight of the entropy at the end of the schedule, as a fraction of the initial one.
    final_entropy_bonus: float = constant(1.0, low=0.0)
    #: Maximum global norm of a gradient.
    max_grad_norm: float = constant(0.5, above=0.0)
    #: Initial log standard deviation of continuous actions.
    log_std: float = constant(0.0, low=-20.0, high=10.0)
    #: Environments stepped together.
    num_envs: int = static(256, low=1)
    #: Steps of each environment per update.
    num_steps: int = static(128, low=1)
    #: Passes over the data of an update.
    epochs: int = static(4, low=1, high=10_000)
    #: Parts of the data, one gradient step each.
    minibatches: int = static(4, low=1)
    #: Consecutive steps that stay together when the data is shuffled.
    segment: int = static(8, low=1)
    #: The body of actor and critic: mlp, cnn or small-cnn (from Python also a flax.linen module).
    network: Any = static("mlp")
    #: Widths of the hidden layers of mlp.
    hidden: tuple[int, ...] = static((64, 64))
    #: Activation of mlp: tanh, relu, elu, gelu, silu, sigmoid or linear.
    activation: str = static("tanh")
    #: Normalise observations with their running mean and standard deviation.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Normalise the advantages of each minibatch.
    normalise_advantages: bool = static(True)
    #: Start the first episodes at random step counts, so that they do not all reach the time limit together.
    stagger: bool = static(True)
    #: Clip the value loss in the same way as the policy objective.
    clip_values: bool = static(False)


class Params(NamedTuple):
    """What gradients change."""

    #: Parameters of flax modules, dicts.
    actor: Any
    critic: Any
    #: f32[action axes], of continuous actions; empty for discrete ones.
    log_std: jax.Array


class TrainState(NamedTuple):
    """The full training state."""

    params: Params
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
    #: The run's key; update u uses `fold_in(key, u)`.
    key: jax.Array
    #: i32[], updates made.
    updates: jax.Array


class Batch(NamedTuple):
    """What the losses read of a transition; arrays are [..., sample axes]."""

    features: jax.Array
    sample: jax.Array
    log_prob: jax.Array
    value: jax.Array
    advantage: jax.Array


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
    actor_key, critic_key, env_key, age_key, run_key = jax.random.split(fusable(key), 5)
    inputs, outputs = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    actor, critic = _networks(config, envs)
    params = Params(
        actor=networks.init(actor, actor_key, inputs),
        critic=networks.init(critic, critic_key, inputs),
        log_std=jnp.full(0 if choices(envs.single_action_space) else outputs, config.log_std, jnp.float32),
    )
    state = TrainState(
        params=params,
        optimiser=gradients.init(adam(config.max_grad_norm), params),
        key=run_key,
        updates=jnp.int32(0),
        **running.begun(config, envs, env_key, age_key),
    )
    return varying_as(key, state)


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and learns from them; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the losses, the entropy, the approximate KL divergence
    and the fraction of clipped ratios, and besides the values' explained variance and the step size.
    """
    check_batch(envs, config.num_envs)
    state = sharded(mesh, state, shardings)
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    env_state, obs, steps = _play(config, envs, state, play_key)
    done = steps.terminated | steps.truncated
    return_moments, discounted = running.returns(config, state, steps.reward, done)
    batch, explained_variance = _prepare(config, envs, state._replace(return_moments=return_moments), steps, mesh)
    (params, optimiser), means = _learn(config, envs, state, replicate(mesh, batch), learn_key, mesh)
    means |= {"explained_variance": explained_variance, "learning_rate": learning_rate(config, state.updates)}
    # The moments change only now: the batch was acted on, and is learned from, with the old ones.
    obs_moments = update_moments(state.obs_moments, steps.features)
    after = TrainState(
        params, optimiser, obs_moments, return_moments, discounted, env_state, obs, state.key, state.updates + 1
    )
    return after, episode_metrics(done, steps.episode_return, steps.episode_length, means)


@in_32_bits
def train(config, env, key, num_updates):
    """An entire run as one pure function; see `algorithm.Algorithm.train`."""
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    """The learned policy; see `algorithm.Algorithm.policy`."""
    envs = batch_of(envs)

    def choose(key, raw):
        pi = distribution(config, envs, state.params, running.seen(config, state, raw))
        return pi.mode() if greedy else pi.sample(fusable(key))

    return policy_of(envs, choose)


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = batch_of(envs)
    moments = state.obs_moments if config.normalise_observations else None
    return Actor(_networks(config, envs)[0], state.params.actor, moments)


def distribution(config, envs, params, x):
    """The policy's distribution at standardised features f32[..., inputs]."""
    outputs = networks.apply(_networks(config, envs)[0], params.actor, x)
    return distribution_over(envs.single_action_space, outputs, params.log_std)


def value(config, envs, params, x):
    """The values f32[...] at standardised features f32[..., inputs]."""
    return networks.apply(_networks(config, envs)[1], params.critic, x)[..., 0]


def loss(config, envs, params, batch, entropy_bonus, moments=None):
    """The clipped objective, the value loss and the entropy of a minibatch, or of a device's part of one.

    Args:
        config, envs: as for `update`.
        params: `Params`.
        batch: `Batch` of [samples, ...].
        entropy_bonus: weight of the entropy.
        moments: mean and standard deviation of the entire minibatch's advantages (default: those of `batch`).
    Returns:
        (f32[], dict of f32[]): what to minimise, and its parts.
    """
    chex.assert_rank([batch.log_prob, batch.value, batch.advantage], 1)
    pi = distribution(config, envs, params, batch.features)
    policy_cost, kl, clipped = policy_loss(config, pi.log_prob(batch.sample), batch, moments)
    value_cost = value_loss(config, value(config, envs, params, batch.features), batch)
    entropy = pi.entropy().mean()
    total = policy_cost + config.value_cost * value_cost - entropy_bonus * entropy
    parts = {"policy_loss": policy_cost, "value_loss": value_cost, "entropy": entropy, "kl": kl, "clipped": clipped}
    return total, parts


def policy_loss(config, log_prob, batch, moments=None):
    """Minus the clipped objective (eq. 7), with the estimated KL divergence and the fraction of clipped samples."""
    chex.assert_equal_shape([log_prob, batch.log_prob, batch.advantage])
    advantage = batch.advantage
    if config.normalise_advantages:
        mean, std = (advantage.mean(), advantage.std()) if moments is None else moments
        advantage = (advantage - mean) / (std + 1e-8)
    log_ratio = log_prob - batch.log_prob
    ratio = jnp.exp(log_ratio)
    bounded = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
    objective = jnp.minimum(ratio * advantage, bounded * advantage).mean()
    return -objective, (ratio - 1 - log_ratio).mean(), (jnp.abs(ratio - 1) > config.clip).mean()


def value_loss(config, value, batch):
    """Half the mean squared error of the values, optionally the worse of it and the clipped one."""
    chex.assert_equal_shape([value, batch.value, batch.advantage])
    target = batch.value + batch.advantage
    error = (value - target) ** 2
    if config.clip_values:
        near = batch.value + jnp.clip(value - batch.value, -config.value_clip, config.value_clip)
        error = jnp.maximum(error, (near - target) ** 2)
    return 0.5 * error.mean()


class _Steps(NamedTuple):
    features: jax.Array
    final_features: jax.Array
    sample: jax.Array
    log_prob: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


def _play(config, envs, state, key):
    """num_steps steps of the present policy: (env_state, obs, _Steps of [num_steps, num_envs, ...])."""

    def act(key, obs):
        raw = features(envs.single_observation_space, obs)
        pi = distribution(config, envs, state.params, running.seen(config, state, raw))
        sample = pi.sample(key)
        return to_action(envs.single_action_space, sample), (raw, sample, pi.log_prob(sample))

    def collect(obs, action, extra, step):
        raw, sample, log_prob = extra
        final = features(envs.single_observation_space, step.final_obs)
        ends = step.terminated, step.truncated
        return _Steps(raw, final, sample, log_prob, step.reward, *ends, step.episode_return, step.episode_length)

    return rollout(envs, act, key, state.env_state, state.obs, config.num_steps, collect)


def _prepare(config, envs, state, steps, mesh):
    """The `Batch` of [num_steps, num_envs, ...] to learn from, and the values' explained variance."""

    def prepare(steps, config, state):
        x = running.seen(config, state, steps.features)
        final_x = running.seen(config, state, steps.final_features)
        values, next_values = value(config, envs, state.params, x), value(config, envs, state.params, final_x)
        reward = running.scaled(config, state, steps.reward)
        ends = steps.terminated, steps.truncated
        advantage = gae(reward, values, next_values, *ends, gamma=config.gamma, lambda_=config.lambda_)
        return Batch(x, steps.sample, steps.log_prob, values, advantage)

    # Of the state, what all devices hold alike.
    shared = state._replace(discounted=(), env_state=(), obs=())
    batch = per_device(mesh, prepare, steps, axis=1, config=config, state=shared)
    target_variance = jnp.maximum((batch.value + batch.advantage).var(), 1e-8)
    return batch, 1 - batch.advantage.var() / target_variance


def _learn(config, envs, state, batch, key, mesh):
    """epochs x minibatches gradient steps: ((params, optimiser), means)."""
    step_size, final_part = learning_rate(config, state.updates), config.final_entropy_bonus
    entropy_bonus = linear(config.entropy_bonus, final_part, state.updates, config.schedule_updates)
    data, rows = shuffled_segments(config, batch, key, mesh)
    advantage = data.advantage[rows]
    moments = advantage.mean((1, 2)), advantage.std((1, 2))

    def cost(config, params, minibatch, moments, entropy_bonus):
        return loss(config, envs, params, minibatch, entropy_bonus, moments)

    learner = state.params, state.optimiser
    return descents(mesh, cost, learner, data, rows, moments, entropy_bonus, config=config, step_size=step_size)


def _networks(config, envs):
    """(actor, critic)."""
    space = envs.single_observation_space
    body = networks.body(config.network, space, hidden=config.hidden, activation=config.activation)
    outputs = num_outputs(envs.single_action_space)
    return networks.Network(body, outputs, scale=0.01), networks.Network(body, 1, scale=1.0)
