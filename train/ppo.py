"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347), with a clipped objective.

    repeat:
        play num_steps in num_envs environments with the policy pi_old
        A_t = generalised advantages, from the values of the true successor observations
        epochs x minibatches times, over shuffled stretches of episodes:
            ratio_t = pi(a_t | s_t) / pi_old(a_t | s_t)
            minimise -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) + value_cost * (v - target)**2 / 2
                     - entropy_bonus * entropy

Differences from the paper, all after Andrychowicz et al. 2021 (arXiv:2006.05990) or Engstrom et al. 2020
(arXiv:2005.12729): separate actor and critic, observations standardised and rewards scaled by running statistics in
the learner's state, advantages standardised per minibatch, the global norm of gradients bounded. A time limit is not
taken for a terminal state: targets bootstrap from `final_obs`, and only a termination cuts them.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxenvs import make_vec, static
from jaxenvs.random import fusable

from .floor.heads import choices, distribution_over, features, num_features, num_outputs, to_action
from .floor.minibatches import chunks, shuffled
from .floor.moments import Moments, discounted_sums, init_moments, standardise, update_moments
from .floor.networks import init_mlp, mlp
from .floor.returns import gae
from .floor.schedules import scheduled
from .floor.sharding import batch_sharding, flat_mean, per_device, replicate, replicated, shard

# Of a minibatch, for each device: with fewer, two devices were no faster than one.
_LEAST_SAMPLES = 512


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts and switches are static."""

    #: Step size of Adam at the start.
    learning_rate: float = 1e-3
    #: Step size at the end of the schedule, as a part of that at the start.
    final_learning_rate: float = 0.0
    #: Updates over which the step size goes linearly from start to end; 0 keeps it constant.
    schedule_updates: float = 0.0
    #: Discount per step.
    gamma: float = 0.99
    #: Decay of the advantage trace.
    lambda_: float = 0.95
    #: How far the ratio of new to old probability may go from 1 and still pay.
    clip: float = 0.2
    #: How far a value may move from the old one and still pay; used if clip_values.
    value_clip: float = 0.2
    #: Weight of the value loss.
    value_cost: float = 0.5
    #: Weight of the policy's entropy at the start.
    entropy_bonus: float = 0.0
    #: Weight of the entropy at the end of the schedule, as a part of that at the start.
    final_entropy_bonus: float = 1.0
    #: Greatest global norm of a gradient.
    max_grad_norm: float = 0.5
    #: Initial log standard deviation of continuous actions.
    log_std: float = 0.0
    #: Environments stepped together.
    num_envs: int = static(256)
    #: Steps per environment and update.
    num_steps: int = static(128)
    #: Passes over the data of an update.
    epochs: int = static(4)
    #: Parts of the data, one gradient step each.
    minibatches: int = static(4)
    #: Steps that stay together when the data is shuffled.
    stretch: int = static(8)
    #: Widths of the hidden layers, of actor and critic each.
    hidden: tuple[int, ...] = static((64, 64))
    #: Standardise observations by running moments.
    normalise_observations: bool = static(True)
    #: Divide rewards by the running standard deviation of the discounted return.
    scale_rewards: bool = static(True)
    #: Standardise advantages per minibatch.
    normalise_advantages: bool = static(True)
    #: Begin the first episodes at random ages, so that the environments do not all reach their time limit together.
    stagger: bool = static(True)
    #: Clip the value loss as the objective is clipped.
    clip_values: bool = static(False)


class Params(NamedTuple):
    """What gradients change."""

    actor: Any
    critic: Any
    #: f32[action axes], of continuous actions; empty for discrete ones.
    log_std: jax.Array


class TrainState(NamedTuple):
    """Everything that training goes on from."""

    params: Params
    #: Adam's, with one vector of all parameters for each of its moments: XLA has less to compile than with a dozen.
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


def init(config, env, key):
    """A learner that has learned nothing.

    Args:
        config: `Config`.
        env: an `Environment`, or a `VectorEnv` whose time limit and environment are taken.
        key: a JAX key; it decides the whole run.
    Returns:
        `TrainState`.
    Raises:
        ValueError: if num_steps x num_envs does not divide into stretches and minibatches.
        TypeError: for spaces that the networks cannot read or act in.
    """
    envs = make_vec(env, config.num_envs)
    check(config)
    actor_key, critic_key, env_key, age_key, run_key = jax.random.split(fusable(key), 5)
    inputs, outputs = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    params = Params(
        actor=init_mlp(actor_key, (inputs, *config.hidden, outputs), last_scale=0.01),
        critic=init_mlp(critic_key, (inputs, *config.hidden, 1), last_scale=1.0),
        log_std=jnp.full(0 if choices(envs.single_action_space) else outputs, config.log_std, jnp.float32),
    )
    env_state, obs = envs.reset(env_key)
    if config.stagger and envs.max_episode_steps is not None:
        env_state = _aged(env_state, jax.random.randint(age_key, config.num_envs, 0, envs.max_episode_steps))
    return TrainState(
        params=params,
        optimiser=_optimiser(config).init(ravel_pytree(params)[0]),
        obs_moments=init_moments((inputs,)),
        return_moments=init_moments(()),
        discounted=jnp.zeros(config.num_envs),
        env_state=env_state,
        obs=obs,
        key=run_key,
        updates=jnp.int32(0),
    )


def check(config):
    """Refuses counts that do not fit together, with a ValueError that names them."""
    for name in ("num_envs", "num_steps", "epochs", "minibatches", "stretch"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 1, got {getattr(config, name)}")
    if min(config.hidden, default=1) < 1:
        raise ValueError(f"hidden must be widths of at least 1, got {config.hidden}")
    if config.num_steps % config.stretch:
        raise ValueError(f"num_steps must be a multiple of stretch={config.stretch}, got {config.num_steps}")
    stretches = config.num_envs * config.num_steps // config.stretch
    if stretches % config.minibatches:
        raise ValueError(
            f"minibatches must divide num_envs * num_steps / stretch = {stretches}, got {config.minibatches}"
        )


def check_devices(config, count):
    """Refuses a number of devices that cannot share a batch evenly, with a ValueError that names it."""
    stretches = config.num_envs * config.num_steps // config.stretch // config.minibatches
    if count < 1 or config.num_envs % count or stretches % count:
        raise ValueError(
            f"devices must divide num_envs={config.num_envs} and the {stretches} stretches of a minibatch, got {count}"
        )


def most_devices(config, available):
    """The most of so many devices that are worth it: they share evenly, and none has too little to do."""
    samples = config.num_envs * config.num_steps // config.minibatches
    return max(n for n in range(1, max(1, available) + 1) if n == 1 or _worth_it(config, n, samples))


def _worth_it(config, count, samples):
    return samples // count >= _LEAST_SAMPLES and not (config.num_envs % count or samples // config.stretch % count)


def layout(mesh, state):
    """Where a state lies on several devices, as a pytree of shardings: each plays its part of the environments."""
    lying = replicated(mesh, state)
    shared = {name: batch_sharding(mesh, getattr(state, name)) for name in ("discounted", "env_state", "obs")}
    return lying._replace(**shared)


@functools.partial(jax.jit, static_argnames="mesh")
def update(config, env, state, mesh=None):
    """One round of playing and learning.

    Args:
        config: `Config`.
        env: as given to `init`.
        state: `TrainState`.
        mesh: with a mesh of `sharding.mesh_of`, each device plays its part of the environments and takes its part of
            every minibatch. Random numbers and minibatches are those of one device; only sums are rounded otherwise.
    Returns:
        (TrainState, metrics): metrics is a dict of f32[] scalars: `episodes`, and `return_sum` and `length_sum` over
        the episodes that ended; the means over the gradient steps of the losses and of what became of the policy.
    """
    envs = make_vec(env, config.num_envs)
    if mesh is not None:
        state = jax.lax.with_sharding_constraint(state, layout(mesh, state))
    play_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates))
    env_state, obs, steps = _play(config, envs, state, play_key)
    done = steps.terminated | steps.truncated
    whole = done & ~jnp.isnan(steps.episode_return)
    sums, discounted = discounted_sums(steps.reward, done, state.discounted, gamma=config.gamma)
    return_moments = update_moments(state.return_moments, sums)
    batch, explained_variance = _prepare(config, state._replace(return_moments=return_moments), steps, mesh)
    params, optimiser, metrics = _learn(
        config, envs.single_action_space, state, replicate(mesh, batch), learn_key, mesh
    )
    metrics |= {
        "episodes": whole.sum().astype(jnp.float32),
        "return_sum": jnp.where(whole, steps.episode_return, 0.0).sum(),
        "length_sum": jnp.where(whole, steps.episode_length, 0).sum().astype(jnp.float32),
        "explained_variance": explained_variance,
        "learning_rate": learning_rate(config, state.updates),
    }
    # The moments move only now: the batch was acted on, and is learned from, with the old ones.
    obs_moments = update_moments(state.obs_moments, steps.features)
    after = TrainState(
        params, optimiser, obs_moments, return_moments, discounted, env_state, obs, state.key, state.updates + 1
    )
    return after, metrics


def train(config, env, key, num_updates):
    """A whole run as one pure function; `vmap` it over keys and over the leaves of `config` for a population.

    Args:
        config: `Config`; a positive `schedule_updates` is taken as it is, 0 stands for `num_updates`.
        env: as for `init`.
        key: a JAX key.
        num_updates: how many updates, a Python int.
    Returns:
        (TrainState, metrics): the last state, and the metrics of each update, f32[num_updates] each.
    """
    horizon = jnp.where(config.schedule_updates == 0, num_updates, config.schedule_updates)
    config = dataclasses.replace(config, schedule_updates=horizon)
    return jax.lax.scan(lambda state, _: update(config, env, state), init(config, env, key), length=num_updates)


def policy(config, env, state, *, greedy=True):
    """The learned policy.

    Args:
        config, env, state: as for `update`.
        greedy: take the likeliest action in place of a random one.
    Returns:
        `act(key, obs) -> action`, for one observation or a batch.
    """
    observation_space, action_space = make_vec(env, 1).env.observation_space, make_vec(env, 1).env.action_space

    def act(key, obs):
        x = _standardised(config, state.obs_moments, features(observation_space, obs))
        chosen = distribution(action_space, state.params, x)
        return to_action(action_space, chosen.mode() if greedy else chosen.sample(fusable(key)))

    return act


def distribution(action_space, params, x):
    """The policy's distribution at standardised features f32[..., inputs]."""
    return distribution_over(action_space, mlp(params.actor, x), params.log_std)


def learning_rate(config, updates):
    """The step size after so many updates."""
    return scheduled(config.learning_rate, config.final_learning_rate, updates, config.schedule_updates)


def loss(config, action_space, params, batch, entropy_bonus, moments=None):
    """The clipped objective, the value loss and the entropy of a minibatch, or of a device's part of one.

    Args:
        config, action_space, params: what is learned.
        batch: `Batch` of [samples, ...].
        entropy_bonus: weight of the entropy.
        moments: mean and standard deviation of the whole minibatch's advantages (default: those of `batch`).
    Returns:
        (f32[], dict of f32[]): what to minimise, and what it is made of.
    """
    pi = distribution(action_space, params, batch.features)
    value = mlp(params.critic, batch.features)[..., 0]
    policy_cost, kl, clipped = policy_loss(config, pi.log_prob(batch.sample), batch, moments)
    value_cost = value_loss(config, value, batch)
    entropy = pi.entropy().mean()
    total = policy_cost + config.value_cost * value_cost - entropy_bonus * entropy
    return total, {
        "policy_loss": policy_cost,
        "value_loss": value_cost,
        "entropy": entropy,
        "kl": kl,
        "clipped": clipped,
    }


def policy_loss(config, log_prob, batch, moments=None):
    """Minus the clipped objective (eq. 7), with the estimated KL divergence and the clipped part of the samples."""
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
    target = batch.value + batch.advantage
    error = (value - target) ** 2
    if config.clip_values:
        near = batch.value + jnp.clip(value - batch.value, -config.value_clip, config.value_clip)
        error = jnp.maximum(error, (near - target) ** 2)
    return 0.5 * error.mean()


def _aged(env_state, age):
    """Episodes that the time limit will end `age` steps early; a return of NaN keeps them out of the metrics."""
    returns = jnp.where(age > 0, jnp.nan, env_state.episode_return)
    return env_state._replace(episode_length=age, episode_return=returns)


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
    observation_space, action_space = envs.single_observation_space, envs.single_action_space

    def advance(carry, index):
        env_state, obs = carry
        act_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        raw = features(observation_space, obs)
        pi = distribution(action_space, state.params, _standardised(config, state.obs_moments, raw))
        sample = pi.sample(act_key)
        env_state, step = envs.step(step_key, env_state, to_action(action_space, sample))
        final = features(observation_space, step.final_obs)
        kept = _Steps(
            raw, final, sample, pi.log_prob(sample), step.reward, step.terminated, step.truncated,
            step.episode_return, step.episode_length,
        )  # fmt: skip
        return (env_state, step.obs), kept

    (env_state, obs), steps = jax.lax.scan(advance, (state.env_state, state.obs), jnp.arange(config.num_steps))
    return env_state, obs, steps


def _prepare(config, state, steps, mesh):
    """The `Batch` of [num_steps, num_envs, ...] to learn from, and the values' explained variance."""

    def prepared(shared, steps):
        config, obs_moments, return_moments, critic = shared
        x = _standardised(config, obs_moments, steps.features)
        final_x = _standardised(config, obs_moments, steps.final_features)
        value, next_value = mlp(critic, x)[..., 0], mlp(critic, final_x)[..., 0]
        reward = steps.reward
        if config.scale_rewards:
            reward = reward / jnp.maximum(jnp.sqrt(return_moments.variance), 1e-4)
        advantage = gae(
            reward, value, next_value, steps.terminated, steps.truncated, gamma=config.gamma, lambda_=config.lambda_
        )
        return Batch(x, steps.sample, steps.log_prob, value, advantage)

    shared = config, state.obs_moments, state.return_moments, state.params.critic
    batch = per_device(mesh, prepared, shared, steps, axis=1)
    target_variance = jnp.maximum((batch.value + batch.advantage).var(), 1e-8)
    return batch, 1 - batch.advantage.var() / target_variance


def _learn(config, action_space, state, batch, key, mesh):
    """epochs x minibatches gradient steps: (params, optimiser, metrics)."""
    rates = {
        "step_size": learning_rate(config, state.updates),
        "entropy_bonus": scheduled(
            config.entropy_bonus, config.final_entropy_bonus, state.updates, config.schedule_updates
        ),
    }
    stretches = jax.tree.map(lambda x: chunks(x, config.stretch), batch)
    rows = shuffled(key, stretches.advantage.shape[0], config.epochs, config.minibatches, mesh)
    rows = shard(mesh, rows, axis=1)
    advantage = stretches.advantage[rows]
    moments = advantage.mean((1, 2)), advantage.std((1, 2))

    def learn(shared, rows):
        config, stretches, rates, moments, learner = shared
        optimiser = _optimiser(config)

        def cost(params, minibatch, moments):
            return loss(config, action_space, params, minibatch, rates["entropy_bonus"], moments)

        def descend(carry, now):
            params, optimiser_state = carry
            rows, moments = now
            minibatch = jax.tree.map(lambda x: x[rows].reshape(-1, *x.shape[2:]), stretches)
            gradient, parts = jax.grad(cost, has_aux=True)(params, minibatch, moments)
            gradient, unravel = ravel_pytree(gradient)
            gradient, parts = flat_mean(mesh, (gradient, parts))
            change, optimiser_state = optimiser.update(gradient, optimiser_state)
            change = unravel(jnp.asarray(change))
            params = jax.tree.map(lambda p, c: p - rates["step_size"] * c, params, change)
            return (params, optimiser_state), parts

        return jax.lax.scan(descend, learner, (rows, moments))

    shared = config, stretches, rates, moments, (state.params, state.optimiser)
    (params, optimiser_state), parts = per_device(mesh, learn, shared, rows, axis=1, together=True)
    means = {name: part.mean() for name, part in parts.items()}
    return params, optimiser_state, means


def _standardised(config, moments, x):
    return standardise(moments, x, clip=10.0) if config.normalise_observations else x


def _optimiser(config):
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam(eps=1e-5))
