"""Deep Q-learning (Mnih et al. 2015, Nature 518), with its improvements as switches.

    play learning_starts steps with random actions, into the replay buffer
    repeat:
        play num_steps in num_envs environments: argmax_a Q(s, a), or with probability epsilon any action
        gradient_steps times, over a minibatch of transitions (s, a, r, s') of n_step steps from the buffer:
            y = r + gamma**n * Q_target(s', argmax_a Q(s', a)), or r where the episode terminated
            minimise huber(y - Q(s, a))
            every target_every gradient steps: Q_target += tau * (Q - Q_target)

The action in y is the target network's own without `double` (van Hasselt et al. 2016, arXiv:1509.06461). `dueling`
(Wang et al. 2016, arXiv:1511.06581) makes Q of a state's value and advantages; both are affine in one body, where the
paper has two streams. With `quantiles` above 1, Q is the mean of as many quantiles of the return, and quantile
regression takes the place of the error (QR-DQN, Dabney et al. 2018, arXiv:1710.10044).

Differences from the paper, besides: Adam, a bounded gradient, observations standardised by running statistics in the
learner's state, and several environments. A time limit is not a terminal state: targets bootstrap from `final_obs`, and
only a termination cuts them, also within the steps of an n-step return.
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

from .floor import experience, gradients, networks, running, schedules
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.episodes import check_batch
from .floor.exploration import at_random, best_action, epsilon_greedy, taken
from .floor.gradients import adam, descend, mean_gradient
from .floor.heads import acts_in, check_actions, dueling, num_features
from .floor.losses import huber, quantile_loss, squared
from .floor.policies import batch_of, policy_of
from .floor.schedules import exploration, learning_rate
from .floor.sharding import per_device, replicate, sharded
from .floor.targets import polyak

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("dqn", "discrete")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Learning rate of Adam at the start.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Learning rate at the end of the schedule, as a fraction of the initial one.
    final_learning_rate: float = constant(0.1, low=0.0)
    #: Updates over which the learning rate changes linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Probability of a random action at the start.
    epsilon: float = constant(1.0, low=0.0, high=1.0)
    #: Probability of a random action at the end of exploration, as a fraction of the initial one.
    final_epsilon: float = constant(0.05, low=0.0, high=1.0)
    #: Fraction of schedule_updates over which epsilon changes linearly.
    exploration_fraction: float = constant(0.2, low=0.0, high=1.0)
    #: Fraction by which each update moves the target network towards the network that learns; 1 copies.
    tau: float = constant(0.02, low=0.0, high=1.0)
    #: Maximum global norm of a gradient.
    max_grad_norm: float = constant(10.0, above=0.0)
    #: Environments stepped together.
    num_envs: int = static(8, low=1)
    #: Steps of each environment per update.
    num_steps: int = static(8, low=1)
    #: Gradient steps per update.
    gradient_steps: int = static(16, low=1, high=10_000)
    #: Transitions per gradient step.
    batch_size: int = static(128, low=1)
    #: Transitions that the replay buffer holds, over all environments.
    capacity: int = static(65_536, low=1)
    #: Steps with random actions before the first update, over all environments.
    learning_starts: int = static(1024, low=1)
    #: Gradient steps from one update of the target network to the next.
    target_every: int = static(1, low=1, high=200_000)
    #: Number of rewards in an n-step target.
    n_step: int = static(1, low=1)
    #: Quantiles of the return to learn for each action; 1 learns the mean.
    quantiles: int = static(1, low=1)
    #: Use double DQN: the network that learns chooses the action of the target.
    double: bool = static(True)
    #: Use a dueling network: a state value and advantages of the actions.
    dueling: bool = static(False)
    #: Huber loss, linear beyond an error of 1; if False, the squared error.
    huber: bool = static(True)
    #: Normalise observations with their running mean and standard deviation.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random step counts, so that they do not all reach the time limit together.
    stagger: bool = static(True)
    #: Normalise the outputs of each hidden layer of mlp.
    layer_norm: bool = static(False)
    #: The body of the network: mlp, cnn or small-cnn (from Python also a flax.linen module).
    network: Any = static("mlp")
    #: Widths of the hidden layers of mlp.
    hidden: tuple[int, ...] = static((64, 64))
    #: Activation of mlp: tanh, relu, elu, gelu, silu, sigmoid or linear.
    activation: str = static("tanh")


class TrainState(NamedTuple):
    """The full training state."""

    #: Parameters of the network that learns, and of the target network: dicts.
    params: Any
    target: Any
    #: Adam's state.
    optimiser: Any
    #: The environments, the replay buffer, and running statistics.
    experience: experience.Experience
    #: f32[], the probability of a random action in the last update.
    epsilon: jax.Array
    #: The run's key; update u uses `fold_in(key, u)`.
    key: jax.Array
    #: i32[], updates made.
    updates: jax.Array


#: See `algorithm.Algorithm`; all learners from a replay buffer have these in common.
check = experience.check
steps_per_update = experience.steps_per_update
warmup_steps = experience.warmup_steps
useful_devices = experience.useful_devices
scheduled = schedules.scheduled
shardings = experience.shardings


@in_32_bits
def init(config, envs, key):
    """The initial training state, after a warm-up with random actions; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("dqn", envs.single_action_space)
    params_key, env_key, age_key, warm_key, run_key = jax.random.split(fusable(key), 5)
    params = networks.init(_network(config, envs), params_key, num_features(envs.single_observation_space))
    begun = experience.begun(config, envs, jax.ShapeDtypeStruct((), jnp.int32), env_key, age_key)
    count = int(envs.single_action_space.n)
    play = functools.partial(experience.play, envs, lambda key, raw: at_random(key, raw.shape[:-1], count))
    played = experience.warmed_up(config, play, varying_as(key, begun), *jax.random.split(warm_key))
    optimiser, epsilon = gradients.init(adam(config.max_grad_norm), params), jnp.asarray(config.epsilon, jnp.float32)
    return varying_as(key, TrainState(params, params, optimiser, played, epsilon, run_key, jnp.int32(0)))


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and makes gradient_steps; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the loss and of the values of the actions taken, and
    besides epsilon and the step size.
    """
    check_batch(envs, config.num_envs)
    state = sharded(mesh, state, shardings)
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    state = state._replace(epsilon=exploration(config, state.updates))
    explore = functools.partial(_explored, config, envs, state)
    played, steps = experience.play(envs, explore, play_key, state.experience, config.num_steps)
    played = experience.remember(config, played, steps)
    (params, target, optimiser), means = _learn(config, envs, state, played, learn_key, mesh)
    means |= {"epsilon": state.epsilon, "learning_rate": learning_rate(config, state.updates)}
    after = TrainState(params, target, optimiser, played, state.epsilon, state.key, state.updates + 1)
    return after, experience.metrics_of(steps, means)


@in_32_bits
def train(config, env, key, num_updates):
    """An entire run as one pure function; see `algorithm.Algorithm.train`."""
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    """The best known actions, or those with the present epsilon; see `algorithm.Algorithm.policy`."""
    envs = batch_of(envs)
    best = lambda key, raw: best_action(_expected(config, envs, state, raw))  # noqa: E731
    return policy_of(envs, best if greedy else functools.partial(_explored, config, envs, state))


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = batch_of(envs)
    moments = state.experience.obs_moments if config.normalise_observations else None
    network = _network(config, envs)
    # Mean quantiles of dueling values are linear in the outputs.
    mix = np.asarray(_values_of(config, jnp.eye(network.outputs)).mean(-1))
    return Actor(network, state.params, moments, mix=mix)


def values(config, envs, params, x):
    """The values f32[..., actions, quantiles] at standardised features f32[..., inputs]."""
    return _values_of(config, networks.apply(_network(config, envs), params, x))


def _values_of(config, outputs):
    """f32[..., actions, quantiles], of a network's outputs."""
    outputs = outputs.reshape(*outputs.shape[:-1], -1, config.quantiles)
    return dueling(outputs) if config.dueling else outputs


def targets(config, envs, params, target, batch):
    """What the values of the actions taken should be.

    Args:
        config, envs: as for `update`.
        params, target: parameters of the learning network and of the target network.
        batch: `Transition` of [samples, ...], with standardised features.
    Returns:
        f32[samples, quantiles].
    """
    next_values = values(config, envs, target, batch.next_features)
    chooser = values(config, envs, params, batch.next_features) if config.double else next_values
    best = taken(next_values, best_action(chooser.mean(-1)))
    discount = jnp.where(batch.terminated, 0.0, batch.discount)
    return batch.reward[..., None] + discount[..., None] * best


def loss(config, envs, params, batch, target_values):
    """The error of the values of the actions taken.

    Args:
        config, envs: as for `update`.
        params: parameters of the learning network.
        batch: `Transition` of [samples, ...], with standardised features.
        target_values: f32[samples, quantiles], of `targets`.
    Returns:
        (f32[], dict of f32[]): what to minimise, and what there is to report.
    """
    chosen = taken(values(config, envs, params, batch.features), batch.action)
    cost = huber if config.huber else squared
    error = quantile_loss(chosen, target_values, cost) if config.quantiles > 1 else cost(target_values - chosen)
    total = error.mean()
    return total, {"value_loss": total, "value": chosen.mean()}


def since_target(config, updates):
    """Gradient steps since the last whole `target_every` of them, i32[]: those of a long run are more than 2**31."""
    return (updates % config.target_every) * (config.gradient_steps % config.target_every) % config.target_every


def follow(config, target, params, made):
    """The target network after a gradient step.

    Args:
        config: `Config`.
        target, params: parameters of the target network before, and of the learning network.
        made: i32[], gradient steps made, this one included; a multiple of `target_every` may be left out.
    Returns:
        Parameters: `tau` of the way closer if `made` is a multiple of `target_every`, the same otherwise.
    """
    part = config.tau * (made % config.target_every == 0) if config.target_every > 1 else config.tau
    return polyak(target, params, part)


def _expected(config, envs, state, raw):
    """The expected values f32[..., actions] at features f32[..., inputs] that are not standardised yet."""
    return values(config, envs, state.params, running.seen(config, state.experience, raw)).mean(-1)


def _explored(config, envs, state, key, raw):
    """i32[...], choices at such features, with the state's epsilon."""
    return epsilon_greedy(fusable(key), _expected(config, envs, state, raw), state.epsilon)


def _learn(config, envs, state, played, key, mesh):
    """gradient_steps of them: ((params, target, optimiser), means)."""
    batches = replicate(mesh, experience.batches(config, played, key))

    def learn(batches, config, step_size, made, learner):
        def step(carry, now):
            params, target, optimiser = carry
            index, batch = now
            aim = targets(config, envs, params, target, batch)
            gradient, parts = mean_gradient(mesh, lambda params: loss(config, envs, params, batch, aim), params)
            params, optimiser = descend(adam(config.max_grad_norm), optimiser, params, gradient, step_size)
            return (params, follow(config, target, params, made + index + 1), optimiser), parts

        return jax.lax.scan(step, learner, (jnp.arange(config.gradient_steps), batches))

    learner, parts = per_device(
        mesh, learn, batches, axis=1, together=True, config=config, step_size=learning_rate(config, state.updates),
        made=since_target(config, state.updates), learner=(state.params, state.target, state.optimiser),
    )  # fmt: skip
    return learner, {name: part.mean() for name, part in parts.items()}


def _network(config, envs):
    count = int(envs.single_action_space.n) + config.dueling
    return networks.Network(networks.body_of(config, envs), count * config.quantiles, scale=0.01)
