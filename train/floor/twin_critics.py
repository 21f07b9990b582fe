"""What learners of a policy from twin critics share: their networks, the critics' loss, and a gradient step of a part.

`config` is an algorithm's `Config`, with the fields `network`, `hidden`, `activation` and `layer_norm`. A learner is a
NamedTuple with `params` and `optimisers`, NamedTuples with the same fields.
"""

import chex
import jax.numpy as jnp

from . import experience, gradients, networks
from .gradients import adam, descend, mean_gradient
from .heads import num_outputs


def check(config, devices=1):
    """As `experience.check`; refuses networks for pictures, too, as critics see actions besides."""
    if config.network in ("cnn", "small-cnn"):
        raise ValueError(f"network must be mlp, or a flax.linen module, got {config.network!r}")
    experience.check(config, devices)


def actor_and_critics(config, envs, outputs_per_axis=1):
    """(actor, both critics), flax modules.

    Args:
        config, envs: of an algorithm's `update`.
        outputs_per_axis: numbers that the actor puts out for each axis of an action.
    """
    body = networks.body_of(config, envs)
    outputs = outputs_per_axis * num_outputs(envs.single_action_space)
    return networks.Network(body, outputs, scale=0.01), networks.ensemble(2, body, 1)


def one(config, envs):
    """One of the critics, whose parameters are a part of those of both."""
    return networks.Network(networks.body_of(config, envs), 1)


def values(config, envs, critics, x, action):
    """(Q1, Q2), f32[2, ...], at standardised features f32[..., inputs] and actions f32[..., axes] in [-1, 1]."""
    network = actor_and_critics(config, envs)[1]
    return networks.apply(network, critics, jnp.concatenate([x, action], axis=-1))[..., 0]


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


def optimisers(params):
    """The initial states of the optimisers that `improved` uses, a NamedTuple like `params`."""
    return type(params)(*(gradients.init(_adam(), part) for part in params))


def improved(learner, part, cost, step_size, mesh):
    """A gradient step of one part, inside `sharding.per_device`.

    Args:
        learner: a learner.
        part: the name of a field of its `params`.
        cost: `cost(params) -> (f32[], parts)` of that part.
        step_size: f32[].
        mesh: of `sharding.mesh_of`, or None.
    Returns:
        (learner, parts).
    """
    params, optimiser = getattr(learner.params, part), getattr(learner.optimisers, part)
    gradient, parts = mean_gradient(mesh, cost, params)
    params, optimiser = descend(_adam(), optimiser, params, gradient, step_size)
    after = learner._replace(
        params=learner.params._replace(**{part: params}), optimisers=learner.optimisers._replace(**{part: optimiser})
    )
    return after, parts


def _adam():
    return adam(eps=1e-8)
