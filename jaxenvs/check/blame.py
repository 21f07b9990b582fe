"""From an exception inside an author's code to the line that raised it, what is wrong there, and the mend."""

import dataclasses
import inspect
import linecache
import os
import re
import sys
import traceback
from typing import Any, NamedTuple

import jax

from jaxenvs.core import Environment

_GENERAL = "mend this line, or what it is given"
_ELSEWHERE = "no line of the class raised it: look at what its methods return, and at what they are given"
_STATIC = "what decides a size, a loop or a branch in Python is declared static(...)"


class Mistake(NamedTuple):
    """A kind of exception that authors meet, in plain words."""

    #: The exception's type.
    kind: Any
    #: A pattern that its message holds.
    message: str
    #: A pattern that the author's line holds.
    line: str
    found: str
    mend: str


# The first that fits is taken.
_MISTAKES = (
    Mistake(
        jax.errors.TracerBoolConversionError, "", "",
        "Python takes the truth of a traced value (if, while, and, or, not, bool, min, max)",
        f"choose with jnp.where(condition, a, b); join conditions with &, | and ~; {_STATIC}",
    ),
    Mistake(
        jax.errors.TracerArrayConversionError, "", r"random\.",
        "NumPy's random numbers are given a traced value",
        "draw with jax.random from the method's key, a new key for each draw: a_key, b_key = jax.random.split(key)",
    ),
    Mistake(
        jax.errors.TracerArrayConversionError, "", "",
        "NumPy is applied to a traced value",
        "use jax.numpy (jnp) in place of numpy (np) on this line",
    ),
    Mistake(
        jax.errors.NonConcreteBooleanIndexError, "", "",
        "an array is indexed with a traced mask, so the size of the result is unknown",
        "keep the shape and choose with jnp.where(mask, a, b)",
    ),
    Mistake(
        jax.errors.UnexpectedTracerError, "", "",
        "a traced value of an earlier call is used again",
        "keep nothing between calls, in globals, attributes or caches: what has to last goes into the returned state",
    ),
    Mistake(
        jax.errors.TracerIntegerConversionError | jax.errors.ConcretizationTypeError, "", "",
        "Python needs the number that a traced value stands for (int, float, range, an index of a list)",
        f"keep it an array: x.astype(...), jnp.take(array, index), jnp.arange; {_STATIC}",
    ),
    Mistake(
        TypeError, "Shapes must be 1D sequences|shape.* must .*concrete", "",
        "the size of an array comes from a traced value",
        f"sizes cannot change from call to call: {_STATIC}",
    ),
    Mistake(
        dataclasses.FrozenInstanceError, "", "",
        "the environment is assigned to; it holds constants only",
        "put what changes over time into the state that step returns; env.replace(name=value) changes a constant",
    ),
    Mistake(
        AttributeError, "can't set attribute|is read-only|no setter", "",
        "a field is assigned to in place",
        "return a new state: state._replace(name=value)",
    ),
    Mistake(
        TypeError, "item assignment|arrays are immutable", "",
        "an array or a tuple is changed in place",
        "make a new one: array = array.at[index].set(value), or state._replace(name=value)",
    ),
    Mistake(
        TypeError, "not a valid JAX type|not a valid JAX array type", "",
        "something other than numbers and arrays is returned or given to JAX",
        "return NamedTuples, tuples or dicts of numbers and arrays only",
    ),
    Mistake(
        AttributeError, "has no attribute", r"self\.",
        "the environment lacks an attribute",
        "declare it in the class as a constant with a type and a default, such as gravity: float = 9.8",
    ),
    Mistake(
        AttributeError, "random|PRNG|has no attribute", r"np\.random|random\.",
        "a random generator other than JAX's is used",
        "draw with jax.random from the method's key",
    ),
)  # fmt: skip


def explain(error, files):
    """What an exception says about an environment.

    Args:
        error: the exception.
        files: the names of the files that hold the author's code.
    Returns:
        (found, mend), both str; `found` begins with the author's line where there is one.
    """
    frame = _last_frame(error, files)
    message = f"{type(error).__name__}: {first_line(error)}"
    if frame is None:
        found, mend = _fitting(error, "")
        return (f"{found} ({message})", mend) if found else (message, _ELSEWHERE)
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    found, mend = _fitting(error, line)
    return f"{place(frame)}: {found} ({message})" if found else f"{place(frame)}: {message}", mend


def _fitting(error, line):
    for mistake in _MISTAKES:
        if isinstance(error, mistake.kind) and re.search(mistake.message, str(error)) and re.search(mistake.line, line):
            return mistake.found, mistake.mend
    return "", _GENERAL


def _last_frame(error, files):
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return frames[-1] if frames else None


def first_line(error):
    """The first line of an exception's message."""
    return next(iter(str(error).strip().splitlines()), "no message")


def place(frame):
    """A frame in words: "my_env.py:42, in step, `if state.x > 1:`".

    Args:
        frame: a `traceback.FrameSummary`.
    """
    path = os.path.relpath(frame.filename) if os.path.isabs(frame.filename) else frame.filename
    path = frame.filename if path.startswith("..") else path
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{path}:{frame.lineno}, in {frame.name}" + (f", `{line}`" if line else "")


def author_files(cls):
    """The names of the files in which a class and its bases were written, as tracebacks spell them."""
    files = set()
    for owner in cls.__mro__:
        if owner in (Environment, object):
            continue
        files.add(getattr(sys.modules.get(owner.__module__), "__file__", None))
        for name, member in vars(owner).items():
            code = getattr(inspect.unwrap(getattr(member, "fget", None) or member), "__code__", None)
            files.add(None if name.startswith("__") else getattr(code, "co_filename", None))
    return frozenset(file for file in files if file)
