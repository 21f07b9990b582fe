"""Loops over a few equal things, such as two legs: compiled once.

XLA computes what several of its kernels need in each of them again, unless a loop has computed it before. In a long
chain of formulas that multiplies; loops keep programs short, and quick to compile.
"""

import jax
import jax.numpy as jnp


def looped(function, items):
    """[function(item) for item in items], of pytrees with equal structures."""

    def visit(carry, index):
        return carry, function(picked(index, items))

    _, found = jax.lax.scan(visit, (), jnp.arange(len(items)))
    return parts(found, len(items))


def picked(index, items):
    """The item with that number, i32[]."""

    def pick(first, *others):
        for number, other in enumerate(others, 1):
            first = jnp.where(index == number, other, first)
        return first

    return jax.tree.map(pick, *items)


def parts(stacked, count):
    """The `count` parts of a pytree along its leading axis."""
    return [
        jax.tree.map(lambda leaf, at=at: jax.lax.index_in_dim(leaf, at, keepdims=False), stacked) for at in range(count)
    ]
