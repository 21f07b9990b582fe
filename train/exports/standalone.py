"""A trained policy in NumPy alone: it needs this file, and policy.npz beside it.

policy = Policy()
action = policy.act(observation)
"""

import json
import math
import pathlib

import numpy as np

_ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": lambda x: _sigmoid(x),
}


class Policy:
    """A greedy policy.

    Args:
        folder: where policy.npz is; by default the folder of this file.

    Attributes:
        description: a dict: the parts of an observation, the layers of the network, and the action.
    """

    def __init__(self, folder=None):
        folder = pathlib.Path(__file__).parent if folder is None else pathlib.Path(folder)
        with np.load(folder / "policy.npz", allow_pickle=False) as stored:
            self._arrays = {name: stored[name] for name in stored.files if name != "description"}
            self.description = json.loads(str(stored["description"]))

    def act(self, observation):
        """The best known action.

        Args:
            observation: one, or a batch with any axes in front; composite observations are dicts and tuples of arrays.
        Returns:
            An array of the action's dtype and shape, with the axes of the batch in front.
        """
        decided, action = self.decisions(observation), self.description["action"]
        leading = decided.shape[:-1]
        if "squash" in action:
            unit = np.tanh(decided) if action["squash"] == "tanh" else np.clip(decided, -1, 1)
            flat = self._arrays["centre"] + self._arrays["reach"] * unit
        else:
            ends = np.cumsum(action["sizes"])
            best = [decided[..., end - size : end].argmax(-1) for size, end in zip(action["sizes"], ends)]
            flat = np.stack(best, axis=-1) + np.array(action["starts"])
        return flat.astype(action["dtype"]).reshape((*leading, *action["shape"]))

    def decisions(self, observation):
        """f32[..., n], what the network says: a number for each choice, or for each axis of a box before its bounds."""
        x = np.concatenate([self._features(observation, part) for part in self.description["observation"]], axis=-1)
        bound = self.description["standardise"]
        if bound is not None:
            x = np.clip((x - self._arrays["mean"]) / self._arrays["std"], -bound, bound)
        for index, layer in enumerate(self.description["layers"]):
            if layer["kind"] == "affine":
                x = x @ self._arrays[f"kernel_{index}"] + self._arrays[f"bias_{index}"]
            elif layer["kind"] == "layer_norm":
                centred = x - x.mean(-1, keepdims=True)
                spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-6))
                x = centred / spread * self._arrays[f"scale_{index}"] + self._arrays[f"bias_{index}"]
            else:
                x = _ACTIVATIONS[layer["kind"]](x)
        return x

    def _features(self, observation, part):
        for step in part["path"]:
            observation = observation[step]
        values = np.asarray(observation)
        leading = values.shape[: values.ndim - len(part["shape"])]
        flat = values.reshape((*leading, math.prod(part["shape"])))
        if "sizes" not in part:
            return flat.astype(np.float32)
        hot = [flat[..., i, None] == start + np.arange(size)
               for i, (start, size) in enumerate(zip(part["starts"], part["sizes"]))]  # fmt: skip
        return np.concatenate(hot, axis=-1).astype(np.float32)


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))
