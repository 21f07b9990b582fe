"""The rules about types: of the state, the observation, the reward and `terminated`."""

import gymnasium
import jax
import numpy as np

from jaxenvs import spaces
from jaxenvs.check.engine import rule
from jaxenvs.check.probe import stack
from jaxenvs.explain.trees import is_key, kind, named_leaves, outline, type_changes

_KEY_NAMES = ("key", "rng", "prng", "random_key", "rng_key", "prng_key", "seed")


@rule("state-arrays", "the state is a pytree of arrays without keys", ["reset-returns"])
def state_arrays(probe):
    expected, fix = (
        "arrays of numbers; randomness comes from the key that is passed to each call",
        ("remove the key from the state: reset and step get a new one at every call"),
    )
    for name, leaf in named_leaves(probe.state, "state"):
        raw_key = leaf.dtype == np.uint32 and leaf.shape[-1:] == (2,) and _last_word(name) in _KEY_NAMES
        if is_key(leaf) or raw_key:
            yield f"{name} is a key, {kind(leaf)}", expected, fix


def _last_word(name):
    return name.replace("'", "").replace("]", "").replace("[", ".").split(".")[-1].lower()


@rule("state-types", "reset and step return states of the same structure, shape, dtype and weak type",
      ["step-returns", "state-arrays"])  # fmt: skip
def state_types(probe):
    changes = type_changes(probe.state, probe.step_result[0], "state")
    if not changes:
        changes = _changes_with_array_constants(probe)
    for name, before, after in changes:
        found = f"{name} is {before} after reset, {after} after step"
        strong = (after if before.startswith("weakly typed") else before).removeprefix("weakly typed ")
        yield found, f"the same after both: {strong}", _fix(before, after)


def _changes_with_array_constants(probe):
    """A Python number never changes the dtype of what it is combined with; an array, as in a batch, may."""
    members = stack([probe.env])
    env = jax.tree.map(lambda leaf: leaf[0], members)
    action = spaces.sample(env.action_space, probe.key("first action"))
    state, _ = jax.eval_shape(type(env).reset, env, probe.key("start"))
    after, _ = jax.eval_shape(type(env).step, env, probe.key("first step"), state, action)
    where = "with constants that are arrays, as in a batch, state"
    return type_changes(state, after, where)


def _fix(before, after):
    strong = {text.removeprefix("weakly typed ") for text in (before, after)}
    if len(strong) == 1:
        dtype = strong.pop().split("[")[0]
        return (
            f"a Python number is weakly typed: make it an array with an explicit dtype, jnp.{dtype}(x) or "
            f"jnp.zeros((), jnp.{dtype}), in both methods"
        )
    if before.startswith("weakly typed") and "[" in after:
        dtype = after.removeprefix("weakly typed ").split("[")[0]
        return f"start with an array of the dtype that step returns: jnp.{dtype}(x)"
    if before.split("[")[0] != after.split("[")[0] and "[" in before and "[" in after:
        dtype = before.removeprefix("weakly typed ").split("[")[0]
        return f"convert in step: x.astype(jnp.{dtype}), or start with the dtype that step returns"
    return (
        "return the next state first, with the same structure and shapes in both methods; a NamedTuple and "
        "state._replace(...) keep them"
    )


@rule("observation-types", "observations have the structure, shape and dtype that observation_space declares",
      ["step-returns", "spaces"])  # fmt: skip
def observation_types(probe):
    space, reset_obs, step_obs = probe.env.observation_space, probe.reset_result[1], probe.step_result[1].obs
    misfits = [*_misfits(space, reset_obs, "reset: obs"), *_misfits(space, step_obs, "step: obs")]
    for name, found, expected in misfits:
        fix = "make the observation fit, with jnp.asarray(..., dtype) and jnp.stack, or change the space"
        fix = "end the method that makes the observation with return" if found == "None" else fix
        yield f"{name} is {found}", f"{expected}, as observation_space declares", fix
    if not misfits:
        for name, before, after in type_changes(reset_obs, step_obs, "obs"):
            fix = _fix(before, after)
            yield f"{name} is {before} from reset, {after} from step", "the same from both", fix


def _misfits(space, obs, name):
    """(name, found, expected) for each part of an observation that differs from its space."""
    if isinstance(space, gymnasium.spaces.Dict):
        if not isinstance(obs, dict) or obs.keys() != space.spaces.keys():
            return [(name, outline(obs), f"a dict with the keys {sorted(space.spaces)}")]
        parts = [(space.spaces[key], obs[key], f"{name}[{key!r}]") for key in space.spaces]
    elif isinstance(space, gymnasium.spaces.Tuple):
        if not isinstance(obs, tuple) or len(obs) != len(space.spaces):
            return [(name, outline(obs), f"a tuple of {len(space.spaces)}")]
        parts = [(part, obs[i], f"{name}[{i}]") for i, part in enumerate(space.spaces)]
    else:
        expected = f"{spaces.jax_dtype(space)}[{','.join(map(str, space.shape))}]"
        found = outline(obs)
        return [] if found.removeprefix("weakly typed ") == expected else [(name, found, expected)]
    return [misfit for part in parts for misfit in _misfits(*part)]


@rule("reward", "the reward is a float32 scalar", ["step-returns"])
def reward(probe):
    found = outline(probe.step_result[1].reward).removeprefix("weakly typed ")
    if found != "float32[]":
        fix = "use jnp.float32(x), x.astype(jnp.float32), jnp.where(condition, 1.0, 0.0) or jnp.sum(array)"
        yield f"Step.reward is {found}", "float32[]", fix


@rule("terminated", "terminated is a bool scalar", ["step-returns"])
def terminated(probe):
    found = outline(probe.step_result[1].terminated).removeprefix("weakly typed ")
    if found != "bool[]":
        fix = "return a comparison or jnp.bool_(False); combine flags with & and |, and an array with jnp.any"
        yield f"Step.terminated is {found}", "bool[]", fix


@rule("one-trace", "100 steps and changed constants do not cause a second trace",
      ["state-types", "observation-types", "reward", "terminated"])  # fmt: skip
def one_trace(probe):
    calls = f"{len(probe.walk)} steps and {len(probe.loop_results)} environments with changed constants"
    fix = (
        "give the state the same types and structure at every step; a registered class in it must compare equal, and "
        "values that change belong in its leaves, never in static parts"
    )
    probe.measured |= {"steps": len(probe.walk), "environments": len(probe.loop_results), "traces": dict(probe.traces)}
    for name, count in probe.traces.items():
        if count > 1:
            yield f"{name} was traced {count} times in {calls}", "one trace", fix


RULES = (state_arrays, state_types, observation_types, reward, terminated, one_trace)
