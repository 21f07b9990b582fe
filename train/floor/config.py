"""Hyperparameters: frozen dataclasses and pytrees whose numbers have ranges, checked at construction."""

import dataclasses
import numbers
from typing import dataclass_transform

import jax
import numpy as np

from jaxenvs.constants import checked, describe


@dataclass_transform(kw_only_default=True, frozen_default=True)
def hyperparameters(cls):
    """A class decorator: makes a frozen, keyword-only dataclass and a pytree.

    Fields are declared as the constants of an environment are: `constant(0.99, low=0.0, high=1.0)` is a leaf, which
    `vmap` can batch, and `static(256, low=1)` decides shapes or Python control flow. Ranges are checked at construction
    where the value is a Python number or a NumPy array. JAX arrays and tracers are not checked, and neither is a tree
    with None for a leaf, such as the axes of a `vmap`.

    Raises:
        TypeError: at construction, for a value of the wrong kind.
        ValueError: at construction, for a number out of its range, naming the field, the range and the value.

    >>> from jaxenvs import constant
    >>> @hyperparameters
    ... class Config:
    ...     rate: float = constant(0.1, above=0.0)
    >>> Config(rate=-1.0)
    Traceback (most recent call last):
        ...
    ValueError: Config: rate must be above 0.0, got -1.0
    """
    cls.__post_init__ = check_ranges
    cls = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    fields = dataclasses.fields(cls)
    leaves = tuple(field.name for field in fields if not field.metadata.get("static"))
    rest = tuple(field.name for field in fields if field.metadata.get("static"))

    def flatten(config):
        children = [(jax.tree_util.GetAttrKey(name), getattr(config, name)) for name in leaves]
        return children, tuple(getattr(config, name) for name in rest)

    def unflatten(values, children):
        # Not by the constructor: trees of this structure may have anything for leaves, such as gradients.
        config = object.__new__(cls)
        for name, value in [*zip(leaves, children, strict=True), *zip(rest, values, strict=True)]:
            object.__setattr__(config, name, value)
        return config

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
    return cls


def check_ranges(config):
    """Checks the numbers of a `Config` against the ranges of its fields; see `hyperparameters`.

    Raises:
        TypeError, ValueError: as `hyperparameters` says.
    """
    fields = dataclasses.fields(config)
    values = {field.name: getattr(config, field.name) for field in fields}
    if any(values[field.name] is None for field in fields if not field.metadata.get("static")):
        return
    concrete = {
        field.name: values[field.name]
        for field in fields
        if field.metadata.get("static") or isinstance(values[field.name], numbers.Real | np.generic | np.ndarray | str)
    }
    checked(type(config), {name: value for name, value in concrete.items() if _declared(config, name)})


def _declared(config, name):
    return "limits" in type(config).__dataclass_fields__[name].metadata


def range_text(field):
    """The allowed values of a field in words, such as "at least 1"; "" if any number is, or it is no number."""
    limits = field.metadata.get("limits") or {}
    bounded = any(limit is not None for limit in limits.values())
    return describe(limits) if bounded else ""
