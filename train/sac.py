"""Soft actor-critic, SAC (Haarnoja et al. 2018, arXiv:1812.05905), with twin critics and a learned temperature.

    repeat:
        play num_steps in num_envs environments with the policy pi, and remember the transitions
        gradient_steps times, over random batches of the replay buffer:
            y = r + gamma * (1 - terminated) * (min(Q1_target, Q2_target)(s', a') - temperature * log pi(a' | s'))
            minimise (Q1(s, a) - y)**2 + (Q2(s, a) - y)**2                       with a' from pi( | s')
            minimise temperature * log pi(a | s) - min(Q1, Q2)(s, a)             with a from pi( | s)
            minimise -log temperature * (log pi(a | s) + target_entropy)
            move the targets by tau towards the parameters of the critics

Actions are those of a box of [-1, 1] on each axis, which is mapped onto the action space; so are log-probabilities and
the target entropy, which thus do not depend on the units of the action. Differences from the paper: the temperature's
logarithm stands in its loss where the paper has the temperature, as in the authors' code; observations are standardised
by running statistics in the learner's state, the noise of exploration may last for some steps (`noise_correlation`),
targets may look n steps ahead, and rates may change linearly over the run. A time limit is not a terminal state:
targets bootstrap from `final_obs`, and only a termination cuts them.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import VectorEnv, constant, make_vec, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import experience, gradients, networks
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.distributions import TanhNormal
from .floor.episodes import check_batch
from .floor.gradients import adam, descend, mean_gradient
from .floor.heads import acts_in, check_actions, features, log_reach, num_features, num_outputs, to_action
from .floor.schedules import linear
from .floor.sharding import per_device, replicated, shard
from .floor.targets import bootstrapped, polyak

# The bounds of the log standard deviation before squashing, those of the authors' code.
_LOG_STD = -20.0, 2.0

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("sac", "box")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Step size of Adam at the start, for actor, critics and the temperature.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Step size at the end of the schedule, as a fraction of that at the start.
    final_learning_rate: float = constant(0.1, low=0.0)
    #: Correlation of the noise of neighbouring steps: 0 is independent noise, near 1 it lasts.
    noise_correlation: float = constant(0.0, low=0.0, below=1.0)
    #: Updates over which rates change linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Part of the way that targets move to the parameters, with each gradient step.
    tau: float = constant(0.005, low=0.0, high=1.0)
    #: Weight of the entropy against the reward at the start (alpha in the paper).
    temperature: float = constant(1.0, above=0.0)
    #: Whether the temperature is learned; it stays as it is otherwise.
    learn_temperature: bool = static(True)
    #: Entropy for each axis of the action that the temperature is learned for, in nats.
    target_entropy: float = -1.0
    #: Environments stepped together.
    num_envs: int = static(8, low=1)
    #: Steps per environment and update.
    num_steps: int = static(8, low=1)
    #: Gradient steps per update.
    gradient_steps: int = static(32, low=1, high=10_000)
    #: Transitions of a gradient step.
    batch_size: int = static(128, low=1)
    #: Transitions that the replay buffer holds, over all environments.
    capacity: int = static(262_144, low=1)
    #: Steps with random actions before the first update, over all environments.
    learning_starts: int = static(1024, low=1)
    #: Steps of reward in a target.
    n_step: int = static(1, low=1)
    #: The body of actor and critics: mlp (from Python also a flax.linen module).
    network: Any = static("mlp")
    #: Widths of the hidden layers of mlp.
    hidden: tuple[int, ...] = static((64, 64))
    #: Activation of mlp: tanh, relu, elu, gelu, silu, sigmoid or linear.
    activation: str = static("relu")
    #: Normalise the outputs of each hidden layer of mlp.
    layer_norm: bool = static(False)
    #: Standardise observations by running moments.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random ages, so that they do not all reach their time limit together.
    stagger: bool = static(True)


class Params(NamedTuple):
    """What gradients change: parameters of flax modules, dicts, and the logarithm of the temperature."""

    actor: Any
    #: With an axis of 2 in front.
    critics: Any
    #: f32[]
    log_temperature: Any


class Learner(NamedTuple):
    """What a gradient step changes."""

    params: Params
    #: Parameters of critics that follow those of `params` slowly.
    targets: Any
    #: Adam's states.
    optimisers: Params


class TrainState(NamedTuple):
    """The full training state."""

    learner: Learner
    #: The environments, the replay buffer, and running statistics.
    experience: experience.Experience
    #: The run's key; update u uses `fold_in(key, u)`.
    key: jax.Array
    #: i32[], updates made.
    updates: jax.Array


def check(config, devices=1):
    """See `algorithm.Algorithm.check`."""
    networks.check(config.network, config.hidden, config.activation)
    if config.network in ("cnn", "small-cnn"):
        raise ValueError(f"network must be mlp, or a flax.linen module, got {config.network!r}")
    experience.check(config, devices)


def useful_devices(config, available):
    """See `algorithm.Algorithm.useful_devices`: devices share evenly, and none has too little to do."""
    return experience.useful_devices(config, available)


def steps_per_update(config):
    """See `algorithm.Algorithm.steps_per_update`."""
    return config.num_envs * config.num_steps


def warmup_steps(config):
    """See `algorithm.Algorithm.warmup_steps`."""
    return experience.warmup_steps(config)


def scheduled(config, num_updates):
    """See `algorithm.Algorithm.scheduled`."""
    horizon = jnp.where(config.schedule_updates == 0, float(num_updates), config.schedule_updates)
    return dataclasses.replace(config, schedule_updates=horizon)


def shardings(mesh, state):
    """See `algorithm.Algorithm.shardings`: each device holds its part of the environments, and all of the rest."""
    return replicated(mesh, state)._replace(experience=experience.shardings(mesh, state.experience))


@in_32_bits
def init(config, envs, key):
    """The initial training state; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("sac", envs.single_action_space)
    actor_key, critic_key, play_key, run_key = jax.random.split(fusable(key), 4)
    inputs, axes = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    actor, critics = _networks(config, envs)
    params = Params(
        networks.init(actor, actor_key, inputs),
        networks.init(critics, critic_key, inputs + axes),
        jnp.log(jnp.float32(config.temperature)),
    )
    optimisers = Params(*(gradients.init(_adam(), part) for part in params))
    played = experience.warmed_up(config, envs, play_key)
    return varying_as(key, TrainState(Learner(params, params.critics, optimisers), played, run_key, jnp.int32(0)))


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and makes gradient_steps steps; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the critics' loss, their values, the policy's loss,
    its entropy, in nats of the action space's own units, and the temperature, and besides the step size.
    """
    check_batch(envs, config.num_envs)
    if mesh is not None:
        state = jax.lax.with_sharding_constraint(state, shardings(mesh, state))
    play_key, sample_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates), 3)
    explore = functools.partial(explored, config, envs, state)
    played, steps = experience.play(config, envs, explore, play_key, state.experience, config.num_steps)
    played = experience.remember(config, played, steps)
    batches = experience.batches(config, played, sample_key)
    learner, means = _learn(config, envs, state, batches, learn_key, mesh)
    means |= {
        "entropy": means["entropy"] + log_reach(envs.single_action_space),
        "learning_rate": learning_rate(config, state.updates),
    }
    after = TrainState(learner, played, state.key, state.updates + 1)
    return after, experience.metrics_of(steps, means)


@in_32_bits
def train(config, env, key, num_updates):
    """An entire run as one pure function; see `algorithm.Algorithm.train`."""
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    """The learned policy: its mean, squashed, or a sample unless greedy; see `algorithm.Algorithm.policy`.

    Samples are independent at each step, whatever noise_correlation says: a policy has no memory.
    """
    envs = envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)

    @in_32_bits
    def act(key, obs):
        x = experience.seen_as(config, state.experience, features(envs.single_observation_space, obs))
        pi = distribution(config, envs, state.learner.params.actor, x)
        return to_action(envs.single_action_space, pi.mode() if greedy else pi.sample(fusable(key)))

    return act


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)
    moments = state.experience.obs_moments if config.normalise_observations else None
    network = _networks(config, envs)[0]
    # The first half of the outputs is the mean.
    mix = np.eye(network.outputs, network.outputs // 2, dtype=np.float32)
    return Actor(network, state.learner.params.actor, moments, mix=mix, squash="tanh")


def learning_rate(config, updates):
    """The step size after this number of updates."""
    return linear(config.learning_rate, config.final_learning_rate, updates, config.schedule_updates)


def explored(config, envs, state, raw, normals):
    """Actions in [-1, 1] at features f32[..., inputs], that standard normals f32[..., axes] stand for."""
    x = experience.seen_as(config, state.experience, raw)
    return distribution(config, envs, state.learner.params.actor, x).squashed(normals)


def distribution(config, envs, actor, x):
    """The policy's distribution over [-1, 1] at standardised features f32[..., inputs]."""
    mean, log_std = jnp.split(networks.apply(_networks(config, envs)[0], actor, x), 2, axis=-1)
    return TanhNormal(mean, jnp.clip(log_std, *_LOG_STD))


def values(config, envs, critics, x, action):
    """(Q1, Q2), f32[2, ...], at standardised features f32[..., inputs] and actions f32[..., axes] in [-1, 1]."""
    return networks.apply(_networks(config, envs)[1], critics, jnp.concatenate([x, action], axis=-1))[..., 0]


def targets_of(config, envs, learner, batch, normals):
    """The targets f32[samples] of a batch of transitions (eq. 3 and 5); normals are those of the actions."""
    pi = distribution(config, envs, learner.params.actor, batch.next_features)
    following = values(config, envs, learner.targets, batch.next_features, pi.squashed(normals)).min(0)
    soft = following - jnp.exp(learner.params.log_temperature) * pi.log_prob_at(normals)
    return bootstrapped(batch.reward, soft, batch.terminated, batch.discount)


def critic_loss(values, target):
    """What the critics minimise.

    Args:
        values: f32[critics, samples].
        target: f32[samples].
    Returns:
        (f32[], dict of f32[]): the sum over the critics of their mean squared error, and it with the mean value.
    """
    chex.assert_rank([values, target], [2, 1])
    loss = ((values - jnp.broadcast_to(target, values.shape)) ** 2).mean(1).sum()
    return loss, {"critic_loss": loss, "value": values.mean()}


def policy_loss(config, envs, actor, critics, log_temperature, x, normals):
    """What the policy minimises (eq. 9).

    Args:
        config, envs: as for `update`.
        actor, critics: parameters.
        log_temperature: f32[].
        x: standardised features f32[samples, inputs].
        normals: f32[samples, axes], the standard normals of its actions.
    Returns:
        (f32[], dict of f32[]): the mean of temperature * log pi(a | s) - min(Q1, Q2)(s, a), and it with the entropy.
    """
    pi = distribution(config, envs, actor, x)
    log_prob = pi.log_prob_at(normals)
    value = values(config, envs, critics, x, pi.squashed(normals)).min(0)
    loss = (jnp.exp(log_temperature) * log_prob - value).mean()
    return loss, {"policy_loss": loss, "entropy": -log_prob.mean()}


def temperature_loss(log_temperature, entropy, target_entropy):
    """What the temperature minimises (eq. 18): it falls where the policy's entropy is above the target."""
    loss = log_temperature * (entropy - target_entropy)
    return loss, {"temperature": jnp.exp(log_temperature)}


def _learn(config, envs, state, batches, key, mesh):
    """gradient_steps steps: (Learner, means)."""
    shape = config.gradient_steps, config.batch_size, num_outputs(envs.single_action_space)
    data = shard(mesh, (batches, *jax.random.normal(key, (2, *shape))), axis=1)
    step_size = learning_rate(config, state.updates)

    def learn(data, config, step_size, learner):
        return jax.lax.scan(functools.partial(_step, config, envs, step_size, mesh), learner, data)

    learner, parts = per_device(
        mesh, learn, data, axis=1, together=True, config=config, step_size=step_size, learner=state.learner
    )
    return learner, {name: part.mean() for name, part in parts.items()}


def _step(config, envs, step_size, mesh, learner, data):
    """A gradient step of critics, policy and temperature."""
    batch, now, later = data
    target = targets_of(config, envs, learner, batch, later)
    cost = lambda critics: critic_loss(values(config, envs, critics, batch.features, batch.action), target)  # noqa: E731
    learner, parts = _improved(learner, "critics", cost, step_size, mesh)
    _, critics, log_temperature = learner.params
    learner, policy_parts = _improved(
        learner, "actor",
        lambda actor: policy_loss(config, envs, actor, critics, log_temperature, batch.features, now), step_size, mesh,
    )  # fmt: skip
    wanted = config.target_entropy * num_outputs(envs.single_action_space)
    cost = lambda log_temperature: temperature_loss(log_temperature, policy_parts["entropy"], wanted)  # noqa: E731
    rate = step_size if config.learn_temperature else 0.0
    learner, temperature_parts = _improved(learner, "log_temperature", cost, rate, mesh)
    learner = learner._replace(targets=polyak(learner.targets, learner.params.critics, config.tau))
    return learner, parts | policy_parts | temperature_parts


def _improved(learner, part, cost, step_size, mesh):
    """(Learner, parts of the cost) after a gradient step of the actor or of the critics."""
    params, optimiser = getattr(learner.params, part), getattr(learner.optimisers, part)
    gradient, parts = mean_gradient(mesh, cost, params)
    params, optimiser = descend(_adam(), optimiser, params, gradient, step_size)
    after = learner._replace(
        params=learner.params._replace(**{part: params}), optimisers=learner.optimisers._replace(**{part: optimiser})
    )
    return after, parts


def _adam():
    return adam(eps=1e-8)


def _networks(config, envs):
    """(actor, both critics)."""
    space = envs.single_observation_space
    body = networks.body(
        config.network, space, hidden=config.hidden, activation=config.activation, layer_norm=config.layer_norm
    )
    axes = num_outputs(envs.single_action_space)
    return networks.Network(body, 2 * axes, scale=0.01), networks.ensemble(2, body, 1)
