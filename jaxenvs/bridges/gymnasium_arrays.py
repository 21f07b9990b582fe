"""Arrays of a batch on their way in, as actions, and on their way out to NumPy, JAX or PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction

from jaxenvs.bridges.gymnasium_io import clip_near
from jaxenvs.spaces import bounds


def final_objects(final_obs, done):
    """Gymnasium's keys for the episodes that ended: objects for those, None for the others, and the masks."""
    if not done.any():
        return {}
    ended = np.flatnonzero(done)
    leaves, structure = jax.tree.flatten(final_obs)
    rows = zip(*(np.asarray(leaf)[ended] for leaf in leaves), strict=True)
    observations = np.full(done.shape, None, dtype=object)
    for index, row in zip(ended.tolist(), rows, strict=True):
        observations[index] = row[0] if len(row) == 1 else jax.tree.unflatten(structure, row)
    return {"final_obs": observations, "_final_obs": done, "final_info": {}, "_final_info": done.copy()}


def checked_batch(single_space, space, actions):
    if isinstance(actions, jax.Array):
        return actions
    if hasattr(actions, "__dlpack__") and not isinstance(actions, np.ndarray):
        return jnp.from_dlpack(actions)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        if not space.contains(actions):
            raise InvalidAction(f"actions must be in {space}, got {actions!r}")
        return actions
    array = np.asarray(actions)
    kinds = "fiu" if space.dtype.kind == "f" else "iu"
    if array.shape != space.shape or array.dtype.kind not in kinds:
        raise InvalidAction(
            f"actions must be of shape {space.shape} and a dtype like {space.dtype}, got {array.shape} {array.dtype}"
        )
    low, high = bounds(single_space)
    outside = ~((array >= low) & (array <= high))
    if outside.any() and isinstance(single_space, spaces.Box):
        array, outside = clip_near(single_space, array)
    if outside.any():
        index = tuple(int(i) for i in np.argwhere(outside)[0])
        raise InvalidAction(f"each action must be in {single_space}, got {np.asarray(actions)[index]} at {list(index)}")
    return array


def exporter(arrays):
    """The function that turns a pytree of JAX arrays into the arrays that a client wants; it pickles.

    Raises:
        ValueError: for another kind of arrays.
        ImportError: for "torch" without PyTorch.
    """
    if arrays not in _EXPORTS:
        raise ValueError(f"arrays must be 'numpy', 'jax' or 'torch', got {arrays!r}")
    if arrays == "torch":
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    return _EXPORTS[arrays]


def _numpy(tree):
    return jax.tree.map(np.array, tree)


def _jax(tree):
    return tree


def _torch(tree):
    import torch  # pyright: ignore[reportMissingImports]

    return jax.tree.map(torch.from_dlpack, tree)


_EXPORTS = {"numpy": _numpy, "jax": _jax, "torch": _torch}
