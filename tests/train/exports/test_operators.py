"""The operators of exported policies: NumPy, ONNX and C say what JAX says, or refuse what they cannot express."""

import json
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from reference.observations import some_obs

from train.exports import measure
from train.exports.c_header import header
from train.exports.onnx_file import input_names, onnx_model
from train.exports.stablehlo import serialized
from train.exports.standalone import Policy
from train.exports.structure import NotExpressible, structure
from train.floor import networks
from train.floor.actors import Actor, decisions
from train.floor.distributions import TanhNormal
from train.floor.heads import distribution_over, features, num_features, num_outputs, to_action
from train.floor.moments import Moments

KEY = jax.random.key(0)
# Every kind of space and operator: (observations, actions, options of the perceptron, squash, standardised or not).
GRID = {"grid": spaces.MultiDiscrete([3, 4], start=[1, -2]), "at": spaces.Discrete(3, start=-1)}
COMPOSITE = spaces.Dict({**GRID, "more": spaces.Tuple([spaces.Box(-3.0, 3.0, (2, 2)), spaces.MultiBinary(3)])})
FLOATS = spaces.Box(-np.inf, np.inf, (5,))
BOX = spaces.Box(np.array([[-2.0, 0.0]], np.float32), np.array([[4.0, 1.0]], np.float32))
OPERATORS = {
    "tanh, start": (FLOATS, spaces.Discrete(3, start=5), {"activation": "tanh"}, "clip", True),
    "relu, layer norm": (
        FLOATS,
        spaces.Discrete(9),
        {"activation": "relu", "layer_norm": True, "hidden": (16, 16)},
        "clip",
        True,
    ),
    "elu, choices": (COMPOSITE, spaces.MultiDiscrete([2, 3], start=[0, -4]), {"activation": "elu"}, "clip", True),
    "gelu, clipped box": (COMPOSITE, BOX, {"activation": "gelu"}, "clip", False),
    "silu, tanh box": (spaces.Box(0, 255, (2, 3), np.uint8), BOX, {"activation": "silu"}, "tanh", True),
    "sigmoid, integers": (FLOATS, spaces.Box(2, 9, (2, 1), np.int16), {"activation": "sigmoid"}, "clip", False),
    "linear, bits": (spaces.Discrete(4), spaces.MultiBinary(4), {"activation": "linear", "hidden": ()}, "clip", False),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_every_operator_says_the_same_in_numpy_onnx_and_c(case, tmp_path):
    space, action_space, options, squash, standardised = OPERATORS[case]
    inputs, outputs = num_features(space), num_outputs(action_space)
    network = networks.Network(networks.MLP(**{"hidden": (7, 6), **options}), outputs)
    rng = np.random.default_rng(2)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32),
        jax.eval_shape(lambda: networks.init(network, KEY, inputs)),
    )
    mean, variance = rng.uniform(-0.5, 0.5, inputs), rng.uniform(0.5, 2.0, inputs)
    moments = Moments(jnp.float32(mean), jnp.float32(variance), jnp.float32(9.0)) if standardised else None
    actor = Actor(network, params, moments, clip=1.5, squash=squash)
    described = structure(actor, space, action_space)
    obs = some_obs(space, 40)
    in_jax = jax.tree.map(jnp.asarray, obs)
    decided = decisions(actor, features(space, in_jax))
    wanted, sizes = np.asarray(_action(action_space, decided, squash)), described.description["action"].get("sizes")
    assert len(np.unique(wanted.reshape(len(wanted), -1), axis=0)) > 1 and (sizes is None) == (action_space is BOX)

    arrays: dict[str, Any] = {"description": json.dumps(described.description), **described.arrays}
    np.savez(tmp_path / "policy.npz", **arrays)
    (tmp_path / "policy.onnx").write_bytes(onnx_model(described, {}).SerializeToString())
    (tmp_path / "policy.h").write_text(header(described, "a test */ of comments"))
    policy, parts = Policy(tmp_path), described.description["observation"]
    found: Any
    for found in (
        (policy.act(obs), policy.decisions(obs)),
        measure.by_onnx(tmp_path / "policy.onnx", parts, obs),
        measure.by_c(tmp_path, described.description, outputs, obs),
    ):
        assert found is not None
        np.testing.assert_allclose(found[1], decided, rtol=1e-5, atol=2e-5)
        assert found[0].dtype == wanted.dtype and found[0].shape == wanted.shape
        np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=2e-5)


def _action(space, decided, squash):
    """What the policies of the algorithms make of decisions."""
    spread = jnp.zeros(decided.shape[-1])
    tanh = squash == "tanh"
    return to_action(space, (TanhNormal(decided, spread) if tanh else distribution_over(space, decided, spread)).mode())


def test_the_inputs_of_onnx_are_named_by_their_places():
    parts = structure(tiny_actor(COMPOSITE), COMPOSITE, spaces.Discrete(2)).description["observation"]
    assert input_names(parts) == [
        "observation.at", "observation.grid", "observation.more.0", "observation.more.1",
    ]  # fmt: skip


def tiny_actor(space, body=None):
    network = networks.Network(body or networks.MLP((3,)), 2)
    return Actor(network, networks.init(network, KEY, num_features(space)))


class Own(nn.Module):
    @nn.compact
    def __call__(self, x):
        # The size of the batch decides on something, as a user's own code may have it.
        return nn.Dense(4)(x) * (2.0 if x.shape[0] >= 4 else 1.0) if x.ndim > 1 else nn.Dense(4)(x)


def test_a_network_of_the_users_own_is_refused_by_name_but_for_stablehlo():
    space = spaces.Box(-1.0, 1.0, (3,))
    actor = tiny_actor(space, Own())
    with pytest.raises(NotExpressible, match="its network is Own; NumPy, ONNX and C have only perceptrons"):
        structure(actor, space, spaces.Discrete(2))
    act = lambda obs: decisions(actor, obs)  # noqa: E731
    program = jax.export.deserialize(bytearray(serialized(act, jax.ShapeDtypeStruct((3,), np.float32))))
    assert program.call(np.zeros((2, 3), np.float32)).shape == (2, 2)


def test_a_convolution_is_refused_by_name():
    space = spaces.Box(0.0, 1.0, (4, 4, 1))
    body = networks.body("small-cnn", space, hidden=(), activation="relu")
    with pytest.raises(NotExpressible, match="its network is CNN"):
        structure(tiny_actor(space, body), space, spaces.Discrete(2))


def test_choices_that_floats_cannot_hold_are_refused_in_c():
    space = spaces.Discrete(3, start=2**24)
    described = structure(tiny_actor(space), space, spaces.Discrete(2))
    with pytest.raises(NotExpressible, match=r"choices from 16777216 on; a C header's floats end at 2\*\*24"):
        header(described, "")
