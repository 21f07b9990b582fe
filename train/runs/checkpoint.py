"""A pytree of arrays on disk: one `.npz` file, complete or not there, checked when it is read."""

import contextlib
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of something else; the message says which."""


def save(path, tree):
    """Writes every array of a pytree, bit for bit; JAX keys included.

    The file appears completely under its name or not at all: a crash leaves the older one.

    Args:
        path: where to, ending in `.npz`.
        tree: a pytree of arrays.
    """
    arrays = {name: np.asarray(_plain(leaf)) for name, leaf in _named(tree)}
    with replacing(path) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


@contextlib.contextmanager
def replacing(path):
    """A binary file to write, which takes the place of `path` once it is complete and on the disk."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_files(folder):
    """What saves that were killed have left in a folder: a list of paths."""
    return [path for path in Path(folder).glob(".*.*") if path.suffix[1:].isdecimal()]


def load(path, like):
    """Reads what `save` wrote.

    Args:
        path: the file.
        like: a pytree of arrays or `jax.ShapeDtypeStruct`s with the structure, shapes and dtypes of what was saved.
    Returns:
        The pytree, with the arrays on the default device.
    Raises:
        CheckpointError: if the file is missing, damaged, or does not hold what `like` describes.
    """
    stored = _read(Path(path))
    wanted = _named(like)
    leaves = [_restored(path, name, stored, leaf) for name, leaf in wanted]
    surplus = stored.keys() - {name for name, _ in wanted}
    if surplus:
        raise CheckpointError(f"{path} holds {min(surplus)}, which this run does not have")
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named(tree):
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf):
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _read(path):
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        # Opened here, because NumPy leaves a file open that it cannot read.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # damage raises a dozen kinds, from the archive, its compression and NumPy's headers
        raise CheckpointError(f"{path} is damaged and cannot be read ({type(error).__name__})") from error


def _restored(path, name, stored, like):
    if name not in stored:
        raise CheckpointError(f"{path} lacks {name}: it was written by another version or for another configuration")
    expected = jax.eval_shape(_plain, like)
    array = stored[name]
    if array.shape != expected.shape or array.dtype != expected.dtype:
        raise CheckpointError(
            f"{path}: {name} is {array.dtype}{list(array.shape)}, and this run needs "
            f"{expected.dtype}{list(expected.shape)}"
        )
    if not _is_key(like):
        return jnp.asarray(array)
    implementation = jax.random.key_impl(jax.random.wrap_key_data(jnp.zeros_like(array), impl=like.dtype._impl))
    return jax.random.wrap_key_data(jnp.asarray(array), impl=implementation)
