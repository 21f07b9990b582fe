"""Arrays in `jax.shard_map`, where each array is either the same on all devices or varies between them.

A scan and a conditional need the same kind on both sides. What a step returns is made to vary wherever its key does.
"""

from typing import Any

import jax


def varies(x):
    """Whether an array is known to differ between the devices of a `jax.shard_map`."""
    aval = jax.typeof(x)
    # The first is where jax 0.10 has it.
    axes = getattr(getattr(aval, "manual_axis_type", None), "varying", None) or getattr(aval, "vma", None)
    return bool(axes)


def varying_as(key, tree) -> Any:
    """A pytree of arrays, which vary between devices wherever `key`, a typed key or its words, does."""
    if not varies(key):
        return tree
    words = key if key.dtype == "uint32" else jax.random.key_data(key)
    always = words.ravel()[0] == words.ravel()[0]
    return jax.tree.map(lambda leaf: jax.lax.select_n(always, leaf, leaf), jax.tree.map(jax.numpy.asarray, tree))
