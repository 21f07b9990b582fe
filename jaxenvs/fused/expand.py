"""Equations that stand for others: a generator's random numbers for its arithmetic, a loop for its steps."""

import functools

import jax
import jax.numpy as jnp
from jax.extend import core as jex_core

#: Loops inside a step are written out; longer ones are refused.
MOST_ITERATIONS = 256


class Unfusable(Exception):
    """What cannot be run row by row, and the equations of jaxprs that ask for it, the innermost first."""

    def __init__(self, message, source=()):
        super().__init__(message)
        self.source = source


def called(equation):
    """The jaxpr that an equation calls, closed."""
    names = ("jaxpr", "call_jaxpr", "fun_jaxpr")
    inner = next(equation.params[name] for name in names if name in equation.params)
    return inner if isinstance(inner, jex_core.ClosedJaxpr) else jex_core.ClosedJaxpr(inner, ())


def retraced(function, equation):
    """The closed jaxpr of a function that stands for an equation."""
    avals = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    return jax.make_jaxpr(functools.partial(function, equation))(*avals)


def _mapped(function, dimensions):
    return function if not dimensions else jax.vmap(_mapped(function, dimensions - 1))


def _generator(key):
    return key.dtype._impl


def _random_bits(equation, key):
    draw = lambda data: _generator(key).random_bits(data, equation.params["bit_width"], equation.params["shape"])  # noqa: E731
    return [_mapped(draw, key.ndim)(jax.random.key_data(key))]


def _random_split(equation, key):
    split = lambda data: _generator(key).split(data, equation.params["shape"])  # noqa: E731
    return [jax.random.wrap_key_data(_mapped(split, key.ndim)(jax.random.key_data(key)), impl=_generator(key))]


def _random_fold_in(equation, key, data):
    shape = jnp.broadcast_shapes(key.shape, data.shape)
    key, data = jnp.broadcast_to(key, shape), jnp.broadcast_to(data, shape)
    folded = _mapped(lambda pair: _generator(key).fold_in(*pair), len(shape))((jax.random.key_data(key), data))
    return [jax.random.wrap_key_data(folded, impl=_generator(key))]


def _scan(equation, *operands):
    """A loop of known length, written out."""
    params = equation.params
    if params["length"] > MOST_ITERATIONS:
        raise Unfusable(f"a loop of {params['length']} iterations is longer than {MOST_ITERATIONS}", (equation,))
    if "ft_in" in params:  # jax 0.12
        num_constants, num_carry, _ = (len(list(part)) for part in params["ft_in"].unpack())
    else:
        num_constants, num_carry = params["num_consts"], params["num_carry"]
    constants, carry = operands[:num_constants], operands[num_constants:]
    carry, rows = carry[:num_carry], carry[num_carry:]
    body, stacked = jex_core.jaxpr_as_fun(called(equation)), []
    order = range(params["length"])
    for index in reversed(order) if params["reverse"] else order:
        results = body(*constants, *carry, *(jax.lax.index_in_dim(row, index, keepdims=False) for row in rows))
        carry = results[:num_carry]
        stacked.append(results[num_carry:])
    if params["reverse"]:
        stacked.reverse()
    return [*carry, *(jnp.stack(column) for column in zip(*stacked, strict=True))]


#: Equations that are traced anew as others: random numbers as the arithmetic of their generator, loops as their steps.
EXPANDED = {
    "random_bits": _random_bits,
    "random_split": _random_split,
    "random_fold_in": _random_fold_in,
    "scan": _scan,
}
