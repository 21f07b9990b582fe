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


def has_literals_only(equation):
    """Whether an equation computes with numbers that were known when it was traced."""
    return all(isinstance(var, jex_core.Literal) for var in equation.invars)
