"""An environment as text for a terminal: its spaces, constants and time limit."""

import dataclasses
import inspect
import re

import gymnasium
import numpy as np

from jaxenvs.constants import describe, is_static
from jaxenvs.registry import make, time_limit


def show(id):
    """The text of `jaxenvs show ID`, without presets.

    Args:
        id: as for `make`.
    Raises:
        ValueError: as `make`.
    """
    env, limit = make(id), time_limit(id)
    tables = _tables(type(env))
    sections = [
        (f"observation: {space_text(env.observation_space)}", tables.get("observation", [])),
        (f"action: {space_text(env.action_space)}", tables.get("action", [])),
        ("constants: default, range, meaning", _constants(env)),
    ]
    first = (inspect.getdoc(type(env)) or "").split("\n\n")[0].replace("\n", " ")
    parts = [f"{id}: {first}".rstrip(": ")]
    parts += ["\n".join([title, *aligned(rows)]) for title, rows in sections if rows or "constants" not in title]
    parts.append(f"time limit: {'none' if limit is None else f'{limit} steps'}")
    return "\n\n".join(parts)


def aligned(rows, indent="  "):
    """Rows of cells as lines of columns."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def space_text(space):
    """A space in a few characters: "Discrete(4)", "Box(2)", "Box(1) in [-2, 2]"."""
    if isinstance(space, gymnasium.spaces.Dict):
        return "{" + ", ".join(f"{name}: {space_text(part)}" for name, part in space.spaces.items()) + "}"
    if isinstance(space, gymnasium.spaces.Tuple):
        return "(" + ", ".join(map(space_text, space.spaces)) + ")"
    if not isinstance(space, gymnasium.spaces.Box):
        return str(space)
    low, high = np.unique(space.low), np.unique(space.high)
    shown = f"Box({', '.join(map(str, space.shape))})" + ("" if space.dtype == np.float32 else f" {space.dtype}")
    one_range = low.size == high.size == 1 and np.isfinite([low[0], high[0]]).all()
    return f"{shown} in [{low[0]:g}, {high[0]:g}]" if one_range else shown


def field_texts(cls):
    """The `#:` comments above the fields of a class, by field name; a comment applies to all the lines below it.

    They are read from the source; without it there are none.
    """
    texts = {}
    for owner in reversed(cls.__mro__[:-1]):
        try:
            source = inspect.getsource(owner)
        except (OSError, TypeError):
            continue
        for comment, fields in re.findall(r"((?: *#: .*\n)+)((?: +\w+:.*\n)+)", source):
            text = " ".join(line.strip().removeprefix("#: ") for line in comment.splitlines())
            texts |= dict.fromkeys(re.findall(r"^ +(\w+):", fields, re.MULTILINE), text)
    return texts


def _tables(cls):
    """The rows of the tables in the docstrings of a class and its bases, by the first word: observation, action."""
    tables = {}
    for owner in reversed(cls.__mro__):
        tables |= tables_of(owner)
    return tables


def tables_of(cls):
    """The rows of the tables in the docstring of a class itself, by the first word."""
    tables, rows = {}, None
    for line in inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines():
        if not line.startswith("|"):
            rows = None
        elif rows is None:
            rows = tables.setdefault(line.strip("| ").split(" ")[0], [])
        elif not line.startswith("|---"):
            # A bar inside a cell has no space beside it, as in |velocity|.
            rows.append([cell.strip() for cell in re.split(r"(?:^|\s)\|(?:\s|$)", line)[1:-1]])
    return tables


def _constants(env):
    texts = field_texts(type(env))
    rows = []
    for field in dataclasses.fields(env):
        limits, kind = _range(field), "static: " if is_static(field) else ""
        value = getattr(env, field.name)
        shown = np.array2string(value, separator=", ") if isinstance(value, np.ndarray) else f"{value!r}"
        rows.append([field.name, shown, f"{kind}{limits}", texts.get(field.name, "")])
    return rows


def _range(field):
    if isinstance(field.default, bool):
        return "True or False"
    numbers = isinstance(field.default, int | float | tuple)
    return describe(field.metadata.get("limits") or {}) if numbers else "any"
