"""A table of common exceptions, each with an explanation and a fix."""

import dataclasses
import re
from typing import Any, NamedTuple

import jax

_GENERAL = "fix this line, or the values that it gets"
_STATIC = "declare what decides a size, a loop or a branch in Python with static(...)"


class Mistake(NamedTuple):
    """A common exception, with an explanation and a fix."""

    #: The exception's type.
    kind: Any
    #: A pattern that its message contains.
    message: str
    #: A pattern that the author's line contains.
    line: str
    found: str
    fix: str


# The first that matches is used.
_MISTAKES = (
    Mistake(
        jax.errors.TracerBoolConversionError, "", "",
        "Python needs the truth value of a traced value (if, while, and, or, not, bool, min, max)",
        f"choose with jnp.where(condition, a, b); join conditions with &, | and ~; {_STATIC}",
    ),
    Mistake(
        jax.errors.TracerArrayConversionError, "", r"random\.",
        "a NumPy random generator gets a traced value",
        "draw with jax.random from the method's key, a new key for each draw: a_key, b_key = jax.random.split(key)",
    ),
    Mistake(
        jax.errors.TracerArrayConversionError, "", r"^(?!.*\bnp\.).*\w\[",
        "a NumPy array is indexed with a traced value",
        "make it a JAX array: jnp.asarray(table)[index]",
    ),
    Mistake(
        jax.errors.TracerArrayConversionError, "", "",
        "NumPy is applied to a traced value",
        "use jax.numpy (jnp) instead of numpy (np) on this line",
    ),
    Mistake(
        jax.errors.NonConcreteBooleanIndexError, "", "",
        "an array is indexed with a traced mask, so the size of the result is unknown",
        "keep the shape and choose with jnp.where(mask, a, b)",
    ),
    Mistake(
        jax.errors.UnexpectedTracerError, "", "",
        "a traced value of an earlier call is used again",
        "keep nothing between calls, in globals, attributes or caches: anything that must persist belongs in the "
        "returned state",
    ),
    Mistake(
        jax.errors.TracerIntegerConversionError | jax.errors.ConcretizationTypeError, "", "",
        "Python needs the number behind a traced value (int, float, range, an index of a list)",
        f"keep it an array: x.astype(...), jnp.take(array, index), jnp.arange; {_STATIC}",
    ),
    Mistake(
        TypeError, "Shapes must be 1D sequences|shape.* must .*concrete", "",
        "the size of an array comes from a traced value",
        f"sizes cannot change from call to call: {_STATIC}",
    ),
    Mistake(
        dataclasses.FrozenInstanceError, "", "",
        "a field of the environment is assigned to, but its constants cannot change",
        "put everything that changes over time into the state that step returns; env.replace(name=value) changes "
        "a constant",
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
        "something other than numbers and arrays is returned or passed to JAX",
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
        "put anything that must persist into the state; array.at[index].set(value) makes a new array",
    ),
    Mistake(
        TypeError, "unhashable type: '.*Tracer'", "",
        "a traced value is looked up in a dict or a set",
        "take from an array, jnp.array([1.0, 2.0])[index], or choose with jnp.where or jax.lax.switch",
    ),
    Mistake(
        TypeError, "unsupported format string passed to .*Tracer", "",
        "a traced value is converted to text",
        "remove it: text belongs in describe(state); jax.debug.print shows a value while you debug",
    ),
    Mistake(
        TypeError, r"\bStep\.__new__\(\)", "",
        "Step has three fields: obs, reward, terminated",
        "write jaxenvs.Step(obs, reward, terminated); the time limit is the class's max_episode_steps, not the step's",
    ),
    Mistake(
        TypeError, r"__new__\(\) (missing|takes|got)", "",
        "a NamedTuple gets fields that it does not have, or misses some",
        "pass each of its fields once, by name; state._replace(name=value) keeps the others",
    ),
    Mistake(
        ValueError | TypeError, "unexpected field names", "",
        "_replace gets a field that does not exist",
        "use a field name that the NamedTuple declares",
    ),
    Mistake(
        TypeError, r"takes no arguments", "",
        "the class that is called has no fields",
        "write class State(NamedTuple), with a line such as position: jax.Array for each field",
    ),
    Mistake(
        TypeError, "unexpected PRNG key type", "",
        "a function of jax.random needs a key as its first argument",
        "pass the key first: jax.random.uniform(key, shape)",
    ),
    Mistake(
        Exception, "", r"np\.random|default_rng|[^.]\brandom\.Random",
        "a random generator other than JAX's is used",
        "draw with jax.random from the method's key",
    ),
    Mistake(
        TypeError, "branches must have equal output types|body function carry|carry (input|output)", "",
        "the branches or iterations of a jax.lax function return different types",
        "return the same dtype and shape from each: jnp.float32(1.0) instead of 1, x.astype(...)",
    ),
    Mistake(
        TypeError | ValueError,
        "ncompatible shapes|same shape|different numbers of dimensions|not broadcast|shapes must|shape mismatch", "",
        "arrays have shapes that do not fit together",
        "print the shapes on the line before, which are known while JAX traces; add an axis with x[None], remove one "
        "with x[0]",
    ),
)  # fmt: skip


def fitting(error, line):
    """(found, fix) of the first `Mistake` that matches an exception and its line; `found` is empty if none does."""
    for mistake in _MISTAKES:
        if isinstance(error, mistake.kind) and re.search(mistake.message, str(error)) and re.search(mistake.line, line):
            return mistake.found, mistake.fix
    return "", _GENERAL
