"""The rules about behaviour: transformations, batches, and values over many steps."""

import gymnasium
import jax
import numpy as np

from jaxenvs import spaces
from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.check.random_walk import NUM_ENVS, NUM_STEPS
from jaxenvs.explain.blame import explain
from jaxenvs.explain.trees import differences, kind, labelled, named_leaves, number, on_host
from jaxenvs.vector import VectorEnv

_MOST = 3
_MIXED = "methods must not read or mix leading batch axes"


@rule("jit", "reset and step return the same with and without jax.jit", ["deterministic"])
def jit(probe):
    fix = "use nothing from outside that changes between tracing and running: np.random, time, globals, lists"
    reported = set()
    probe.measured["calls"] = len(probe.eager_runs)
    for run in probe.eager_runs:
        traced = getattr(probe.env, run.method)(*run.args)
        apart = differences(labelled(run.method, traced), run.result, f"{run.method}'s ", exact=False)
        for name, one, other in [] if run.method in reported else apart[:1]:
            reported.add(run.method)
            yield f"{name} is {one} under jax.jit, {other} without it", "the same, up to rounding", fix


@rule("vmap", "a batch under jax.vmap returns what single environments return", ["deterministic"])
def vmap(probe):
    probe.measured["members"] = len(probe.batch.singles)
    for member, name, batched, single in probe.batch_differences():
        if probe.batch.changed[member] is None:
            found = f"{name} of member {member} is {batched} in a batch, {single} alone"
            yield found, "the same, up to rounding", _MIXED
            return


@rule("constants-batch", "each constant can have a batch axis, one value per environment", ["vmap", "time-limit"])
def constants_batch(probe):
    if not jax.tree.leaves(probe.env):
        raise NotApplicable("the environment has no constants that are leaves")
    probe.measured["changed_constants"] = [name for name, _ in probe.variants]
    expected, reported = "each member to behave as a single environment with its value", set()
    for member, name, batched, single in probe.batch_differences():
        constant = probe.batch.changed[member]
        if constant not in reported:
            reported.add(constant)
            found = f"with {constant} batched, {name} is {batched} in the batch, {single} alone"
            yield found, expected, f"use self.{constant} only in elementwise arithmetic, without adding an axis to it"
    yield from _in_vector_env(probe, expected)


def _in_vector_env(probe, expected):
    try:
        _trace_vector_env(probe, probe.batch.envs)
    except Exception as error:
        for name, _ in probe.variants or [("its constants", None)]:
            try:
                _trace_vector_env(probe, _with_batched(probe, name))
            except Exception as culprit:
                found, fix = explain(culprit, probe.author_files)
                yield f"with {name} batched in a VectorEnv: {found}", expected, fix
                return
        found, fix = explain(error, probe.author_files)
        yield f"with all constants batched in a VectorEnv: {found}", expected, fix


def _with_batched(probe, name):
    leaves = {path[0].name: leaf for path, leaf in jax.tree_util.tree_leaves_with_path(probe.batch.envs)}
    pick = lambda path, leaf: leaves[name] if path[0].name == name else leaf  # noqa: E731
    return jax.tree_util.tree_map_with_path(pick, probe.env)


def _trace_vector_env(probe, members):
    envs = VectorEnv(members, len(probe.batch.singles), type(probe.env).max_episode_steps)
    key, actions = probe.key("vector"), probe.batch.actions
    state, _ = jax.eval_shape(VectorEnv.reset, envs, key)
    jax.eval_shape(VectorEnv.step, envs, key, state, actions)


@rule("vector-runs", "a VectorEnv of it takes 1000 random steps without an error", ["deterministic", "time-limit"])
def vector_runs(probe):
    jax.block_until_ready(probe.random_walk)
    probe.measured |= {"members": NUM_ENVS, "steps": NUM_STEPS}
    return ()


@rule("observation-range", "observations stay in observation_space over 1000 random steps", ["vector-runs"])
def observation_range(probe):
    _, extremes = probe.random_walk
    extremes = on_host(extremes)
    for name, part in (("lowest", extremes.low), ("highest", extremes.high)):
        reach = np.min if name == "lowest" else np.max
        probe.measured[name] = {path: reach(leaf, axis=0) for path, leaf in named_leaves(part, "obs")}
    yield from _out_of_range(probe.env.observation_space, extremes.low, extremes.high, "obs")


def _out_of_range(space, low, high, name):
    if isinstance(space, gymnasium.spaces.Dict):
        for key, part in space.spaces.items():
            yield from _out_of_range(part, low[key], high[key], f"{name}[{key!r}]")
        return
    if isinstance(space, gymnasium.spaces.Tuple):
        for i, part in enumerate(space.spaces):
            yield from _out_of_range(part, low[i], high[i], f"{name}[{i}]")
        return
    floor, ceiling = map(np.asarray, spaces.bounds(space))
    low, high = np.fmin.reduce(low, axis=0), np.fmax.reduce(high, axis=0)
    outside = (low < floor) | (high > ceiling)
    for index in [tuple(map(int, index)) for index in np.argwhere(outside)][:_MOST]:
        below = low[index] < floor[index]
        value, bound = (low[index], f"below {floor[index]}") if below else (high[index], f"above {ceiling[index]}")
        where = name + (f"[{', '.join(map(str, index))}]" if index else "")
        found = f"{where} reached {number(value)} in {NUM_STEPS} random steps, {bound}"
        expected = f"values from {floor[index]} to {ceiling[index]}, as observation_space declares"
        yield found, expected, "clip the observation, end the episode earlier, or widen the space (np.inf for no bound)"


@rule(
    "finite", "all numbers are finite, and no counter in the state overflows, over 1000 random steps", ["vector-runs"]
)
def finite(probe):
    _, extremes = probe.random_walk
    fix = "limit what can grow; guard divisions, roots and logarithms, such as x / jnp.maximum(y, 1e-6)"
    bad = sorted((first.min(), name) for name, first in on_host(extremes.first_bad).items() if first.min() <= NUM_STEPS)
    for step, name in bad[:_MOST]:
        when = f"after {step} random steps" if step else "after reset"
        yield f"{name} is NaN or infinite {when}", "finite numbers", fix
    yield from _overflows(probe, on_host(extremes))


def _overflows(probe, extremes):
    """A short integer that always changes by the same number, except where it wraps around by its full range."""
    for name, leaf in named_leaves(probe.state, "state"):
        if name in extremes.least_change:
            least, greatest = extremes.least_change[name].min(), extremes.greatest_change[name].max()
            if greatest - least == 2 ** (8 * leaf.dtype.itemsize):
                found = f"{name}, {kind(leaf)}, overflows: a step changes it by {greatest}, then by {least}"
                yield found, "a counter that fits", "count in int32: jnp.int32(0) in reset, and x + 1 in step"


@rule("neighbours", "one member of a batch does not change the others, bit for bit", ["vector-runs"])
def neighbours(probe):
    others = lambda tree: jax.tree.map(lambda leaf: leaf[1:], on_host(tree))  # noqa: E731
    one, other = others(probe.random_walk), others(probe.disturbed_random_walk)
    for part, name in enumerate(("state", "extremes")):
        for path, before, after in differences(one[part], other[part], name)[:1]:
            found = f"with another member 0, {path} of the others is {after} instead of {before}"
            yield found, "members of a batch that are independent of each other", _MIXED
            return


RULES = (jit, vmap, constants_batch, vector_runs, observation_range, finite, neighbours)
