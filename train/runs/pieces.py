"""The content of arrays in pieces, wherever their parts are: what is written needs no second copy in memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

# Bytes of a piece.
_PIECE = 1 << 24


def with_small_ones(arrays):
    """The same arrays, of which those that are small and partly in other processes are full copies; all call it.

    One exchange does it for all of them.

    Args:
        arrays: list of arrays.
    """
    small = [n for n, x in enumerate(arrays) if _elsewhere(x) and x.nbytes <= _PIECE]
    if not small:
        return arrays
    mesh = arrays[small[0]].sharding.mesh
    copies = dict(zip(small, _replicate(mesh)([arrays[n] for n in small]), strict=True))
    return [copies.get(n, x) for n, x in enumerate(arrays)]


def pieces(array):
    """NumPy arrays that together are an array's content, in the order of its axes.

    Args:
        array: a NumPy or JAX array, not of keys. Of one that several processes share, all must ask for all pieces.
    """
    if isinstance(array, np.ndarray) or array.size == 0 or array.ndim == 0:
        yield np.asarray(array)
    elif array.sharding.is_fully_replicated and _on_cpu(array):
        # A view of the one copy that is read.
        yield np.asarray(array.addressable_shards[0].data)
    elif array.is_fully_addressable and _on_cpu(array):
        yield from _assembled(array)
    else:
        yield from _sliced(array)


def joined(shape, dtype, rows):
    """The array on the default device that consists of pieces; besides it, two pieces are in memory.

    Args:
        shape: of at least one axis.
        dtype: a NumPy dtype.
        rows: `rows(count)` gives the next rows, a NumPy array [count, *shape[1:]].
    """
    array, start = jnp.zeros(shape, dtype), 0
    while start < shape[0]:
        piece = rows(min(_rows(array), shape[0] - start))
        # Waiting bounds what is in memory: the device would take one piece after the other otherwise.
        array = jax.block_until_ready(_put(array, piece, start))
        start += len(piece)
    return array


@functools.partial(jax.jit, donate_argnums=0)
def _put(array, piece, start):
    return jax.lax.dynamic_update_slice_in_dim(array, piece, start, axis=0)


def _on_cpu(array):
    return all(device.platform == "cpu" for device in array.sharding.device_set)


def _elsewhere(array):
    return not getattr(array, "is_fully_addressable", True) and not array.sharding.is_fully_replicated


def _rows(array):
    """How many rows make a piece."""
    return max(1, min(array.shape[0], _PIECE * array.shape[0] // max(array.nbytes, 1)))


def _assembled(array):
    """Of an array whose parts can be read in place."""
    # On a CPU these are views. Parts that are copies of another are left out.
    parts = [(part.index, np.asarray(part.data)) for part in array.addressable_shards if part.replica_id == 0]
    count = _rows(array)
    for start in range(0, array.shape[0], count):
        end = min(start + count, array.shape[0])
        block = np.empty((end - start, *array.shape[1:]), array.dtype)
        for (rows, *rest), data in parts:
            first, last, _ = rows.indices(array.shape[0])
            low, high = max(first, start), min(last, end)
            if low < high:
                block[(slice(low - start, high - start), *rest)] = data[low - first : high - first]
        yield block


def _sliced(array):
    """Of an array that is on an accelerator, or partly in other processes."""
    count = _rows(array)
    everywhere = NamedSharding(array.sharding.mesh, PartitionSpec()) if _elsewhere(array) else None
    take = _take(count, everywhere)
    for start in range(0, array.shape[0], count):
        # The last piece begins where a full one ends with the array.
        begin = min(start, array.shape[0] - count)
        yield np.asarray(take(array, begin))[start - begin :]


@functools.cache
def _take(count, sharding):
    return jax.jit(lambda x, start: jax.lax.dynamic_slice_in_dim(x, start, count), out_shardings=sharding)


@functools.cache
def _replicate(mesh):
    return jax.jit(lambda arrays: arrays, out_shardings=NamedSharding(mesh, PartitionSpec()))
