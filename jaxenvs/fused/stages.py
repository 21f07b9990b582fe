"""A step's `Program` taken apart by how often its parts must run.

Equations that no environment has a part in are taken out of the loop: those of the constants are computed once, and
those of the step's keys for all steps at once, before the loop. Inside are the numbers of one environment alone.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.fused.expand import Unfusable
from jaxenvs.fused.program import Program, Variable

#: Numbers that all environments share, at most: a kernel reads each of them by itself.
MOST_SHARED = 8192


class Stages(NamedTuple):
    """A program taken apart by how often its parts must run."""

    #: Equations of the constants, and of the step's number besides; run as they are.
    once: tuple
    each_step: tuple
    #: What is left, its inputs being `carried`, `own`, `fixed` and `stepped`.
    lanes: Program
    #: Variables of the state that a step changes, and of what each environment has for itself.
    carried: tuple
    own: tuple
    #: Variables without a batch axis that the lanes read: the same in all steps, and one for each.
    fixed: tuple
    stepped: tuple


def staged(program, step, carried):
    """Takes a program apart.

    Args:
        program: of the variables of the constants, `step`, and those that are carried, whose outputs are the latter.
        step: the variable of the step's number.
        carried: the variables that a step changes.
    """
    changing, once, each_step, inner = {step}, [], [], []
    for equation in program.equations:
        operands = [x for x in equation.operands if isinstance(x, Variable)]
        if any(x.batch is not None for x in (*operands, *equation.results)):
            inner.append(equation)
            continue
        moves = any(x in changing for x in operands)
        (each_step if moves else once).append(equation)
        changing.update(equation.results if moves else ())
    made = {result for equation in inner for result in equation.results}
    read = {x: None for e in inner for x in e.operands if isinstance(x, Variable) and x not in made}
    read.update({x: None for x in program.outputs if isinstance(x, Variable) and x not in made})
    own = tuple(x for x in read if x.batch is not None and x not in set(carried))
    shared = [x for x in read if x.batch is None]
    fixed, stepped = (tuple(x for x in shared if (x in changing) is moves) for moves in (False, True))
    if sum(math.prod(x.aval.shape) for x in shared) > MOST_SHARED:
        raise Unfusable(f"the environments share more than {MOST_SHARED} numbers: networks are too large for it")
    lanes = Program((*carried, *own, *fixed, *stepped), tuple(inner), program.outputs, {})
    return Stages(tuple(once), tuple(each_step), lanes, tuple(carried), own, fixed, stepped)


def shared_values(stages, program, values, step, num_steps):
    """What the lanes read of the constants and keys: lists of the values of `fixed` and, time in front, `stepped`."""
    values = _executed(stages.once, {**program.constants, **values})

    def at(number):
        now = _executed(stages.each_step, {**values, step: number})
        return [now[variable] for variable in stages.stepped]

    return [values[variable] for variable in stages.fixed], jax.vmap(at)(jnp.arange(num_steps))


def _executed(equations, values):
    """The values of variables after some equations, run by JAX as they stand."""
    values = dict(values)
    for equation in equations:
        operands = [values[x] if isinstance(x, Variable) else x for x in equation.operands]
        results = equation.primitive.bind(*operands, **equation.params)
        results = results if equation.primitive.multiple_results else [results]
        values.update(zip(equation.results, results, strict=True))
    return values
