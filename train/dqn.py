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

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import VectorEnv, constant, make_vec, rollout, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import experience, gradients, networks
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.episodes import check_batch, episode_metrics, staggered
from .floor.exploration import epsilon_greedy, greedy, taken
from .floor.gradients import adam, descend, mean_gradient
from .floor.heads import acts_in, check_actions, features, num_features, to_action
from .floor.losses import huber, quantile_loss, squared
from .floor.moments import Moments, discounted_sums, init_moments, standardise, update_moments
from .floor.replay import Replay, Transition, add, init_replay, replay_shardings, sample
from .floor.returns import n_step
from .floor.schedules import linear
from .floor.sharding import batch_sharding, per_device, replicate, replicated

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("dqn", "discrete")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Step size of Adam at the start.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Step size at the end of the schedule, as a fraction of that at the start.
    final_learning_rate: float = constant(0.1, low=0.0)
    #: Updates over which the step size changes linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Probability of a random action at the start.
    epsilon: float = constant(1.0, low=0.0, high=1.0)
    #: Probability of a random action at the end of exploration, as a fraction of that at the start.
    final_epsilon: float = constant(0.05, low=0.0, high=1.0)
    #: Part of schedule_updates over which epsilon changes linearly.
    exploration_fraction: float = constant(0.2, low=0.0, high=1.0)
    #: Part of the way that the target network goes towards the other at each of its updates; 1 copies.
    tau: float = constant(0.02, low=0.0, high=1.0)
    #: Maximum global norm of a gradient.
    max_grad_norm: float = constant(10.0, above=0.0)
    #: Environments stepped together.
    num_envs: int = static(8, low=1)
    #: Steps per environment and update.
    num_steps: int = static(8, low=1)
    #: Gradient steps per update.
    gradient_steps: int = static(16, low=1, high=10_000)
    #: Transitions of a gradient step.
    batch_size: int = static(128, low=1)
    #: Transitions that the replay buffer holds, over all environments.
    capacity: int = static(65_536, low=1)
    #: Steps with random actions before the first update, over all environments.
    learning_starts: int = static(1024, low=1)
    #: Gradient steps from one update of the target network to the next.
    target_every: int = static(1, low=1, high=200_000)
    #: Steps of reward in a target.
    n_step: int = static(1, low=1)
    #: Quantiles of the return that are learned for each action; 1 learns the mean.
    quantiles: int = static(1, low=1)
    #: Let the learning network choose the action that the target network values.
    double: bool = static(True)
    #: Make the values of actions of a state's value and advantages.
    dueling: bool = static(False)
    #: Huber loss, linear beyond an error of 1; if False, the squared error.
    huber: bool = static(True)
    #: Standardise observations by running moments.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Start the first episodes at random ages, so that they do not all reach their time limit together.
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
    #: Moments of the observation features, f32[features].
    obs_moments: Moments
    #: Moments of the discounted return, f32[].
    return_moments: Moments
    #: f32[num_envs], running discounted returns.
    discounted: jax.Array
    #: Transitions of n_step steps.
    replay: Replay
    #: The last n_step - 1 steps of each environment, [n_step - 1, num_envs, ...], whose returns are not complete yet.
    recent: Any
    #: The environments: `VectorState`, and the observations to act on.
    env_state: Any
    obs: Any
    #: f32[], the probability of a random action in the last update.
    epsilon: jax.Array
    #: The run's key; update u uses `fold_in(key, u)`.
    key: jax.Array
    #: i32[], updates made.
    updates: jax.Array


def check(config, devices=1):
    """See `algorithm.Algorithm.check`."""
    networks.check(config.network, config.hidden, config.activation)
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
    """See `algorithm.Algorithm.shardings`: each device holds its environments and their part of the replay buffer."""
    parts = {name: batch_sharding(mesh, getattr(state, name)) for name in ("discounted", "env_state", "obs")}
    parts |= {"replay": replay_shardings(mesh, state.replay), "recent": batch_sharding(mesh, state.recent, axis=1)}
    return replicated(mesh, state)._replace(**parts)


@in_32_bits
def init(config, envs, key):
    """The initial training state, after a warm-up with random actions; see `algorithm.Algorithm.init`."""
    check(config)
    check_batch(envs, config.num_envs)
    check_actions("dqn", envs.single_action_space)
    params_key, env_key, age_key, warm_key, run_key = jax.random.split(fusable(key), 5)
    inputs = num_features(envs.single_observation_space)
    params = networks.init(_network(config, envs), params_key, inputs)
    env_state, obs = envs.reset(env_key)
    state = TrainState(
        params=params,
        target=params,
        optimiser=gradients.init(adam(config.max_grad_norm), params),
        obs_moments=init_moments((inputs,)),
        return_moments=init_moments(()),
        discounted=jnp.zeros(config.num_envs),
        replay=init_replay(_example(inputs), config.capacity, config.num_envs),
        recent=None,
        env_state=staggered(envs, env_state, age_key) if config.stagger else env_state,
        obs=obs,
        epsilon=jnp.float32(1.0),
        key=run_key,
        updates=jnp.int32(0),
    )
    state = _warmed_up(config, envs, varying_as(key, state), warm_key)
    return varying_as(key, state._replace(epsilon=jnp.asarray(config.epsilon, jnp.float32)))


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and makes gradient_steps; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the loss and of the values of the actions taken, and
    besides epsilon and the step size.
    """
    check_batch(envs, config.num_envs)
    if mesh is not None:
        state = jax.lax.with_sharding_constraint(state, shardings(mesh, state))
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    horizon = config.exploration_fraction * config.schedule_updates
    state = state._replace(epsilon=linear(config.epsilon, config.final_epsilon, state.updates, horizon))
    state, steps = _play(config, envs, state, play_key, config.num_steps)
    state = _remember(config, state, steps)
    params, target, optimiser, means = _learn(config, envs, state, learn_key, mesh)
    means |= {"epsilon": state.epsilon, "learning_rate": learning_rate(config, state.updates)}
    after = state._replace(params=params, target=target, optimiser=optimiser, updates=state.updates + 1)
    done = steps.terminated | steps.truncated
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
        raw = features(envs.single_observation_space, obs)
        return to_action(envs.single_action_space, _choose(config, envs, state, fusable(key), raw, greedy))

    return act


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)
    moments = state.obs_moments if config.normalise_observations else None
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


def dueling(outputs):
    """Q(s, a) = V(s) + A(s, a) - mean over a of A(s, a) (Wang et al. 2016, eq. 9).

    Args:
        outputs: f32[..., 1 + actions, n]: V, and A of each action.
    Returns:
        f32[..., actions, n].
    """
    value, advantage = outputs[..., :1, :], outputs[..., 1:, :]
    return value + advantage - advantage.mean(-2, keepdims=True)


def learning_rate(config, updates):
    """The step size after this number of updates."""
    return linear(config.learning_rate, config.final_learning_rate, updates, config.schedule_updates)


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
    best = taken(next_values, greedy(chooser.mean(-1)))
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
    if config.quantiles > 1:
        error = quantile_loss(chosen, target_values, cost)
    else:
        error = cost(target_values - chosen)
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
    return jax.tree.map(lambda old, new: old + part * (new - old), target, params)


class _Steps(NamedTuple):
    features: jax.Array
    choice: jax.Array
    reward: jax.Array
    final_features: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


def _example(inputs):
    """The shapes of one transition."""
    vector, number = jax.ShapeDtypeStruct((inputs,), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    choice, flag = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct((), jnp.bool_)
    return Transition(vector, choice, number, vector, flag, number)


def _warmed_up(config, envs, state, key):
    """The state after learning_starts steps, which are random because the state's epsilon is 1."""
    first_key, rest_key = jax.random.split(key)
    state, recent = _play(config, envs, state, first_key, config.n_step - 1)
    state = state._replace(recent=recent)

    def block(index, state):
        return _remember(config, *_play(config, envs, state, jax.random.fold_in(rest_key, index), config.num_steps))

    return jax.lax.fori_loop(0, config.learning_starts // steps_per_update(config), block, state)


def _choose(config, envs, state, key, raw, best=False):
    """i32[...], choices at features f32[..., inputs] that are not standardised yet."""
    x = standardise(state.obs_moments, raw, clip=10.0) if config.normalise_observations else raw
    q = values(config, envs, state.params, x).mean(-1)
    return greedy(q) if best else epsilon_greedy(key, q, state.epsilon)


def _play(config, envs, state, key, num_steps):
    """Steps of the present policy: (state with the environments after them, `_Steps` of [num_steps, num_envs, ...])."""
    space = envs.single_observation_space

    def act(key, obs):
        raw = features(space, obs)
        choice = _choose(config, envs, state, key, raw)
        return to_action(envs.single_action_space, choice), (raw, choice)

    def collect(obs, action, extra, step):
        raw, choice = extra
        ends = step.terminated, step.truncated
        final = features(space, step.final_obs)
        return _Steps(raw, choice, step.reward, final, *ends, step.episode_return, step.episode_length)

    env_state, obs, steps = rollout(envs, act, key, state.env_state, state.obs, num_steps, collect)
    return state._replace(env_state=env_state, obs=obs), steps


def _remember(config, state, steps):
    """The state with new steps in its replay buffer and in its moments."""
    entire = jax.tree.map(lambda old, new: jnp.concatenate([old, new]), state.recent, steps)
    ends = entire.terminated, entire.truncated
    ahead = n_step(entire.reward, entire.final_features, *ends, gamma=config.gamma, n=config.n_step)
    first = jax.tree.map(lambda x: x[: config.num_steps], entire)
    done = steps.terminated | steps.truncated
    sums, discounted = discounted_sums(steps.reward, done, state.discounted, gamma=config.gamma)
    return state._replace(
        obs_moments=update_moments(state.obs_moments, steps.features),
        return_moments=update_moments(state.return_moments, sums),
        discounted=discounted,
        replay=add(state.replay, Transition(first.features, first.choice, *ahead)),
        recent=jax.tree.map(lambda x: x[config.num_steps :], entire),
    )


def _minibatches(config, state, key):
    """`Transition` of [gradient_steps, batch_size, ...], as the network and the loss see them."""
    batch = sample(key, state.replay, (config.gradient_steps, config.batch_size))
    if config.normalise_observations:
        seen = (standardise(state.obs_moments, x, clip=10.0) for x in (batch.features, batch.next_features))
        batch = batch._replace(**dict(zip(("features", "next_features"), seen, strict=True)))
    if config.scale_rewards:
        batch = batch._replace(reward=batch.reward / jnp.maximum(jnp.sqrt(state.return_moments.variance), 1e-4))
    return batch


def _learn(config, envs, state, key, mesh):
    """gradient_steps of them: (params, target, optimiser, means)."""
    batches = replicate(mesh, _minibatches(config, state, key))

    def learn(batches, config, step_size, made, learner):
        optimiser = adam(config.max_grad_norm)

        def step(carry, now):
            params, target, optimiser_state = carry
            index, batch = now
            aim = targets(config, envs, params, target, batch)
            gradient, parts = mean_gradient(mesh, lambda params: loss(config, envs, params, batch, aim), params)
            params, optimiser_state = descend(optimiser, optimiser_state, params, gradient, step_size)
            return (params, follow(config, target, params, made + index + 1), optimiser_state), parts

        return jax.lax.scan(step, learner, (jnp.arange(config.gradient_steps), batches))

    learner = state.params, state.target, state.optimiser
    (params, target, optimiser), parts = per_device(
        mesh, learn, batches, axis=1, together=True, config=config, step_size=learning_rate(config, state.updates),
        made=since_target(config, state.updates), learner=learner,
    )  # fmt: skip
    return params, target, optimiser, {name: part.mean() for name, part in parts.items()}


def _network(config, envs):
    body = networks.body(
        config.network, envs.single_observation_space, hidden=config.hidden, activation=config.activation,
        layer_norm=config.layer_norm,
    )  # fmt: skip
    count = int(envs.single_action_space.n) + config.dueling
    return networks.Network(body, count * config.quantiles, scale=0.01)
