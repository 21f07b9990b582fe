"""What a parameter of a sweep may be: distributions, and their texts."""

import ast
import dataclasses
import difflib
import math
import re


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The values of one parameter; `choice`, `uniform`, `loguniform`, `integer` and `grid` make them."""

    kind: str
    arguments: tuple

    @property
    def values(self):
        """All values of a discrete distribution, a tuple; None for a continuous one."""
        if self.kind in ("choice", "grid"):
            return self.arguments
        return tuple(range(self.arguments[0], self.arguments[1] + 1)) if self.kind == "integer" else None

    def at(self, u):
        """The value at a quantile.

        Args:
            u: float in [0, 1).
        Returns:
            A Python value. Numbers of a continuous distribution have six digits, so that a table shows all of them.
        """
        if self.kind in ("choice", "grid"):
            return self.arguments[int(u * len(self.arguments))]
        low, high = self.arguments
        if self.kind == "integer":
            return low + int(u * (high - low + 1))
        if self.kind == "loguniform":
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        return min(max(float(f"{value:.6g}"), low), high)

    def __str__(self):
        return f"{self.kind}({', '.join(map(repr, self.arguments))})"


def choice(*values):
    """One of some values, each as probable as the others.

    Raises:
        ValueError: without values, or with one twice.

    >>> choice("tanh", "relu").at(0.7)
    'relu'
    """
    return Distribution("choice", _distinct("choice", values))


def grid(*values):
    """Each of some values in turn: every combination with the values of other grids gets equally many trials, +-1.

    Raises:
        ValueError: as `choice`.
    """
    return Distribution("grid", _distinct("grid", values))


def uniform(low, high):
    """A number between two others.

    Raises:
        ValueError: unless both are finite, and low is below high.

    >>> uniform(0.9, 1.0).at(0.5)
    0.95
    """
    return Distribution("uniform", _range("uniform", low, high))


def loguniform(low, high):
    """A number between two others, with a uniform logarithm.

    Raises:
        ValueError: unless both are finite and above 0, and low is below high.

    >>> loguniform(1e-4, 1e-2).at(0.5)
    0.001
    """
    low, high = _range("loguniform", low, high)
    if low <= 0:
        raise ValueError(f"loguniform({low!r}, {high!r}): both numbers must be above 0")
    return Distribution("loguniform", (low, high))


def integer(low, high):
    """An integer from `low` to `high`, both included.

    Raises:
        ValueError: unless both are integers, and low is below high.

    >>> integer(1, 4).values
    (1, 2, 3, 4)
    """
    _range("integer", low, high)
    if int(low) != low or int(high) != high:
        raise ValueError(f"integer({low!r}, {high!r}): both numbers must be integers")
    return Distribution("integer", (int(low), int(high)))


KINDS = {function.__name__: function for function in (choice, grid, uniform, loguniform, integer)}


def parsed(text):
    """The distribution that a text such as "loguniform(1e-5, 1e-2)" or "choice(tanh, relu)" names.

    Raises:
        ValueError: for any other text, with what it could be.

    >>> parsed("choice((64, 64), (128,))").values
    ((64, 64), (128,))
    """
    match = re.fullmatch(r"\s*([A-Za-z_]+)\s*\((.*)\)\s*", text, re.DOTALL)
    if match is None or match[1] not in KINDS:
        near = difflib.get_close_matches(match[1] if match else text, KINDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"must be one of {', '.join(f'{name}(...)' for name in KINDS)}, got {text!r}{hint}")
    values = [_value(part) for part in _parts(match[2])]
    try:
        return KINDS[match[1]](*values)
    except TypeError:
        raise ValueError(f"{match[1]} takes two numbers, got {text!r}") from None


def _distinct(kind, values):
    if not values:
        raise ValueError(f"{kind}() is empty: give it at least one value")
    values = tuple(tuple(value) if isinstance(value, list) else value for value in values)
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"{kind} has {twice[0]!r} twice")
    return values


def _range(kind, low, high):
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{kind}({low!r}, {high!r}): both must be finite numbers, got {value!r}")
    if low >= high:
        raise ValueError(f"{kind}({low!r}, {high!r}) is empty: the first number must be below the second")
    return low, high


def _parts(text):
    """The arguments of a call, split at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _value(text):
    if text in ("true", "false"):
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
