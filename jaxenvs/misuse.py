"""What people do to environments that cannot work, and the sentence that says what to do instead."""

import contextlib
from typing import Any

import jax
import numpy as np


class Absent:
    """Stands for an argument that was not given; a class, since the copy of an object would be another one."""


ABSENT: Any = Absent


def misused(env, signature):
    """The error for a call as of one of Gymnasium's environments."""
    return TypeError(
        f"{type(env).__name__} has {signature}, and no state of its own; Gymnasium's interface is "
        f'gymnasium.make("jaxenvs/...")'
    )


def refuse_batched(env, names):
    """Refuses constants with an axis for a batch, outside of a `vmap`; `names` are those to look at."""
    for name in names:
        value = getattr(env, name)
        if np.ndim(value) > np.ndim(getattr(type(env), name, value)):
            raise ValueError(
                f"{type(env).__name__}: {name} has the shape {np.shape(value)}, a value for each environment of a "
                "batch: use jax.vmap or jaxenvs.make_vec"
            )


@contextlib.contextmanager
def explained_state(reset, state, where):
    """Turns an error that a state of the wrong kind causes into one that says so.

    Args:
        reset: a function without arguments that returns what a state should be.
        state: what was given.
        where: the method, for the message.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError, IndexError, AssertionError) as error:
        expected = jax.eval_shape(reset)
        if _form(state) == _form(expected):
            raise
        failed = error
    else:
        return
    wanted = shown(expected)
    raise TypeError(f"{where}: state must be {wanted}, as reset returns it, got {shown(state)}") from failed


def shown(tree):
    """A state in few words, such as `State(x f32[3], y i32[])`."""
    if hasattr(tree, "_fields"):
        return f"{type(tree).__name__}({', '.join(f'{name} {shown(part)}' for name, part in tree._asdict().items())})"
    if not isinstance(tree, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct):
        return f"{tree!r:.60}"
    return f"{tree.dtype}[{','.join(map(str, tree.shape))}]"


def _form(tree):
    return jax.tree.structure(tree), [np.shape(leaf) for leaf in jax.tree.leaves(tree)]
