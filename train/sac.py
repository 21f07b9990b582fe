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

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import constant, make_vec, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import experience, networks, noisy, running, schedules, twin_critics
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.distributions import TanhNormal
from .floor.episodes import check_batch
from .floor.heads import acts_in, check_actions, log_reach, num_features, num_outputs
from .floor.policies import batch_of, policy_of
from .floor.schedules import learning_rate
from .floor.sharding import per_device, shard, sharded
from .floor.targets import bootstrapped, polyak
from .floor.twin_critics import critic_loss, improved, values

# The bounds of the log standard deviation before squashing, those of the authors' code.
_LOG_STD = -20.0, 2.0

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("sac", "box")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Learning rate of Adam at the start, for actor, critics and the temperature.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Learning rate at the end of the schedule, as a fraction of the initial one.
    final_learning_rate: float = constant(0.1, low=0.0)
    #: Correlation of the noise of consecutive steps: 0 is independent noise, near 1 it changes slowly.
    noise_correlation: float = constant(0.0, low=0.0, below=1.0)
    #: Updates over which rates change linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Fraction by which each gradient step moves the target networks towards the parameters.
    tau: float = constant(0.005, low=0.0, high=1.0)
    #: Initial weight of the entropy relative to the reward (alpha in the paper).
    temperature: float = constant(1.0, above=0.0)
    #: Learn the temperature; otherwise it does not change.
    learn_temperature: bool = static(True)
    #: Target entropy per action axis for learning the temperature, in nats.
    target_entropy: float = -1.0
    #: Environments stepped together.
    num_envs: int = static(8, low=1)
    #: Steps of each environment per update.
    num_steps: int = static(8, low=1)
    #: Gradient steps per update.
    gradient_steps: int = static(32, low=1, high=10_000)
    #: Transitions per gradient step.
    batch_size: int = static(128, low=1)
    #: Transitions that the replay buffer holds, over all environments.
    capacity: int = static(262_144, low=1)
    #: Steps with random actions before the first update, over all environments.
    learning_starts: int = static(1024, low=1)
    #: Number of rewards in an n-step target.
    n_step: int = static(1, low=1)
    #: The body of actor and critics: mlp (from Python also a flax.linen module).
    network: Any = static("mlp")
    #: Widths of the hidden layers of mlp.
    hidden: tuple[int, ...] = static((64, 64))
    #: Activation of mlp: tanh, relu, elu, gelu, silu, sigmoid or linear.
    activation: str = static("relu")
    #: Normalise the outputs of each hidden layer of mlp.
    layer_norm: bool = static(False)
    #: Normalise observations with their running mean and standard deviation.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random step counts, so that they do not all reach the time limit together.
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


#: See `algorithm.Algorithm`; they are those of other learners from a replay buffer, too.
check = twin_critics.check
steps_per_update = experience.steps_per_update
warmup_steps = experience.warmup_steps
useful_devices = experience.useful_devices
scheduled = schedules.scheduled
shardings = experience.shardings


@in_32_bits
def init(config, envs, key):
    """The initial training state; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("sac", envs.single_action_space)
    actor_key, critic_key, play_key, run_key = jax.random.split(fusable(key), 4)
    inputs, axes = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    actor, pair = _networks(config, envs)
    weights = networks.init(actor, actor_key, inputs), networks.init(pair, critic_key, inputs + axes)
    params = Params(*weights, jnp.log(jnp.float32(config.temperature)))
    optimisers = twin_critics.optimisers(params)
    played = noisy.warmed_up(config, envs, play_key)
    return varying_as(key, TrainState(Learner(params, params.critics, optimisers), played, run_key, jnp.int32(0)))


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and makes gradient_steps steps; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the critics' loss, their values, the policy's loss,
    its entropy, in nats of the action space's own units, and the temperature, and besides the step size.
    """
    check_batch(envs, config.num_envs)
    state = sharded(mesh, state, shardings)
    play_key, sample_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates), 3)
    explore = functools.partial(explored, config, envs, state)
    played, steps = noisy.play(config, envs, explore, play_key, state.experience, config.num_steps)
    played = experience.remember(config, played, steps)
    batches = experience.batches(config, played, sample_key)
    learner, means = _learn(config, envs, state, batches, learn_key, mesh)
    means["entropy"] += log_reach(envs.single_action_space)
    means |= {"learning_rate": learning_rate(config, state.updates)}
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
    envs = batch_of(envs)

    def choose(key, raw):
        pi = _distribution_at(config, envs, state, raw)
        return pi.mode() if greedy else pi.sample(fusable(key))

    return policy_of(envs, choose)


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = batch_of(envs)
    moments = state.experience.obs_moments if config.normalise_observations else None
    network = _networks(config, envs)[0]
    # The first half of the outputs is the mean.
    mix = np.eye(network.outputs, network.outputs // 2, dtype=np.float32)
    return Actor(network, state.learner.params.actor, moments, mix=mix, squash="tanh")


def explored(config, envs, state, raw, normals):
    """Actions in [-1, 1] at features f32[..., inputs], that standard normals f32[..., axes] stand for."""
    return _distribution_at(config, envs, state, raw).squashed(normals)


def _distribution_at(config, envs, state, raw):
    """The present policy's distribution at features f32[..., inputs] that are not standardised yet."""
    return distribution(config, envs, state.learner.params.actor, running.seen(config, state.experience, raw))


def distribution(config, envs, actor, x):
    """The policy's distribution over [-1, 1] at standardised features f32[..., inputs]."""
    mean, log_std = jnp.split(networks.apply(_networks(config, envs)[0], actor, x), 2, axis=-1)
    return TanhNormal(mean, jnp.clip(log_std, *_LOG_STD))


def targets_of(config, envs, learner, batch, normals):
    """The targets f32[samples] of a batch of transitions (eq. 3 and 5); normals are those of the actions."""
    pi = distribution(config, envs, learner.params.actor, batch.next_features)
    following = values(config, envs, learner.targets, batch.next_features, pi.squashed(normals)).min(0)
    soft = following - jnp.exp(learner.params.log_temperature) * pi.log_prob_at(normals)
    return bootstrapped(batch.reward, soft, batch.terminated, batch.discount)


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
    learner, parts = improved(learner, "critics", cost, step_size, mesh)
    _, critics, log_temperature = learner.params
    learner, policy_parts = improved(
        learner, "actor",
        lambda actor: policy_loss(config, envs, actor, critics, log_temperature, batch.features, now), step_size, mesh,
    )  # fmt: skip
    wanted = config.target_entropy * num_outputs(envs.single_action_space)
    cost = lambda log_temperature: temperature_loss(log_temperature, policy_parts["entropy"], wanted)  # noqa: E731
    rate = step_size if config.learn_temperature else 0.0
    learner, temperature_parts = improved(learner, "log_temperature", cost, rate, mesh)
    learner = learner._replace(targets=polyak(learner.targets, learner.params.critics, config.tau))
    return learner, parts | policy_parts | temperature_parts


def _networks(config, envs):
    """(actor, both critics)."""
    return twin_critics.actor_and_critics(config, envs, outputs_per_axis=2)
