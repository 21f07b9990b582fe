"""Pytrees as one flat array of 32-bit words.

A call of a jitted function costs a microsecond or more for each input and output array; the single-environment
bridge uses one of each.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np


class Packing:
    """The layout of a pytree in a row of words; each number takes one word, for any dtype.

    Args:
        like: a pytree of arrays or `jax.ShapeDtypeStruct`s of dtypes of up to 32 bits.
    """

    def __init__(self, like):
        self._leaves = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in jax.tree.leaves(like)]
        self._structure = jax.tree.structure(like)
        sizes = [math.prod(shape) for shape, _ in self._leaves]
        self._starts = [sum(sizes[:index]) for index in range(len(sizes) + 1)]
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(like)]
        #: {name: (first word, shape, dtype)} of the arrays that are fields of the pytree itself.
        self.places = {
            path[0].name: (start, *leaf)
            for path, start, leaf in zip(paths, self._starts, self._leaves)
            if len(path) == 1 and hasattr(path[0], "name")
        }

    @property
    def size(self):
        """The number of words."""
        return self._starts[-1]

    def pack(self, tree):
        """Traced: pytree -> u32[size]."""
        words = [_to_words(leaf).reshape(-1) for leaf in jax.tree.leaves(tree)]
        return jnp.concatenate([jnp.zeros(0, jnp.uint32), *words])

    def unpack(self, words):
        """Traced: u32[size] -> pytree."""
        parts = (words[start:stop] for start, stop in zip(self._starts, self._starts[1:], strict=False))
        leaves = [_from_words(part, dtype).reshape(shape) for part, (shape, dtype) in zip(parts, self._leaves)]
        return jax.tree.unflatten(self._structure, leaves)

    def pack_rows(self, tree):
        """On the host: a pytree of arrays with a leading axis -> u32[rows, size]."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
        rows = [_host_words(leaf).reshape(len(leaf), -1) for leaf in leaves]
        return np.concatenate(rows, axis=1) if rows else np.zeros((1, 0), np.uint32)

    def unpack_host(self, words):
        """On the host: u32[size] -> pytree of new NumPy arrays."""
        parts = (words[start:stop] for start, stop in zip(self._starts, self._starts[1:], strict=False))
        leaves = [_host_values(part, dtype).reshape(shape) for part, (shape, dtype) in zip(parts, self._leaves)]
        return jax.tree.unflatten(self._structure, leaves)


def _is_word(dtype):
    return np.dtype(dtype).itemsize == 4


def _to_words(x):
    if x.dtype == jnp.uint32:
        return x
    if _is_word(x.dtype):
        return jax.lax.bitcast_convert_type(x, jnp.uint32)
    if jnp.issubdtype(x.dtype, jnp.floating):
        return jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.uint32)
    return jax.lax.bitcast_convert_type(x.astype(jnp.int32), jnp.uint32)


def _from_words(words, dtype):
    if dtype == np.uint32:
        return words
    if _is_word(dtype):
        return jax.lax.bitcast_convert_type(words, dtype)
    wide = jnp.float32 if np.issubdtype(dtype, np.floating) else jnp.int32
    return jax.lax.bitcast_convert_type(words, wide).astype(dtype)


def _host_words(x):
    if not _is_word(x.dtype):
        x = x.astype(np.float32 if np.issubdtype(x.dtype, np.floating) else np.int32)
    return np.ascontiguousarray(x).view(np.uint32)


def _host_values(words, dtype):
    if _is_word(dtype):
        return words.view(dtype).copy()
    return words.view(np.float32 if np.issubdtype(dtype, np.floating) else np.int32).astype(dtype)
