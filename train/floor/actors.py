"""How an algorithm's greedy policy computes an action, as data: what `train.exports` writes in other forms."""

from typing import Any, NamedTuple

import numpy as np

from . import networks
from .moments import Moments, standardise


class Actor(NamedTuple):
    """A greedy policy: features, standardised, through a network and a linear map, and the best choice or a squash."""

    #: A `flax.linen` module, f32[..., inputs] -> f32[..., outputs].
    network: Any
    #: Its parameters, as `networks.init` makes them.
    params: Any
    #: What standardises features, or None where the network sees them as they are.
    moments: Moments | None = None
    #: Standardised features are cut to [-clip, clip].
    clip: float = 10.0
    #: f32[outputs, decisions], of the network's outputs to one number per choice or axis; None for the outputs as they
    #: are.
    mix: np.ndarray | None = None
    #: How the decisions for a Box of floats get into [-1, 1]: "clip" or "tanh".
    squash: str = "clip"


def decisions(actor, x):
    """The numbers that decide on an action: one for each choice, whose largest is taken, or one for each axis of a Box.

    Args:
        actor: `Actor`.
        x: f32[..., inputs], features that are not standardised yet.
    Returns:
        f32[..., decisions], not squashed.
    """
    if actor.moments is not None:
        x = standardise(actor.moments, x, clip=actor.clip)
    outputs = networks.apply(actor.network, actor.params, x)
    return outputs if actor.mix is None else outputs @ actor.mix
