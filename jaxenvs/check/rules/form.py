"""The rules about form: the class, its constants, its spaces, and what `reset` and `step` take and return."""

import dataclasses
import inspect

import gymnasium
import jax
import numpy as np

from jaxenvs import spaces
from jaxenvs.check.engine import repr_of, rule
from jaxenvs.constants import is_static
from jaxenvs.core import Environment, Step
from jaxenvs.explain.blame import explain, first_line
from jaxenvs.explain.trees import outline
from jaxenvs.vector import VectorEnv

_ARGUMENTS = {
    "reset": ("key",),
    "step": ("key", "state", "action"),
    "draw_start": ("key", "shape"),
    "start": ("draws",),
    "draw": ("key", "shape"),
    "transition": ("state", "action", "draws"),
    "observe": ("state",),
    "describe": ("state",),
    "render": ("state",),
}
_RETURN_STEP = "return next_state, jaxenvs.Step(obs, reward, terminated)"


@rule("environment", "it is an instance of a subclass of jaxenvs.Environment")
def environment(probe):
    env = probe.env
    if isinstance(env, Environment) and type(env) is not Environment:
        return
    found, fix = f"{repr_of(env):.80}, of the type {type(env).__name__}", "write class MyEnv(jaxenvs.Environment)"
    if isinstance(env, type) and issubclass(env, Environment) and env is not Environment:
        found = f"{env.__name__}() fails: {_error_of(env)}"
        fix = (
            "give every constant a default that is a number or a tuple of numbers, within its limits; declare "
            "what decides shapes or Python branches with jaxenvs.static(...)"
        )
    elif isinstance(env, str):
        fix = f"pass the environment instead of its id: check_env(jaxenvs.make({env!r}))"
    elif isinstance(env, VectorEnv):
        fix = "pass the single environment: check_env(envs.env)"
    elif isinstance(env, gymnasium.Env):
        fix = "a Gymnasium class keeps its state in self: rewrite it as a jaxenvs.Environment, with pure methods"
    yield found, "an instance of a subclass of jaxenvs.Environment", fix


def _error_of(cls):
    try:
        return f"{cls()!r} is no environment"
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"


@rule("constants", "constants are numbers or arrays of numbers, and static fields can be compared", ["environment"])
def constants(probe):
    for field in dataclasses.fields(probe.env):
        value = getattr(probe.env, field.name, None)
        violation = _static_field(value) if is_static(field) else _constant(field, value)
        if violation:
            yield f"{field.name} {violation[0]}", *violation[1:]
    if type(probe.env).__eq__ is not Environment.__eq__:
        found = "the class overrides __eq__"
        expected = "the __eq__ of jaxenvs.Environment, which also compares constants that are arrays"
        yield found, expected, "remove __eq__: the base class compares every constant"
    if hasattr(type(probe.env), "__post_init__"):
        yield (
            "the class defines __post_init__, which is never called",
            "constants as fields, and derived quantities as properties",
            "make each derived quantity a property that computes it from the constants",
        )


def _constant(field, value):
    number = isinstance(value, np.ndarray | np.generic | jax.Array | bool | int | float)
    expected = "a number or an array of numbers, so that it can be traced and batched"
    if not number or np.asarray(value).dtype.kind not in "biufV":
        fix = "make it a number, or declare it with jaxenvs.static(...) if it decides shapes or Python branches"
        return f"is {value!r:.60}, of the type {type(value).__name__}", expected, fix
    if not field.init:
        return (
            "is declared with init=False, so it is not a leaf of the pytree",
            expected,
            "declare it with constant(...)",
        )
    if field.default is not dataclasses.MISSING and np.ndim(value) != np.ndim(field.default):
        shapes = np.shape(value), np.shape(field.default)
        return (
            f"has the shape {shapes[0]}",
            f"the shape {shapes[1]} of its default",
            "check a single member of the batch",
        )
    return None


def _static_field(value):
    try:
        hash(value)
        same = bool(value == value)
    except Exception:
        same = False
    if same:
        return None
    found = f"is static and holds {value!r:.60}, of the type {type(value).__name__}"
    fix = "use a tuple instead of an array or a list, or declare it as a constant, which may be an array"
    return found, "a static value that can be hashed and compared with ==, as jax.jit does at every call", fix


@rule("time-limit", "max_episode_steps is None or an integer of at least 1", ["environment"])
def time_limit(probe):
    limit = type(probe.env).max_episode_steps
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        expected = "None, or an integer of at least 1, as a class attribute"
        yield f"max_episode_steps is {limit!r}", expected, "write max_episode_steps = 500, or remove it for no limit"


@rule("methods", "reset and step are defined, directly or split, and take the contract's arguments", ["environment"])
def methods(probe):
    for method, drawn, decided in (("reset", "draw_start", "start"), ("step", "draw", "transition")):
        split = [name for name in (drawn, decided) if probe.defines(name)]
        if len(split) == 1 or not (split or probe.defines(method)):
            found = f"of {method}, {drawn} and {decided}, the class defines {' and '.join(split) or 'none'}"
            fix = f"define {method}(self, {_listed(method)}), or both of the split methods"
            yield found, f"{method}, or both {drawn} and {decided}", fix
    for name in _ARGUMENTS:
        if probe.defines(name) and not _takes(type(probe.env), name):
            written = inspect.unwrap(getattr(type(probe.env), name))
            expected = f"{name}(self, {_listed(name)})"
            yield f"{name}{_signature(written)}", expected, f"write def {expected}, in this order, with self first"


def _listed(name):
    return ", ".join("shape=()" if argument == "shape" else argument for argument in _ARGUMENTS[name])


def _signature(method):
    return inspect.signature(method) if callable(method) else f" = {method!r:.40}"


def _takes(cls, name):
    method, expected = inspect.unwrap(getattr(cls, name)), _ARGUMENTS[name]
    try:
        signature = inspect.signature(method)
        signature.bind("self", *expected)
    except (TypeError, ValueError):
        return False
    known = [parameter for parameter in signature.parameters if parameter in expected]
    return known == [argument for argument in expected if argument in known]


@rule("spaces", "both spaces are Gymnasium spaces whose elements have one fixed shape", ["environment", "constants"])
def spaces_(probe):
    kinds = "a property that returns a gymnasium.spaces Box, Discrete, MultiBinary, MultiDiscrete, Dict or Tuple"
    for name in ("observation_space", "action_space"):
        if not probe.defines(name):
            yield f"the class does not define {name}", kinds, f"write @property, def {name}(self): return ..."
            continue
        space = getattr(probe.env, name)
        if isinstance(space, type):
            yield f"{name} is the class {space.__name__} itself", kinds, f"make an instance: {space.__name__}(...)"
        elif callable(space) and not isinstance(space, gymnasium.Space):
            yield f"{name} is a method", kinds, "write @property above it"
        elif not isinstance(space, gymnasium.Space):
            yield f"{name} is {space!r:.60}, of the type {type(space).__name__}", kinds, "return such a space"
        elif not _fixed(space):
            fix = "pad to a fixed size, and put the number of valid elements into the observation"
            yield f"{name} is {space!r:.60}, whose elements have no fixed shape", kinds, fix
        elif name == "action_space":
            yield from _while_tracing(probe)


def _fixed(space):
    if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, gymnasium.spaces.Dict) else space.spaces
        return all(map(_fixed, parts))
    try:
        spaces.bounds(space)
    except TypeError:
        return False
    return True


def _while_tracing(probe):
    try:
        jax.eval_shape(lambda env: hash(id(env.action_space)) * 0, probe.env)
    except Exception as error:
        fix = (
            "step reads action_space while tracing, where constants have no values: write its numbers in the "
            "class, or declare the constant that they depend on with static(...)"
        )
        yield (
            explain(error, probe.author_files)[0],
            "an action_space that depends on no constants except static ones",
            fix,
        )


@rule("reset-runs", "reset(key) runs under jax.jit without an error", ["constants", "methods"])
def reset_runs(probe):
    jax.block_until_ready(probe.reset_result)
    return ()


@rule("reset-returns", "reset returns (state, obs)", ["reset-runs", "spaces"])
def reset_returns(probe):
    result, expected = probe.reset_result, "a tuple (state, obs)"
    if result is None:
        yield "reset returns None", expected, "end reset with: return state, obs"
    elif not isinstance(result, tuple) or hasattr(result, "_fields") or len(result) != 2:
        yield f"reset returns {outline(result)}", expected, "return state, obs"
    elif isinstance(result[1], dict) and not result[1]:
        fix = "return the state first and the observation second; there is no info dict"
        yield "reset returns a pair with an empty dict, as Gymnasium's (obs, info)", expected, fix
    elif hasattr(result[1], "_fields") and not hasattr(result[0], "_fields"):
        found = f"reset returns the pair ({outline(result[0])}, {outline(result[1])})"
        if not isinstance(probe.env.observation_space, gymnasium.spaces.Tuple):
            yield found, expected, "return the state first and the observation second"


@rule("step-runs", "step(key, state, action) runs under jax.jit without an error", ["reset-returns"])
def step_runs(probe):
    jax.block_until_ready(probe.step_result)
    return ()


@rule("step-returns", "step returns (state, Step)", ["step-runs"])
def step_returns(probe):
    result, expected = probe.step_result, "a tuple (state, Step(obs, reward, terminated))"
    if result is None:
        yield "step returns None", expected, f"end step with: {_RETURN_STEP}"
    elif isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Step):
        return
    elif isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Step):
        yield "step returns (Step, state)", expected, f"the state comes first: {_RETURN_STEP}"
    elif isinstance(result, tuple) and len(result) == 2:
        yield f"step returns a pair whose second element is {outline(result[1])}", expected, _RETURN_STEP
    elif isinstance(result, tuple) and len(result) in (4, 5):
        found = f"step returns {outline(result)}, as Gymnasium's or Gym's (obs, reward, terminated, ..., info)"
        fix = f"{_RETURN_STEP}; VectorEnv adds truncation, and there is no info dict"
        yield found, expected, fix
    else:
        yield f"step returns {outline(result)}", expected, _RETURN_STEP


RULES = (
    environment,
    constants,
    time_limit,
    methods,
    spaces_,
    reset_runs,
    reset_returns,
    step_runs,
    step_returns,
)
