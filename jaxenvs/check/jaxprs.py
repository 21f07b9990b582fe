"""Reading what JAX traced: every equation and every closed-over array of a jaxpr, including the inner ones."""

import jax
from jax.extend import core as jex_core


def equations(jaxpr):
    """Every equation of a jaxpr, closed or not, including those of its inner jaxprs."""
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation
        for inner in _inner(equation):
            yield from equations(inner)


def closed_over(jaxpr):
    """Every array from outside that a jaxpr or one of its inner jaxprs contains."""
    yield from getattr(jaxpr, "consts", ())
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for inner in _inner(equation):
            yield from closed_over(inner)


def _inner(equation):
    is_jaxpr = lambda value: isinstance(value, jex_core.Jaxpr | jex_core.ClosedJaxpr)  # noqa: E731
    return [value for value in jax.tree.leaves(dict(equation.params), is_leaf=is_jaxpr) if is_jaxpr(value)]


def constant_equations(jaxpr, varying=None):
    """Every equation, including those of inner jaxprs, that computes the same at every call.

    Args:
        jaxpr: a jaxpr, closed or not.
        varying: for each of its arguments, whether it differs from call to call; by default all do.
    """
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    depend = {var for var, varies in zip(jaxpr.invars, varying or [True] * len(jaxpr.invars)) if varies}
    for equation in jaxpr.eqns:
        inputs = [not isinstance(var, jex_core.Literal) and var in depend for var in equation.invars]
        if any(inputs):
            depend.update(equation.outvars)
        else:
            yield equation
        for inner in _inner(equation):
            arguments = getattr(inner, "jaxpr", inner).invars
            # Of loops and branches, which pass arguments on in other ways, any may differ.
            known = inputs if equation.primitive.name in ("jit", "pjit") else [any(inputs)] * len(arguments)
            yield from constant_equations(inner, known)
