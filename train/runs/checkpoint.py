"""A pytree of arrays on disk: one `.npz` file, complete or not there, checked when it is read."""

import collections
import contextlib
import json
import math
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from .files import replacing
from .pieces import joined, pieces, with_small_ones


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of something else; the message says which."""


class Damaged(CheckpointError):
    """A checkpoint that is missing, cut short or changed on the disk: an older one can take its place."""


# The member that holds what a checkpoint is about; names of leaves begin with "." or "[".
_ABOUT = "about"
# The largest one that is read, in bytes.
_LARGEST_ABOUT = 1 << 20
# Bytes that are read at once.
_PIECE = 1 << 22


def save(path, tree, *, about=None, keep=1):
    """Writes every array of a pytree, bit for bit; JAX keys included.

    The file appears completely under its name or not at all: a crash leaves the older one. Of an array, at most a piece
    is copied at a time. Where several processes share arrays, all of them call this, and one gives a path.

    Args:
        path: where to, ending in `.npz`; None for a process that does not write.
        tree: a pytree of arrays.
        about: a dict for JSON that is kept with the arrays; `about` reads it.
        keep: how many of the newest are kept, this one included: `older(path, 1)` is the one before.
    """
    names, leaves = zip(*_named(tree), strict=True)
    arrays = dict(zip(names, with_small_ones([_plain(leaf) for leaf in leaves]), strict=True))
    if about is not None:
        arrays[_ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    if path is None:
        for array in arrays.values():
            collections.deque(pieces(array), maxlen=0)
        return
    with replacing(path, keep=keep) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write(member, array)


def _write(file, array):
    """An array in NumPy's format, as `np.savez` writes it."""
    form = {"descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, form)
    for piece in pieces(array):
        file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)


def load(path, like):
    """Reads what `save` wrote.

    Besides the state, a few pieces of 16 MiB are in memory. Memory is taken for an array only once its declared shape
    and dtype are those of `like`.

    Args:
        path: the file.
        like: a pytree of arrays or `jax.ShapeDtypeStruct`s with the structure, shapes and dtypes of what was saved.
    Returns:
        The pytree, with the arrays on the default device.
    Raises:
        Damaged: if the file is missing or damaged.
        CheckpointError: if it does not hold what `like` describes.
    """
    wanted = _named(like)
    with _opened(path) as archive:
        there = {name.removesuffix(".npy") for name in archive.namelist()} - {_ABOUT}
        leaves = [_restored(path, name, archive, there, leaf) for name, leaf in wanted]
    surplus = there - {name for name, _ in wanted}
    if surplus:
        raise CheckpointError(f"{path} holds {min(surplus)}, which this run does not have")
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def about(path):
    """The dict that `save` was given with a checkpoint; {} if there was none.

    Raises:
        Damaged: as `load`.
    """
    with _opened(path) as archive:
        if f"{_ABOUT}.npy" not in archive.namelist():
            return {}
        return json.loads(_array(path, archive, _ABOUT, lambda shape, dtype: _is_about(path, shape, dtype)).tobytes())


def _is_about(path, shape, dtype):
    if len(shape) != 1 or dtype != np.uint8 or shape[0] > _LARGEST_ABOUT:
        raise CheckpointError(f"{path}: {_ABOUT} is {dtype}{list(shape)}, and must be at most {_LARGEST_ABOUT:,} bytes")


def _named(tree):
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf):
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def read_arrays(path):
    """The arrays of a file that `save` wrote, by name.

    Raises:
        Damaged: if the file is missing or damaged.
    """
    with _opened(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()} - {_ABOUT}
        return {name: _array(path, archive, name, lambda shape, dtype: None) for name in names}


@contextlib.contextmanager
def _opened(path):
    """The archive of a checkpoint; what goes wrong while it is read means damage."""
    if not Path(path).is_file():
        raise Damaged(f"{path} does not exist")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except CheckpointError:
        raise
    except Exception as error:  # damage raises a dozen kinds, from the archive, its compression and NumPy's headers
        raise Damaged(f"{path} is damaged and cannot be read ({type(error).__name__})") from error


@contextlib.contextmanager
def _member(path, archive, name, check):
    """(file, shape, dtype, whether in Fortran's order) of an array, after `check(shape, dtype)` of what is declared."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise Damaged(f"{path}: {name} has another header than this version writes")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        check(shape, dtype)
        yield file, shape, dtype, fortran
        # Beyond its end, the archive compares the checksum.
        if file.read(1):
            raise _wrong_size(path, name)


def _wrong_size(path, name):
    return Damaged(f"{path} is damaged: {name} does not have the size that it declares")


def _read(path, name, file, size):
    """u8[size], the next bytes of an array."""
    flat = np.empty(size, np.uint8)
    view, read = flat.data, 0
    while read < size and (count := file.readinto(view[read : read + _PIECE])):
        read += count
    if read != size:
        raise _wrong_size(path, name)
    return flat


def _array(path, archive, name, check):
    """An array of the archive as NumPy's, after `check(shape, dtype)` of what its header declares."""
    with _member(path, archive, name, check) as (file, shape, dtype, fortran):
        flat = _read(path, name, file, math.prod(shape) * dtype.itemsize)
    return flat.view(dtype).reshape(shape, order="F" if fortran else "C")


def _large(path, archive, name, check):
    """An array of the archive as JAX's, of which one piece at a time is in memory besides."""
    with _member(path, archive, name, check) as (file, shape, dtype, fortran):
        if fortran:
            raise Damaged(f"{path}: {name} has another order than this version writes")

        def rows(count):
            flat = _read(path, name, file, count * math.prod(shape[1:]) * dtype.itemsize)
            return flat.view(dtype).reshape(count, *shape[1:])

        return joined(shape, dtype, rows)


def _restored(path, name, archive, names, like):
    if name not in names:
        raise CheckpointError(f"{path} lacks {name}: it was written by another version or for another configuration")
    expected = jax.eval_shape(_plain, like)

    def check(shape, dtype):
        if shape != expected.shape or dtype != expected.dtype:
            raise CheckpointError(
                f"{path}: {name} is {dtype}{list(shape)}, and this run needs {expected.dtype}{list(expected.shape)}"
            )

    if not _is_key(like) and expected.size * expected.dtype.itemsize > _PIECE:
        return _large(path, archive, name, check)
    array = _array(path, archive, name, check)
    if not _is_key(like):
        return jnp.asarray(array)
    implementation = jax.random.key_impl(jax.random.wrap_key_data(jnp.zeros_like(array), impl=like.dtype._impl))
    return jax.random.wrap_key_data(jnp.asarray(array), impl=implementation)
