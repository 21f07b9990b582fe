"""Pytrees in words, and the differences between two of them."""

from typing import Any, NamedTuple

import jax
import numpy as np


class _Started(NamedTuple):
    state: Any
    obs: Any


class _Moved(NamedTuple):
    state: Any
    obs: Any
    reward: Any
    terminated: Any


def labelled(method, result):
    """What a method returned, with its parts named (`obs` and so on); draws are returned unchanged."""
    if method == "reset":
        return _Started(*result)
    return _Moved(result[0], *result[1]) if method == "step" else result


def named_leaves(tree, name):
    """(name, leaf) for each leaf: ("state.position", array); after a space, the leaf's name has no leading dot."""
    named = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
    return [(name + (path.lstrip(".") if name.endswith(" ") else path), leaf) for path, leaf in named]


def kind(leaf):
    """The type of a leaf, in words: "float32[2]", "weakly typed int32[]", "str"."""
    if not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
        return type(leaf).__name__
    if is_key(leaf):
        return f"key[{','.join(map(str, leaf.shape))}]"
    weak = "weakly typed " if getattr(leaf, "weak_type", False) else ""
    return f"{weak}{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def is_key(leaf):
    """Whether a leaf is a typed JAX key."""
    return hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def on_host(tree):
    """The tree with NumPy arrays instead of JAX arrays, and key data instead of keys."""
    return jax.tree.map(lambda leaf: np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf), tree)


def type_changes(before, after, name):
    """The leaves whose shape, dtype or weak type differ, and differences of structure, in words.

    Args:
        before, after: pytrees of arrays or of their shapes and dtypes.
        name: the name of the trees in the result.
    Returns:
        A list of (leaf's name, kind before, kind after).
    """
    if jax.tree.structure(before) != jax.tree.structure(after):
        return [(name, outline(before), outline(after))]
    pairs = zip(named_leaves(before, name), jax.tree.leaves(after), strict=True)
    return [(path, kind(old), kind(new)) for (path, old), new in pairs if kind(old) != kind(new)]


def outline(tree):
    """The top of a pytree, in words: "State(position, velocity)", "float32[2]"."""
    fields = getattr(tree, "_fields", None)
    if fields is not None:
        return f"{type(tree).__name__}({', '.join(fields)})"
    if isinstance(tree, dict):
        return f"a dict with the keys {sorted(map(str, tree))}"
    if isinstance(tree, tuple | list):
        return f"a {type(tree).__name__} of {len(tree)}"
    return "None" if tree is None else kind(tree)


def differences(left, right, name, *, exact=True):
    """The leaves whose values differ, in words.

    Args:
        left, right: pytrees of arrays.
        name: the name of the trees in the result.
        exact: whether floats must agree bit for bit; otherwise up to rounding.
    Returns:
        A list of (leaf's name, left value, right value), the values as text, where they differ first.
    """
    left, right = on_host(left), on_host(right)
    if jax.tree.structure(left) != jax.tree.structure(right):
        return [(name, outline(left), outline(right))]
    found = []
    for (path, one), other in zip(named_leaves(left, name), jax.tree.leaves(right), strict=True):
        if one.shape != other.shape:
            found.append((path, kind(one), kind(other)))
        elif (apart := _apart(one, other, exact)).any():
            index = np.unravel_index(np.argmax(apart), apart.shape)
            found.append((path + subscript(index), number(one[index]), number(other[index])))
    return found


def number(value):
    """A number as text, floats with the digits of float32."""
    return f"{value:.7g}" if jax.numpy.issubdtype(np.asarray(value).dtype, np.floating) else str(value)


def subscript(index):
    """ "[0, 2]" for an index; empty for that of a scalar."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def _apart(one, other, exact):
    """bool, the shape of the arrays: where they differ; NaN equals NaN."""
    if not (jax.numpy.issubdtype(one.dtype, np.floating) and jax.numpy.issubdtype(other.dtype, np.floating)):
        return np.asarray(one != other)
    one, other = one.astype(np.float64), other.astype(np.float64)
    if exact:
        return ~((one == other) | (np.isnan(one) & np.isnan(other)))
    return ~np.isclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
