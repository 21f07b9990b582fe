"""Twin delayed deep deterministic policy gradient, TD3 (Fujimoto et al. 2018, arXiv:1802.09477).

    repeat:
        play num_steps in num_envs environments with a = clip(mu(s) + noise * e, -1, 1), and remember the transitions
        gradient_steps times, over random batches of the replay buffer:
            a' = clip(mu_target(s') + clip(target_noise * e, -noise_clip, noise_clip), -1, 1)
            y = r + gamma * (1 - terminated) * min(Q1_target(s', a'), Q2_target(s', a'))
            minimise (Q1(s, a) - y)**2 + (Q2(s, a) - y)**2
            every policy_delay-th time: maximise Q1(s, mu(s)), and move the targets by tau towards the parameters

Actions are those of a box of [-1, 1] on each axis, which is mapped onto the action space. Differences from the paper:
observations are standardised by running statistics in the learner's state, the noise of exploration may last for some
steps (`noise_correlation`), targets may look n steps ahead, and rates may change linearly over the run. A time limit is
not a terminal state: targets bootstrap from `final_obs`, and only a termination cuts them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs import constant, make_vec, static
from jaxenvs.precision import in_32_bits
from jaxenvs.random import fusable
from jaxenvs.random.varying import varying_as

from .floor import experience, networks, noisy, running, schedules, twin_critics
from .floor.actors import Actor
from .floor.config import hyperparameters
from .floor.episodes import check_batch
from .floor.heads import acts_in, check_actions, num_features, num_outputs
from .floor.policies import batch_of, policy_of
from .floor.schedules import learning_rate, linear
from .floor.sharding import per_device, shard, sharded
from .floor.targets import bootstrapped, polyak
from .floor.twin_critics import critic_loss, improved, values

#: See `algorithm.Algorithm.ACTIONS`.
ACTIONS = acts_in("td3", "box")


@hyperparameters
class Config:
    """Hyperparameters. Rates are leaves, which `vmap` can batch; counts, switches and names are static."""

    #: Learning rate of Adam at the start, for actor and critics.
    learning_rate: float = constant(1e-3, low=0.0)
    #: Learning rate at the end of the schedule, as a fraction of the initial one.
    final_learning_rate: float = constant(0.1, low=0.0)
    #: Initial standard deviation of the exploration noise, for actions in [-1, 1].
    noise: float = constant(0.1, low=0.0)
    #: Noise at the end of the schedule, as a fraction of the initial one.
    final_noise: float = constant(1.0, low=0.0)
    #: Correlation of the noise of consecutive steps: 0 is independent noise, near 1 it changes slowly.
    noise_correlation: float = constant(0.0, low=0.0, below=1.0)
    #: Updates over which rates change linearly; 0 is the length of the run.
    schedule_updates: float = constant(0.0, low=0.0)
    #: Discount per step.
    gamma: float = constant(0.99, low=0.0, high=1.0)
    #: Fraction by which each step of the policy moves the target networks towards the parameters.
    tau: float = constant(0.005, low=0.0, high=1.0)
    #: Standard deviation of the noise in the target actions.
    target_noise: float = constant(0.2, low=0.0)
    #: Clipping range of the target noise.
    noise_clip: float = constant(0.5, low=0.0)
    #: Environments stepped together.
    num_envs: int = static(8, low=1)
    #: Steps of each environment per update.
    num_steps: int = static(8, low=1)
    #: Gradient steps of the critics per update.
    gradient_steps: int = static(32, low=1, high=10_000)
    #: Gradient steps of the critics per gradient step of the policy.
    policy_delay: int = static(2, low=1)
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
    """What gradients change: parameters of flax modules, dicts."""

    actor: Any
    #: With an axis of 2 in front.
    critics: Any


class Learner(NamedTuple):
    """What a gradient step changes."""

    params: Params
    #: Parameters that follow `params` slowly.
    targets: Params
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
    if config.gradient_steps % config.policy_delay:
        raise ValueError(
            f"gradient_steps must be a multiple of policy_delay={config.policy_delay}, got {config.gradient_steps}"
        )
    twin_critics.check(config, devices)


#: See `algorithm.Algorithm`; all learners from a replay buffer have these in common.
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
    check_actions("td3", envs.single_action_space)
    actor_key, critic_key, play_key, run_key = jax.random.split(fusable(key), 4)
    inputs, axes = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    actor, pair = _networks(config, envs)
    params = Params(networks.init(actor, actor_key, inputs), networks.init(pair, critic_key, inputs + axes))
    optimisers = twin_critics.optimisers(params)
    played = noisy.warmed_up(config, envs, play_key)
    return varying_as(key, TrainState(Learner(params, params, optimisers), played, run_key, jnp.int32(0)))


@functools.partial(jax.jit, static_argnames="mesh")
@in_32_bits
def update(config, envs, state, mesh=None):
    """Plays num_steps steps in each environment, and makes gradient_steps steps; see `algorithm.Algorithm.update`.

    The means of the metrics are those over the gradient steps of the critics' loss, their values and the policy's loss,
    and besides the noise of exploration and the step size.
    """
    check_batch(envs, config.num_envs)
    state = sharded(mesh, state, shardings)
    play_key, sample_key, learn_key = jax.random.split(jax.random.fold_in(state.key, state.updates), 3)
    explore = functools.partial(explored, config, envs, state)
    played, steps = noisy.play(config, envs, explore, play_key, state.experience, config.num_steps)
    played = experience.remember(config, played, steps)
    batches = experience.batches(config, played, sample_key)
    learner, means = _learn(config, envs, state, batches, learn_key, mesh)
    means |= {"noise": noise(config, state.updates), "learning_rate": learning_rate(config, state.updates)}
    after = TrainState(learner, played, state.key, state.updates + 1)
    return after, experience.metrics_of(steps, means)


@in_32_bits
def train(config, env, key, num_updates):
    """An entire run as one pure function; see `algorithm.Algorithm.train`."""
    envs, config = make_vec(env, config.num_envs), scheduled(config, num_updates)
    return jax.lax.scan(lambda state, _: update(config, envs, state), init(config, envs, key), length=num_updates)


def policy(config, envs, state, *, greedy=True):
    """The learned policy, with the noise of exploration unless greedy; see `algorithm.Algorithm.policy`.

    That noise is independent at each step, whatever noise_correlation says: a policy has no memory.
    """
    envs = batch_of(envs)
    axes = num_outputs(envs.single_action_space)

    def choose(key, raw):
        normals = 0.0 if greedy else jax.random.normal(fusable(key), (*raw.shape[:-1], axes))
        return explored(config, envs, state, raw, normals)

    return policy_of(envs, choose)


def actor(config, envs, state):
    """The greedy policy as data; see `algorithm.Algorithm.actor`."""
    envs = batch_of(envs)
    moments = state.experience.obs_moments if config.normalise_observations else None
    return Actor(_networks(config, envs)[0], state.learner.params.actor, moments, squash="tanh")


def noise(config, updates):
    """The standard deviation of exploration after this number of updates."""
    return linear(config.noise, config.final_noise, updates, config.schedule_updates)


def explored(config, envs, state, raw, normals):
    """Actions in [-1, 1] at features f32[..., inputs], with exploration by standard normals f32[..., axes]."""
    best = mean_action(config, envs, state.learner.params.actor, running.seen(config, state.experience, raw))
    return jnp.clip(best + noise(config, state.updates) * normals, -1.0, 1.0)


def mean_action(config, envs, actor, x):
    """mu(s), f32[..., axes] in [-1, 1], at standardised features f32[..., inputs]."""
    return jnp.tanh(networks.apply(_networks(config, envs)[0], actor, x))


def smoothed(config, action, normals):
    """The actions of targets: with clipped noise, and clipped (eq. 14)."""
    spread = jnp.clip(config.target_noise * normals, -config.noise_clip, config.noise_clip)
    return jnp.clip(action + spread, -1.0, 1.0)


def targets_of(config, envs, targets, batch, normals):
    """The targets f32[samples] of a batch of transitions (eq. 10, and the smoothing of eq. 14)."""
    action = smoothed(config, mean_action(config, envs, targets.actor, batch.next_features), normals)
    following = values(config, envs, targets.critics, batch.next_features, action).min(0)
    return bootstrapped(batch.reward, following, batch.terminated, batch.discount)


def policy_loss(config, envs, actor, critics, x):
    """What the policy minimises: minus the mean of the first critic's values of its actions (eq. 5).

    Args:
        config, envs: as for `update`.
        actor, critics: parameters.
        x: standardised features f32[samples, inputs].
    Returns:
        (f32[], dict of f32[]).
    """
    first = jax.tree.map(lambda x: x[0], critics)
    inputs = jnp.concatenate([x, mean_action(config, envs, actor, x)], axis=-1)
    loss = -networks.apply(twin_critics.one(config, envs), first, inputs).mean()
    return loss, {"policy_loss": loss}


def _learn(config, envs, state, batches, key, mesh):
    """gradient_steps steps of the critics, and those of the policy: (Learner, means)."""
    space = envs.single_action_space
    normals = jax.random.normal(key, (config.gradient_steps, config.batch_size, num_outputs(space)))
    data = shard(mesh, (batches, normals), axis=1)
    step_size = learning_rate(config, state.updates)

    def learn(data, config, step_size, learner):
        rounds = jax.tree.map(lambda x: x.reshape(-1, config.policy_delay, *x.shape[1:]), data)
        step = functools.partial(_round, config, envs, step_size, mesh)
        return jax.lax.scan(step, learner, rounds)

    learner, parts = per_device(
        mesh, learn, data, axis=1, together=True, config=config, step_size=step_size, learner=state.learner
    )
    return learner, {name: part.mean() for name, part in parts.items()}


def _round(config, envs, step_size, mesh, learner, data):
    """policy_delay steps of the critics, and one of the policy and of the targets."""

    def improve_critics(learner, now):
        batch, normals = now
        target = targets_of(config, envs, learner.targets, batch, normals)
        cost = lambda critics: critic_loss(values(config, envs, critics, batch.features, batch.action), target)  # noqa: E731
        return improved(learner, "critics", cost, step_size, mesh)

    learner, parts = jax.lax.scan(improve_critics, learner, data)
    x, critics = data[0].features[-1], learner.params.critics
    learner, policy_parts = improved(
        learner, "actor", lambda actor: policy_loss(config, envs, actor, critics, x), step_size, mesh
    )
    learner = learner._replace(targets=polyak(learner.targets, learner.params, config.tau))
    return learner, jax.tree.map(jnp.mean, parts) | policy_parts


def _networks(config, envs):
    """(actor, both critics)."""
    return twin_critics.actor_and_critics(config, envs)
