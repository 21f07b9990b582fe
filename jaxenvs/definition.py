"""Mistakes in how an environment's class is written, told where it is written."""

import dataclasses
import inspect

_DEFAULTS = "a default is a number or a tuple of numbers"


def check_definition(cls, base, methods):
    """Refuses what would silently not do what it says.

    Args:
        cls: a new subclass of `base`, not yet a dataclass.
        base: `Environment`.
        methods: the names of the methods that are jitted.
    Raises:
        TypeError: naming the class, the field or method, and what to write in place of it.
    """
    own, owner = vars(cls), cls.__name__
    if "__init__" in own:
        raise TypeError(
            f"{owner} defines __init__, which would never be called: declare constants as fields, such as "
            "gravity: float = 9.8, and make what follows from them a property"
        )
    annotations = inspect.get_annotations(cls)
    fields = [name for name, annotation in annotations.items() if "ClassVar" not in str(annotation)]
    for name in fields:
        _check_name(owner, name, own, base)
        _check_default(owner, name, own.get(name))
    for name, value in own.items():
        if isinstance(value, dataclasses.Field) and name not in annotations:
            default = value.default
            kind = type(default).__name__ if isinstance(default, bool | int | float | tuple) else "float"
            raise TypeError(f"{owner}: {name} needs its type: write {name}: {kind} = ...")
        if name in methods:
            _check_method(owner, name, value, base)


def _check_name(owner, name, own, base):
    if name not in vars(base):
        return
    if callable(getattr(base, name)):
        raise TypeError(f"{owner}: {name} is a method of every environment: give the constant another name")
    value = _shown(own.get(name))
    raise TypeError(f"{owner}: {name} is no constant, but the class's, and takes no type: write {name} = {value}")


def _check_default(owner, name, default):
    if isinstance(default, dataclasses.Field):
        if default.default_factory is not dataclasses.MISSING:
            raise TypeError(f"{owner}: {name} has a default_factory: {_DEFAULTS}")
        default = default.default
    if type(default).__hash__ is None:
        raise TypeError(
            f"{owner}: {name} has the default {_shown(default)}, of the type {type(default).__name__}, which can "
            f"change: {_DEFAULTS}, such as {name}: tuple = (1.0, 2.0)"
        )


def _check_method(owner, name, value, base):
    expected = f"def {name}{inspect.signature(inspect.unwrap(getattr(base, name)))}"
    if isinstance(value, classmethod | staticmethod | property):
        raise TypeError(f"{owner}.{name} is a {type(value).__name__}: write it as a plain method, {expected}")
    if name.startswith("draw") and callable(value):
        try:
            inspect.signature(value).bind("self", "key", shape=())
        except TypeError:
            raise TypeError(f"{owner}.{name} takes no shape, the batch to draw for: write {expected}") from None


def _shown(value):
    return f"{' '.join(repr(value).split()):.60}"
