"""The rollout's step as one flat list of equations, each of which knows where the batch axis of its arrays is.

A jaxpr does not say which axis is the batch: an array of shape (6, 6) may be six observations of six environments. So
the step is traced twice, for N environments and for N + 1; an axis that differs is the batch axis.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex_core

from jaxenvs.fused.expand import EXPANDED, Unfusable, called, retraced

_CALLS = {"jit", "pjit", "closed_call", "core_call", "eval_jaxpr", "remat", "remat2", "checkpoint"}
_CALLS |= {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin"}


class Variable:
    """A value of the program: its type, and which of its axes is the batch (None for none)."""

    def __init__(self, aval, batch):
        self.aval, self.batch = aval, batch


class Equation(NamedTuple):
    """`results = primitive(*operands, **params)`; operands are Variables and NumPy numbers."""

    primitive: Any
    params: dict
    operands: tuple
    results: tuple
    #: The equation of the jaxpr and those that call it, the innermost first, for error messages.
    source: tuple


class Program(NamedTuple):
    """Equations in order, with the variables that come in and go out."""

    inputs: tuple
    equations: tuple
    outputs: tuple
    #: Arrays that the traced functions closed over, by variable.
    constants: dict


def trace(function, num_envs, args, larger_args, *, keep_branches):
    """Traces a function of a batch.

    Args:
        function: of arrays, or of pytrees of them.
        args, larger_args: its arguments as `jax.ShapeDtypeStruct`s, for N and for N + 1 environments.
        keep_branches: leave `lax.cond` of a scalar as it is, in place of computing both sides.
    Returns:
        (Program, the pytree of the results as `jax.ShapeDtypeStruct`s).
    Raises:
        Unfusable: where environments of the batch are mixed.
    """
    jaxpr, results = jax.make_jaxpr(function, return_shape=True)(*args)
    try:
        larger = jax.make_jaxpr(function)(*larger_args)
    except Exception as error:
        raise Unfusable(
            "it is traced for one environment more than there are, and that failed: take the batch's size from obs, "
            f"not from num_envs ({type(error).__name__}: {str(error).strip().splitlines()[0]})"
        ) from error
    return flatten(jaxpr, larger, num_envs, keep_branches=keep_branches), results


def flatten(jaxpr, larger, num_envs, *, keep_branches):
    """The `Program` of two jaxprs of one function, for N and for N + 1 environments."""
    writer = _Writer(num_envs, keep_branches)
    pairs = zip(jaxpr.jaxpr.invars, larger.jaxpr.invars, strict=True)
    inputs = tuple(writer.variable(a.aval, b.aval) for a, b in pairs)
    outputs = writer.inline(jaxpr, larger, inputs)
    return Program(inputs, tuple(writer.equations), tuple(outputs), writer.constants)


class _Writer:
    def __init__(self, num_envs, keep_branches):
        self.num_envs, self.keep_branches = num_envs, keep_branches
        self.equations, self.constants, self.calls = [], {}, ()

    def variable(self, aval, larger, source=()):
        """A variable of the two types that the two traces have for it."""
        if aval.ndim == larger.ndim:
            axes = [
                axis for axis, sizes in enumerate(zip(aval.shape, larger.shape, strict=True)) if len(set(sizes)) > 1
            ]
            if not axes:
                return Variable(aval, None)
            if [(aval.shape[axis], larger.shape[axis]) for axis in axes] == [(self.num_envs, self.num_envs + 1)]:
                return Variable(aval, axes[0])
        raise Unfusable(f"the environments of the batch are mixed in an array of the shape {aval.shape}", source)

    def inline(self, jaxpr, larger, operands):
        """Appends the equations of a closed jaxpr; returns its results."""
        inner, other = jaxpr.jaxpr, larger.jaxpr
        known = dict(zip(inner.invars, operands, strict=True))
        for variable, value in zip(inner.constvars, jaxpr.consts, strict=True):
            known[variable] = Variable(variable.aval, None)
            self.constants[known[variable]] = value

        def read(atom):
            if not isinstance(atom, jex_core.Literal):
                return known[atom]
            return np.asarray(atom.val, atom.aval.dtype)[()]  # pyright: ignore[reportAttributeAccessIssue]

        if [e.primitive for e in inner.eqns] != [e.primitive for e in other.eqns]:
            raise Unfusable(
                "what it computes, or its generator, depends on how many environments there are", self.calls
            )
        for equation, twin in zip(inner.eqns, other.eqns, strict=True):
            results = self.write(equation, twin, [read(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in inner.outvars]

    def write(self, equation, twin, operands):
        """Appends what an equation stands for; returns its results."""
        outer, self.calls = self.calls, (equation, *self.calls)
        try:
            return self._written(equation, twin, operands)
        finally:
            self.calls = outer

    def _written(self, equation, twin, operands):
        name = equation.primitive.name
        if name in _CALLS:
            return self.inline(called(equation), called(twin), operands)
        pairs = zip(equation.outvars, twin.outvars, strict=True)
        results = [self.variable(a.aval, b.aval, self.calls) for a, b in pairs]
        batched = any(_batched(x) for x in (*operands, *results))
        if batched and name in EXPANDED:
            function = EXPANDED[name]
            return self.inline(retraced(function, equation), retraced(function, twin), operands)
        if batched and name == "cond":
            return self._branches(equation, twin, operands, results)
        if batched and not all(map(_batched, results)):
            raise Unfusable(f"{name} mixes the environments of the batch", self.calls)
        self._append(equation.primitive, equation.params, operands, results)
        return results

    def _append(self, primitive, params, operands, results):
        self.equations.append(Equation(primitive, params, tuple(operands), tuple(results), self.calls))

    def _branches(self, equation, twin, operands, results):
        branches = list(zip(equation.params["branches"], twin.params["branches"], strict=True))
        if self.keep_branches:
            programs = tuple(flatten(a, b, self.num_envs, keep_branches=True) for a, b in branches)
            self._append(equation.primitive, {"branches": programs}, operands, results)
            return results
        outcomes = [self.inline(a, b, operands[1:]) for a, b in branches]
        return [self._chosen(operands[0], cases) for cases in zip(*outcomes, strict=True)]

    def _chosen(self, index, cases):
        """The case that an index chooses, by selections between two."""
        result = cases[0]
        for number, case in enumerate(cases[1:], 1):
            here = Variable(_scalar(bool), None)
            which = np.asarray(number, _dtype(index))[()]
            self._append(jax.lax.eq_p, {}, (index, which), (here,))
            like = next((x for x in (case, result) if _batched(x)), case)
            chosen = Variable(like.aval, like.batch) if isinstance(like, Variable) else None
            chosen = chosen or Variable(_scalar(_dtype(like)), None)
            self._append(jax.lax.select_n_p, {}, (here, result, case), (chosen,))
            result = chosen
        return result


def _scalar(dtype):
    return jax.eval_shape(lambda: jnp.zeros((), dtype))


def _dtype(x):
    return x.aval.dtype if isinstance(x, Variable) else x.dtype


def _batched(x):
    return isinstance(x, Variable) and x.batch is not None
