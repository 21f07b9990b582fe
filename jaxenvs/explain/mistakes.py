"""The exceptions that authors meet, in plain words: a table."""

import dataclasses
import re
from typing import Any, NamedTuple

import jax

_GENERAL = "mend this line, or what it is given"
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
        jax.errors.TracerArrayConversionError, "", r"^(?!.*\bnp\.).*\w\[",
        "a NumPy array is indexed with a traced value",
        "make it one of JAX's: jnp.asarray(table)[index]",
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
        AttributeError, "random|PRNG|has no attribute", r"np\.random|random\.",
        "a random generator other than JAX's is used",
        "draw with jax.random from the method's key",
    ),
    Mistake(
        ValueError, "setting an array element", "",
        "a traced value is written into a NumPy array",
        "put what has to last into the state; a new array is made by array.at[index].set(value)",
    ),
    Mistake(
        TypeError, "unhashable type: '.*Tracer'", "",
        "a traced value is looked up in a dict or a set",
        "take from an array, jnp.array([1.0, 2.0])[index], or choose with jnp.where or jax.lax.switch",
    ),
    Mistake(
        TypeError, "unsupported format string passed to .*Tracer", "",
        "a traced value is made into text",
        "take it out: text belongs into describe(state); jax.debug.print shows a value while you look for a mistake",
    ),
    Mistake(
        TypeError, r"\bStep\.__new__\(\)", "",
        "Step has three fields: obs, reward, terminated",
        "write jaxenvs.Step(obs, reward, terminated); the time limit is the class's max_episode_steps, not the step's",
    ),
    Mistake(
        TypeError, r"__new__\(\) (missing|takes|got)", "",
        "a NamedTuple is given other fields than it has",
        "give it each of its fields once, by name; state._replace(name=value) keeps the others",
    ),
    Mistake(
        ValueError | TypeError, "unexpected field names", "",
        "_replace is given a field that is not there",
        "name a field as the NamedTuple declares it",
    ),
    Mistake(
        TypeError, r"takes no arguments", "",
        "the class that is called has no fields",
        "write class State(NamedTuple), with a line such as position: jax.Array for each field",
    ),
    Mistake(
        TypeError, "unexpected PRNG key type", "",
        "a function of jax.random is not given a key first",
        "give the key first: jax.random.uniform(key, shape)",
    ),
    Mistake(
        Exception, "", r"np\.random|default_rng|[^.]\brandom\.Random",
        "a random generator other than JAX's is used",
        "draw with jax.random from the method's key",
    ),
    Mistake(
        TypeError, "branches must have equal output types|body function carry|carry (input|output)", "",
        "the branches or rounds of a jax.lax function give different types",
        "give the same dtype and shape in each: jnp.float32(1.0) in place of 1, x.astype(...)",
    ),
    Mistake(
        TypeError | ValueError,
        "ncompatible shapes|same shape|different numbers of dimensions|not broadcast|shapes must|shape mismatch", "",
        "arrays of shapes that do not fit meet",
        "print the shapes on the line before, which are known while JAX traces; add an axis with x[None], take one "
        "with x[0]",
    ),
)  # fmt: skip


def fitting(error, line):
    """(found, mend) of the first kind that an exception, raised at a line, is of; `found` is empty where none fits."""
    for mistake in _MISTAKES:
        if isinstance(error, mistake.kind) and re.search(mistake.message, str(error)) and re.search(mistake.line, line):
            return mistake.found, mistake.mend
    return "", _GENERAL
