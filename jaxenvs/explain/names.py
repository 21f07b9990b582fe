"""Names that do not exist: suggestions for what was meant."""

import difflib
import types

import jax

from jaxenvs.core import Environment

_DECLARE = "declare it in the class as a constant with a type and a default, such as gravity: float = 9.8"


def explain_name(error):
    """Explains an AttributeError or a NameError.

    Returns:
        (found, fix), both str; None where there is nothing to add to its own message.
    """
    if isinstance(error, AttributeError) and error.name:
        return _attribute(error.obj, error.name)
    return _name(error, error.name) if isinstance(error, NameError) and error.name else None


def _attribute(owner, name):
    if isinstance(owner, Environment):
        near = _near(name, [known for known in dir(owner) if not known.startswith("_")])
        fix = f"did you mean self.{near}? If not, {_DECLARE}" if near else _DECLARE
        return f"the environment has no attribute {name}", f"{fix}; what changes over time belongs in the state"
    if isinstance(owner, types.ModuleType):
        if "random" in owner.__name__ and not owner.__name__.startswith("jax"):
            return None
        near = _near(name, dir(owner))
        return f"{owner.__name__} has no {name}", f"did you mean {near}?" if near else "look it up in its documentation"
    if isinstance(owner, dict):
        return (
            "a dict is used like an object",
            f"write [{name!r}], or make the state a NamedTuple, whose fields have names",
        )
    fields = getattr(owner, "_fields", None)
    if fields:
        near = _near(name, fields)
        hint = f"did you mean {near}? " if near else ""
        return (
            f"{type(owner).__name__} has no field {name}",
            f"{hint}It has: {', '.join(fields)}; add the one that is missing",
        )
    if isinstance(owner, jax.Array) and name in ("append", "extend", "insert", "pop", "remove", "sort", "fill"):
        return f"an array has no {name}", "arrays keep their size and are never changed: array.at[index].set(value)"
    return None


def _name(error, name):
    frame = _last_frame(error)
    names = {**frame.f_globals, **frame.f_locals}
    env = next((value for value in names.values() if isinstance(value, Environment)), None)
    if env is not None and hasattr(env, name):
        return f"{name} is used without self", f"constants are attributes of the environment: self.{name}"
    near = _near(name, names)
    return f"there is no name {name}", f"did you mean {near}?" if near else "define it, or import it"


def _last_frame(error):
    traceback = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame


def _near(name, names):
    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)), None)
