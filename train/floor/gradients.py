"""Gradient steps: Adam over one vector of all parameters, with a bounded gradient, averaged over devices."""

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from .sharding import flat_mean


def adam(max_grad_norm=None, eps=1e-5):
    """Adam (Kingma and Ba 2015) without its step size, which `descend` takes; the gradient's global norm is bounded."""
    clip = [] if max_grad_norm is None else [optax.clip_by_global_norm(max_grad_norm)]
    return optax.chain(*clip, optax.scale_by_adam(eps=eps))


def init(optimiser, params):
    """The optimiser's initial state.

    Its moments are one vector of all parameters: XLA has less to compile than with a dozen arrays.
    """
    return optimiser.init(ravel_pytree(params)[0])


def descend(optimiser, optimiser_state, params, gradient, step_size):
    """One step.

    Args:
        optimiser: of `adam`.
        optimiser_state: of `init`, or of an earlier step.
        params, gradient: pytrees of one structure.
        step_size: f32[].
    Returns:
        (params, optimiser_state).
    """
    flat, unravel = ravel_pytree(gradient)
    change, optimiser_state = optimiser.update(flat, optimiser_state)
    params = jax.tree.map(lambda p, c: p - step_size * c, params, unravel(jnp.asarray(change)))
    return params, optimiser_state


def mean_gradient(mesh, cost, params):
    """(gradient, parts) of `cost(params) -> (f32[], parts)`, inside `per_device` the means over the devices."""
    gradient, parts = jax.grad(cost, has_aux=True)(params)
    flat, unravel = ravel_pytree(gradient)
    flat, parts = flat_mean(mesh, (flat, parts))
    return unravel(flat), parts
