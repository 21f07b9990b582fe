"""A Python function of arrays as a value: traced, comparable, and without the arrays that it closes over.

`jax.jit` recognises a function by its identity: a lambda that is written in a loop is compiled again each time, and one
whose variables have changed is not. Here a function is traced at each call, which takes a millisecond, and two
are equal if they compute the same from their arguments and the arrays they close over.
"""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.extend import core

_ARRAYS = jax.Array | jax.ShapeDtypeStruct | np.ndarray | np.generic | bool | int | float | complex
# Rules of differentiation, which are made again at each trace; what is traced here has been differentiated already.
_RULES = {"jvp_jaxpr_fun", "fwd_jaxpr_thunk", "bwd", "out_trees"}


class Captured:
    """What a function computes, hashable and comparable; `capture` makes one."""

    def __init__(self, jaxpr, out_tree, fixed, shapes):
        self._jaxpr, self._out_tree, self._fixed = jaxpr, out_tree, fixed
        #: The function's result, with a `jax.ShapeDtypeStruct` for each array.
        self.shapes = shapes
        form = out_tree, tuple((place, _value(leaf)) for place, leaf in fixed.items()), _form(jaxpr)
        self._form, self._hash = form, hash(form)

    def __call__(self, consts, *args):
        """The function's result for other arguments and other closed-over arrays of the same shapes."""
        arrays = [leaf for leaf in jax.tree.leaves(args) if isinstance(leaf, _ARRAYS)]
        results = core.jaxpr_as_fun(core.ClosedJaxpr(self._jaxpr, consts))(*arrays)
        return jax.tree.unflatten(self._out_tree, _merged(results, self._fixed))

    def __eq__(self, other):
        return isinstance(other, Captured) and self._form == other._form

    def __hash__(self):
        return self._hash


def capture(function, *args) -> tuple[Captured, list]:
    """Traces a function.

    Args:
        function: takes and returns pytrees of arrays; leaves that are no arrays are handed on as they are.
        args: the same, with arrays or `jax.ShapeDtypeStruct`.
    Returns:
        (captured, consts): `captured(consts, *args)` is `function(*args)`.
    """
    arrays, fixed, tree = _split(args)
    out: Any = ()

    # A function of its own for each trace: JAX would remember the result for the same one.
    def flat(*arrays):
        nonlocal out
        results, *out = _split(function(*jax.tree.unflatten(tree, _merged(arrays, fixed))))
        return results

    closed, shapes = jax.make_jaxpr(flat, return_shape=True)(*arrays)
    out_fixed, out_tree = out
    result = jax.tree.unflatten(out_tree, _merged(shapes, out_fixed))
    return Captured(closed.jaxpr, out_tree, out_fixed, result), closed.consts


def _split(tree):
    """(arrays, {place: leaf} of the other leaves, structure) of a pytree."""
    leaves, structure = jax.tree.flatten(tree)
    fixed = {place: leaf for place, leaf in enumerate(leaves) if not isinstance(leaf, _ARRAYS)}
    return [leaf for leaf in leaves if isinstance(leaf, _ARRAYS)], fixed, structure


def _merged(arrays, fixed):
    """The leaves that `_split` has separated."""
    remaining = iter(arrays)
    return [fixed[place] if place in fixed else next(remaining) for place in range(len(fixed) + len(arrays))]


def staged(*trees):
    """Whether this is part of a trace: inside `jit`, or with tracers among the leaves of some pytrees."""
    # Inside `jit` every operation is staged; inside `grad` and `vmap` alone, only those on tracers.
    return any(isinstance(leaf, Tracer) for leaf in (jax.numpy.zeros(()), *jax.tree.leaves(trees)))


def _form(jaxpr):
    """A jaxpr as nested tuples that are equal for equal computations, whatever its variables are called."""
    numbers = {}

    def atom(var):
        if isinstance(var, core.Literal):
            return var.aval, np.asarray(var.val).tobytes()
        return numbers.setdefault(var, len(numbers)), var.aval

    inputs = [*map(atom, jaxpr.constvars), *map(atom, jaxpr.invars)]
    equations = [
        (eqn.primitive, *map(atom, eqn.invars), *map(atom, eqn.outvars), str(eqn.ctx), _value(eqn.params))
        for eqn in jaxpr.eqns
    ]
    return len(jaxpr.constvars), tuple(inputs), tuple(equations), tuple(map(atom, jaxpr.outvars))


def _value(value):
    """A parameter of an equation, in a form that can be hashed and compared; what cannot be is known by identity."""
    # Closed ones first: since jax 0.12 they are jaxprs too.
    if isinstance(value, core.ClosedJaxpr):
        return _form(value.jaxpr), tuple(map(id, value.consts))
    if isinstance(value, core.Jaxpr):
        return _form(value)
    if isinstance(value, dict):
        return tuple((name, _value(part)) for name, part in sorted(value.items()) if name not in _RULES)
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_value, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    # True, 1 and 1.0 are equal, and compute different things.
    return type(value), value
