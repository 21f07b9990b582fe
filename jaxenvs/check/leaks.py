"""Detects methods that keep traced values, in a global list for example, and where.

`jax.checking_leaks` detects this too, but searches all of Python's memory for its message, which can take minutes.
"""

import gc
import sys
import weakref

import jax
from jax.core import Tracer


def leaks(method, args):
    """Whether a traced value still exists after the call of a method.

    Args:
        method: a function that can be traced.
        args: its arguments, pytrees of arrays.
    """
    traces = []

    def traced(*args):
        holders = [getattr(leaf, "_trace", None) for leaf in jax.tree.leaves(args)]
        traces.extend(weakref.ref(trace) for trace in holders if trace is not None)
        del holders
        return method(*args)

    # Without jit, so that inner methods that are already traced are traced again.
    with jax.disable_jit():
        jax.make_jaxpr(traced)(*args)
    if _alive(traces):
        gc.collect()
    return _alive(traces)


def _alive(references):
    return any(reference() is not None for reference in references)


def tracer_holders(cls):
    """The names of the globals and class attributes around a class that hold traced values, where they can be found."""
    found = []
    for owner in cls.__mro__:
        module = sys.modules.get(owner.__module__)
        for where, names in ((owner.__name__, vars(owner)), (owner.__module__, vars(module) if module else {})):
            found += [f"{where}.{name}" for name, value in list(names.items()) if _holds_tracer(value)]
    return list(dict.fromkeys(found))


def _holds_tracer(value, depth=2):
    if isinstance(value, Tracer):
        return True
    if depth == 0 or not isinstance(value, list | tuple | dict | set):
        return False
    return any(_holds_tracer(item, depth - 1) for item in (value.values() if isinstance(value, dict) else value))
