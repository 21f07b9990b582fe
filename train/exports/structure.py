"""`structure`: a greedy policy as a few operators and their numbers, which NumPy, ONNX and C can all express."""

import math
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from jaxenvs.spaces import bounds

from ..floor.heads import choices
from ..floor.networks import MLP, Network


class NotExpressible(ValueError):
    """A policy that only StableHLO can express; the message says why."""


class Structure(NamedTuple):
    """A policy as data.

    `description` is a dict that JSON can hold:

    - "observation": for each part, in order, its "path" in the composite observation, "shape" and "dtype"; a part that
      is made of choices has "starts" and "sizes" of its one-hot vectors.
    - "standardise": the bound of standardised features, or None where they are not standardised.
    - "layers": a list of {"kind": "affine" | "layer_norm" | the name of an activation}.
    - "action": "shape" and "dtype"; for choices also "sizes" and "starts", for a Box of floats "squash".
    """

    description: dict
    #: f32 arrays: mean, std; kernel_0, bias_0 and so on, by the number of the layer; centre, reach.
    arrays: dict[str, np.ndarray]


def structure(actor, observation_space, action_space):
    """A `Structure`.

    Args:
        actor: `floor.actors.Actor`.
        observation_space, action_space: those of one environment.
    Raises:
        NotExpressible: for a network that is no multilayer perceptron.
    """
    layers, arrays = _layers(actor)
    if actor.moments is not None:
        arrays["mean"] = np.asarray(actor.moments.mean)
        arrays["std"] = np.maximum(np.sqrt(np.asarray(actor.moments.variance)), np.float32(1e-4))
    action, more = _action(actor, action_space)
    description = {
        "observation": parts_of(observation_space),
        "standardise": None if actor.moments is None else actor.clip,
        "layers": layers,
        "action": action,
    }
    return Structure(description, {name: np.asarray(value, np.float32) for name, value in {**arrays, **more}.items()})


def parts_of(space, path=()):
    """The parts of an observation space that are no composites, in the order of the features.

    >>> parts_of(spaces.Dict({"a": spaces.Discrete(3)}))
    [{'path': ['a'], 'shape': [], 'dtype': 'int32', 'starts': [0], 'sizes': [3]}]
    """
    match space:
        case spaces.Dict():
            return [part for name, sub in space.spaces.items() for part in parts_of(sub, (*path, name))]
        case spaces.Tuple():
            return [part for index, sub in enumerate(space.spaces) for part in parts_of(sub, (*path, index))]
    low, _ = bounds(space)
    part = {"path": list(path), "shape": list(low.shape), "dtype": str(low.dtype)}
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        part |= {"starts": np.ravel(low).tolist(), "sizes": list(choices(space))}
    return [part]


def _layers(actor):
    """(descriptions, arrays) of a network's layers, with the linear map after it in the last of them."""
    network = actor.network
    if type(network) is not Network or type(network.body) is not MLP:
        body = type(getattr(network, "body", network)).__name__
        raise NotExpressible(f"its network is {body}; NumPy, ONNX and C have only perceptrons (network=mlp)")
    layers, arrays = [], {}

    def add(kind, **values):
        arrays.update({f"{name}_{len(layers)}": np.asarray(value, np.float32) for name, value in values.items()})
        layers.append({"kind": kind})

    body = actor.params.get("body", {})
    for index in range(len(network.body.hidden)):
        add("affine", **body[f"Dense_{index}"])
        if network.body.layer_norm:
            add("layer_norm", **body[f"LayerNorm_{index}"])
        if network.body.activation != "linear":
            add(network.body.activation)
    head = {name: np.asarray(value, np.float32) for name, value in actor.params["head"].items()}
    add("affine", **(head if actor.mix is None else {name: value @ actor.mix for name, value in head.items()}))
    return layers, arrays


def _action(actor, space):
    """(description, arrays) of how decisions become an action."""
    low, high = bounds(space)
    action = {"shape": list(low.shape), "dtype": str(low.dtype)}
    if choices(space):
        return action | {"sizes": list(choices(space)), "starts": np.ravel(low).tolist()}, {}
    flat = (math.prod(low.shape),)
    centre, reach = (low + high) / np.float32(2), (high - low) / np.float32(2)
    arrays = {"centre": centre.reshape(flat).astype(np.float32), "reach": reach.reshape(flat).astype(np.float32)}
    return action | {"squash": actor.squash}, arrays
