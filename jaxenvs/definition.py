"""Turns a class into an environment: a frozen dataclass, a pytree, jitted methods; refuses mistakes in the class."""

import dataclasses
import functools
import inspect
import sys

import jax

from jaxenvs import spaces
from jaxenvs.constants import checked, is_static
from jaxenvs.misuse import (
    ABSENT,
    brief,
    check_form,
    check_names,
    checked_shape,
    explained_state,
    misused,
    refuse_batched,
)
from jaxenvs.precision import in_32_bits
from jaxenvs.random import checked_key, one_key, with_keys
from jaxenvs.random.varying import varying_as

_DEFAULTS = "a default is a number or a tuple of numbers"


def define(cls, base):
    """Turns a new subclass of `base`, which is `Environment`, into a frozen dataclass and a pytree.

    Raises:
        TypeError: as `check_definition`.
    """
    check_definition(cls, base)
    _inherit_declarations(cls)
    dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
    cls.__init__ = _init
    for name in METHODS.keys() & vars(cls).keys():
        setattr(cls, name, METHODS[name](vars(cls)[name]))
    for name in ("observe", "describe", "render"):
        own = vars(cls).get(name)
        if inspect.isfunction(own) and own is not vars(base)[name]:
            setattr(cls, name, _show(own))
    _register_pytree(cls)


class NoDecorator:
    """`Environment.__post_init__`, which no class has: it tells decorators that a subclass is a dataclass already.

    They come after the class is made. `dataclasses.dataclass`, which those of chex and flax call too, looks for a
    `__post_init__` before it finds methods that it cannot replace.
    """

    def __get__(self, env, cls):
        made = vars(cls).get("__init__") is _init
        if made and sys._getframe(1).f_globals.get("__name__") == "dataclasses":
            raise TypeError(
                f"{cls.__name__} is a dataclass already, as every subclass of jaxenvs.Environment: remove the "
                "decorator, such as @dataclasses.dataclass, @chex.dataclass or @flax.struct.dataclass"
            )
        raise AttributeError(f"{cls.__name__} has no attribute '__post_init__'")


def _inherit_declarations(cls):
    """Declares plain values that replace constants of a parent as these are declared: type, limits, static or not."""
    inherited = {field.name: field for field in init_fields(cls)} if hasattr(cls, "__dataclass_fields__") else {}
    annotations = inspect.get_annotations(cls)
    for name, value in tuple(vars(cls).items()):
        if name not in inherited or isinstance(value, dataclasses.Field) or "ClassVar" in str(annotations.get(name)):
            continue
        parent = inherited[name]
        if callable(value) or hasattr(value, "__get__"):
            kind = getattr(parent.type, "__name__", parent.type)
            raise TypeError(f"{cls.__name__}: {name} is a constant of its parent: write {name}: {kind} = ...")
        cls.__annotations__ = annotations = {name: parent.type, **annotations}
        setattr(cls, name, dataclasses.field(default=value, metadata=parent.metadata))


def check_definition(cls, base):
    """Refuses definitions that would silently be ignored.

    Args:
        cls: a new subclass of `base`, not yet a dataclass.
        base: `Environment`.
    Raises:
        TypeError: naming the class, the field or method, and what to write instead.
    """
    own, owner = vars(cls), cls.__name__
    if "__init__" in own:
        raise TypeError(
            f"{owner} defines __init__, which would never be called: declare constants as fields, such as "
            "gravity: float = 9.8, and make derived quantities properties"
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
        if name in METHODS:
            _check_method(owner, name, value, base)


def _check_name(owner, name, own, base):
    if name not in vars(base):
        return
    if callable(getattr(base, name)):
        raise TypeError(f"{owner}: {name} is a method of every environment: give the constant another name")
    value = _shown(own.get(name))
    raise TypeError(f"{owner}: {name} is a class attribute, not a constant, and has no type: write {name} = {value}")


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
            raise TypeError(f"{owner}.{name} has no argument shape, the batch to draw for: write {expected}") from None


def _shown(value):
    return f"{' '.join(repr(value).split()):.60}"


def init_fields(cls):
    """The fields of a class that are its constants."""
    return _layout(tuple(cls.__dataclass_fields__.values()))[0]


def _names(cls):
    """(names of the constants that are leaves, names of those that are static)."""
    return _layout(tuple(cls.__dataclass_fields__.values()))[1:]


# By the fields, not by the class: cloudpickle makes a class first, and gives it its fields afterwards.
@functools.cache
def _layout(fields):
    """(fields that are constants, names of those that are leaves, names of those that are static)."""
    fields = tuple(field for field in fields if field.init and "ClassVar" not in str(field.type))
    leaves = tuple(field.name for field in fields if not is_static(field))
    return fields, leaves, tuple(field.name for field in fields if is_static(field))


def _init(self, *unnamed, **given):
    fields = init_fields(type(self))
    if unnamed:
        first = brief(unnamed[0])
        example = f", such as {fields[0].name}={first}" if fields else ""
        raise TypeError(f"{type(self).__name__} takes its constants by name{example}; got {first} without a name")
    # Not by identity: in another process cloudpickle makes another one.
    missing = type(dataclasses.MISSING)
    defaults = {field.name: field.default for field in fields if not isinstance(field.default, missing)}
    values = checked(type(self), {**defaults, **given})
    for field in fields:
        if field.name not in values:
            raise TypeError(f"{type(self).__name__} needs a value for {field.name}: it has no default")
        object.__setattr__(self, field.name, values[field.name])


def _register_pytree(cls):
    def flatten(env):
        leaves, statics = _names(cls)
        return tuple(getattr(env, name) for name in leaves), tuple(getattr(env, name) for name in statics)

    def flatten_with_keys(env):
        children, aux = flatten(env)
        leaves, _ = _names(cls)
        return tuple((jax.tree_util.GetAttrKey(name), child) for name, child in zip(leaves, children, strict=True)), aux

    def unflatten(aux, children):
        # Without `__init__`: the leaves may be tracers, axes or other values that a transformation puts there.
        leaves, statics = _names(cls)
        env = object.__new__(cls)
        env.__dict__.update(zip(leaves, children, strict=True))
        env.__dict__.update(zip(statics, aux, strict=True))
        return env

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


# `jax.jit` copies the attributes of a function: one called `lower` would hide that of `jax.jit(env.reset)`.
def _jit_reset(method):
    @jax.jit
    @functools.wraps(method)
    def traced(self, key):
        key = one_key(key, f"{type(self).__name__}.reset")
        refuse_batched(self, _names(type(self))[0])
        return varying_as(key, with_keys(functools.partial(method, self), key))

    @in_32_bits
    @functools.wraps(method)
    def reset(self, key=ABSENT, **others):
        if key is ABSENT or others:
            raise misused(self, "reset(key) -> (state, obs)")
        return traced(self, checked_key(key))

    reset.jitted = traced  # pyright: ignore[reportAttributeAccessIssue]
    return reset


def _show(method):
    """A method of a state, such as `render`, which says what it takes where it is given something else."""
    name = method.__name__

    @functools.wraps(method)
    def show(self, state=ABSENT, **others):
        if state is ABSENT or others:
            raise misused(self, "render(state) -> picture" if name == "render" else f"{name}(state)")
        where = f"{type(self).__name__}.{name}"
        with explained_state(lambda: self.reset(jax.random.key(0))[0], state, where):
            result = method(self, state)
        check_names(self, state, where)
        return result

    return show


def _jit_step(method):
    @jax.jit
    @functools.wraps(method)
    def traced(self, key, state, action):
        where = f"{type(self).__name__}.step"
        key = one_key(key, where)
        refuse_batched(self, _names(type(self))[0])
        action = spaces.as_element(self.action_space, action, where=f"{where}: action")
        # Of another batch size it might be broadcast in silence.
        check_form(jax.eval_shape(lambda: self.reset(key)[0]), state, where)
        with explained_state(lambda: self.reset(key)[0], state, where):
            return varying_as(key, with_keys(functools.partial(method, self), key, state, action))

    @in_32_bits
    @functools.wraps(method)
    def step(self, key=ABSENT, state=ABSENT, action=ABSENT, **others):
        if action is ABSENT or others:
            raise misused(self, "step(key, state, action) -> (state, Step)")
        if not isinstance(action, jax.Array):
            spaces.check_host_value(self.action_space, action, where=f"{type(self).__name__}.step: action")
        key = checked_key(key)
        try:
            return traced(self, key, state, action)
        except TypeError as error:
            check_form(
                jax.eval_shape(lambda: self.reset(jax.random.key(0))[0]), state, f"{type(self).__name__}.step", error
            )
            raise

    step.jitted = traced  # pyright: ignore[reportAttributeAccessIssue]
    return step


def _jit_draw(method):
    @functools.partial(jax.jit, static_argnames="shape")
    @functools.wraps(method)
    def traced(self, key, shape=()):
        key = one_key(key, f"{type(self).__name__}.{method.__name__}")
        return with_keys(functools.partial(method, self), key, shape)

    @in_32_bits
    @functools.wraps(method)
    def draw(self, key, shape=()):
        return traced(self, checked_key(key), checked_shape(f"{type(self).__name__}.{method.__name__}: shape", shape))

    draw.jitted = traced  # pyright: ignore[reportAttributeAccessIssue]
    return draw


def _jit(method):
    traced = jax.jit(method)
    called = in_32_bits(functools.wraps(method)(lambda *args: traced(*args)))
    called.jitted = traced  # pyright: ignore[reportAttributeAccessIssue]
    return called


#: The function that jits each method of an environment, by name.
METHODS = {
    "reset": _jit_reset,
    "step": _jit_step,
    "draw": _jit_draw,
    "draw_start": _jit_draw,
    "start": _jit,
    "transition": _jit,
}
