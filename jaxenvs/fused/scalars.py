"""Runs a `Program` on the numbers of one environment, each a vector over the environments of a block.

An array of the program is a NumPy array of objects in which the batch axis has size 1; its elements are vectors over
the block's lanes, scalars that all lanes share, or NumPy numbers. Arithmetic is done element by element; what moves
elements about is done by NumPy while tracing, and costs nothing.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxenvs.fused.elements import Pair, bind, filled, shape_of, spread
from jaxenvs.fused.expand import Unfusable
from jaxenvs.fused.moves import RULES
from jaxenvs.fused.program import Variable

_ELEMENTWISE = """
abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp clz convert_element_type
cos cosh div eq erf_inv exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg
nextafter not or population_count pow rem rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin
sinh sqrt square sub tan tanh xor
"""
# Those that XLA has and Triton has not.
_XLA_ONLY = "erf erfc lgamma digamma log2 one_minus_square reduce_precision round complex real imag"
_SAME = "stop_gradient optimization_barrier sharding_constraint copy copy_p reshard"


def run(program, values, lanes):
    """The results of a program, as arrays of objects.

    Args:
        program: a `Program`.
        values: the arrays of objects of its inputs and of what else it reads, by Variable.
        lanes: `Lanes`.
    Raises:
        Unfusable: for what cannot be done element by element.
    """
    values = dict(values)

    def read(operand):
        return values[operand] if isinstance(operand, Variable) else filled((), [operand])

    for equation in program.equations:
        results = _rule(equation, lanes)(equation, [read(operand) for operand in equation.operands], lanes)
        values.update(zip(equation.results, results, strict=True))
    return [read(output) for output in program.outputs]


def _rule(equation, lanes):
    name = equation.primitive.name
    if name == "cond":
        return _cond
    if name in RULES:
        return RULES[name]
    if name in _SAME.split():
        return lambda equation, arrays, lanes: arrays
    if name == "round" and lanes.triton:
        return _round
    if name in _PAIRED and lanes.triton:
        return _PAIRED[name]
    beyond = name in _XLA_ONLY.split()
    if name in _ELEMENTWISE.split() or (beyond and not lanes.triton):
        return _elementwise
    known = "which the fused kernel has not" if beyond else "which is not done number by number"
    raise Unfusable(f"it uses the primitive '{name}', {known}", equation.source)


def _elementwise(equation, arrays, lanes):
    if equation.primitive.name == "select_n" and isinstance(arrays[0].reshape(-1)[0], np.bool_) and arrays[0].ndim == 0:
        return [arrays[1 + int(arrays[0].item())]]
    arrays = np.broadcast_arrays(*arrays)
    pick = functools.partial(bind, equation.primitive, equation.params)
    return [filled(arrays[0].shape, (pick(items) for items in zip(*(a.reshape(-1) for a in arrays), strict=True)))]


def _round(equation, arrays, lanes):
    """To the nearest whole number, by `floor`: Triton cannot round."""
    even = int(equation.params["rounding_method"]) == int(lax.RoundingMethod.TO_NEAREST_EVEN)

    def rounded(x):
        x = jnp.asarray(x)
        below = lax.floor(x)
        rest, half = x - below, jnp.asarray(0.5, x.dtype)
        stays = below - 2 * lax.floor(below * half) == 0 if even else below < 0
        return jnp.where((rest < half) | ((rest == half) & stays), below, below + 1)

    return [filled(arrays[0].shape, map(rounded, arrays[0].reshape(-1)))]


def _apart(name):
    """A rule for a half of a complex number."""
    half = lambda item: getattr(item, name)  # noqa: E731
    return lambda equation, arrays, lanes: [filled(arrays[0].shape, map(half, arrays[0].reshape(-1)))]


def _complex(equation, arrays, lanes):
    halves = zip(*(array.reshape(-1) for array in arrays), strict=True)
    return [filled(arrays[0].shape, (Pair(*half) for half in halves))]


_PAIRED = {"complex": _complex, "real": _apart("real"), "imag": _apart("imag")}


def _cond(equation, arrays, lanes):
    """A branch that one scalar decides; it stays one, so that XLA stores what it computes."""
    results, index = equation.results, arrays[0].item()

    def branch(program):
        def compute():
            outcome = run(program, {**dict(zip(program.inputs, arrays[1:], strict=True)), **_held(program)}, lanes)
            return [
                [jnp.asarray(spread(item, (lanes.size,)), result.aval.dtype) for item in array.reshape(-1)]
                for array, result in zip(outcome, results, strict=True)
            ]

        return compute

    if index.shape:
        raise Unfusable("a branch is taken for some environments and not for others", equation.source)
    chosen = lax.switch(jnp.asarray(index, jnp.int32), [branch(program) for program in equation.params["branches"]])
    return [filled(shape_of(result), items) for result, items in zip(results, chosen, strict=True)]


def _held(program):
    return {variable: filled(np.shape(x), np.asarray(x).reshape(-1)) for variable, x in program.constants.items()}
