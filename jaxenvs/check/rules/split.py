"""The rules about the split: `draw` and `draw_start` draw, `transition` and `start` are deterministic."""

from operator import itemgetter

import jax
import numpy as np
from jax.interpreters.partial_eval import dce_jaxpr

from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.check.probe import NUM_DRAWS
from jaxenvs.explain.trees import differences, is_key, kind, labelled, named_leaves, on_host, subscript

_SOUND = ("state-types", "observation-types", "reward", "terminated")
_SPLITS = (("reset", "draw_start", "start"), ("step", "draw", "transition"))


@rule("split", "step is transition after draw, and reset is start after draw_start", _SOUND)
def split(probe):
    pairs = [(method, drawn, decided) for method, drawn, decided in _SPLITS if probe.defines(decided)]
    if not pairs:
        raise NotApplicable("the class defines reset and step directly")
    env = probe.env
    for method, drawn, decided in pairs:
        if not probe.defines(method):
            # The base class's own method, which is `decided` after `drawn`.
            continue
        args = probe.example_args[method][1:]
        draws = getattr(env, drawn)(args[0])
        split_result, result = getattr(env, decided)(*args[1:], draws), getattr(env, method)(*args)
        apart = differences(labelled(method, split_result), labelled(method, result), f"{method}'s ")
        for name, one, other in apart[:1]:
            found = f"the class also defines {method}, and {name} is {other}, but {one} from {decided} after {drawn}"
            yield found, f"{method} to be {decided} after {drawn}", f"remove {method}: the base class defines it"


@rule(
    "draws",
    "draws are standard variates: with `shape` in front, independent, and not dependent on constants",
    ["split"],
)
def draws(probe):
    drawn = [name for name in ("draw_start", "draw") if probe.defines(name)]
    probe.measured["draws"] = NUM_DRAWS
    for name in drawn:
        shapes = list(_shapes(probe, name))
        yield from shapes[:1]
        if not shapes:
            yield from _rows(probe, name)
            yield from _unread(probe, name)
            yield from _constants_in_draws(probe, name)


def _shapes(probe, name):
    method, expected = getattr(type(probe.env), name), "arrays of numbers with `shape` in front"
    single = jax.eval_shape(lambda env, key: method(env, key), probe.env, probe.key(name))
    for shape in ((3,), (2, 3)):
        batch = jax.eval_shape(lambda env, key: method(env, key, shape), probe.env, probe.key(name))  # noqa: B023
        fix = "pass `shape` to jax.random: jax.random.uniform(key, shape), or (4, *shape) for four"
        if jax.tree.structure(batch) != jax.tree.structure(single):
            yield f"{name}(key, {shape}) has a different structure from {name}(key)", expected, fix
            return
        for (path, one), many in zip(named_leaves(single, "draws"), jax.tree.leaves(batch), strict=True):
            if is_key(one):
                yield f"{name} returns {path} as {kind(one)}", expected, "draw the numbers themselves from the key"
            elif many.shape != (*shape, *one.shape) or many.dtype != one.dtype:
                ideal = f"{one.dtype}{list((*shape, *one.shape))}"
                yield f"{path} is {kind(many)} from {name}(key, {shape}), {kind(one)} from {name}(key)", ideal, fix


def _rows(probe, name):
    """One batch of draws compared with single draws and with a batch of another key, number by number."""
    expected = f"{name}(key, (n,)) to draw n independent rows, as {name}(key) does with n keys"
    again = on_host(getattr(probe.env, name)(probe.key(f"{name} again"), (NUM_DRAWS,)))
    trees = *probe.draws[name], again
    for path, *leaves in zip(map(itemgetter(0), named_leaves(again, "draws")), *map(jax.tree.leaves, trees)):
        numbers = (leaf.reshape(NUM_DRAWS, -1).T for leaf in leaves)
        for index, columns in zip(np.ndindex(leaves[0].shape[1:]), zip(*numbers, strict=True), strict=True):
            wrong = _wrong(*columns)
            if wrong:
                yield f"{path}{subscript(index)} {wrong[0]}", expected, wrong[1]
                break


def _wrong(batch, single, again):
    """(found, fix) for one number, drawn in a batch, one by one, and in another batch; None if the draws are alike."""
    distinct, usual = (len(np.unique(column)) for column in (batch, single))
    varies = (single != single[0]).mean() > 0.25
    rows = f"{distinct} different {'row' if distinct == 1 else 'rows'} of {len(batch)} in one batch"
    if 2 * distinct < usual or (varies and distinct == 1):
        fix = "draw them all from one key with the full shape: jax.random.uniform(key, shape)"
        return f"has {rows}, {usual} in single draws", fix
    if varies and (batch == again).all():
        return "is the same in batches of two keys", "draw it from the key with jax.random for every `shape`"
    if 2 * usual < distinct:
        fix = "draw it from the key with jax.random for every `shape`; np.random draws only once, while JAX traces"
        return f"has {usual} different rows of {len(batch)} in single draws, {distinct} in one batch", fix
    means, variances = zip(*((one.mean(dtype=np.float64), one.var(dtype=np.float64)) for one in (batch, single)))
    if abs(means[0] - means[1]) > 6 * np.sqrt(sum(variances) / len(batch)) + 1e-6:
        fix = (
            "draw from the same distribution for every `shape`, and only with jax.random: np.random and random "
            "draw only once, while JAX traces"
        )
        return f"has the mean {means[0]:.3g} in one batch, {means[1]:.3g} in single draws", fix
    return None


def _unread(probe, name):
    """Draws that `transition` does not read; a rule about keys looks closer at those of `start`."""
    if name != "draw":
        return
    env, key, state, action = probe.example_args["step"]
    rest, drawn = (env, state, action), env.draw(key)
    jaxpr = jax.make_jaxpr(type(env).transition)(*rest, drawn).jaxpr
    _, used = dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    first = len(jax.tree.leaves(rest))
    for (path, _), read in zip(named_leaves(drawn, "draws"), used[first:], strict=True):
        if not read:
            yield f"transition does not read {path}", "draws that are used", "use it in transition, or do not draw it"


def _constants_in_draws(probe, name):
    expected = "standard variates (uniforms, normals), which transition and start scale by the constants"
    for constant, env in probe.variants:
        other = getattr(env, name)(probe.key(f"{name} batch"), (NUM_DRAWS,))
        if differences(probe.draws[name][0], other, "draws"):
            fix = f"use self.{constant} in {'start' if name == 'draw_start' else 'transition'}"
            yield f"{name} depends on the constant {constant}", expected, fix


RULES = (split, draws)
