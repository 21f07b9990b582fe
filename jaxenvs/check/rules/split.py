"""The rules about the split: `draw` and `draw_start` draw, `transition` and `start` are deterministic."""

import jax
import numpy as np

from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.check.probe import NUM_DRAWS
from jaxenvs.check.trees import differences, is_key, kind, labelled, named_leaves

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
    for name in drawn:
        shapes = list(_shapes(probe, name))
        yield from shapes[:1]
        if not shapes:
            yield from _rows(probe.draws[name], name)
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


def _rows(drawn, name):
    """One batch of draws compared with as many single draws."""
    batch, single = drawn
    expected = f"{name}(key, (n,)) to draw n independent rows, as {name}(key) does with n keys"
    for (path, many), ones in zip(named_leaves(batch, "draws"), jax.tree.leaves(single), strict=True):
        rows = len(many)
        distinct, usual = (len(np.unique(leaf.reshape(rows, -1), axis=0)) for leaf in (many, ones))
        if 2 * distinct < usual:
            fix = "draw them all from one key with the full shape: jax.random.uniform(key, shape)"
            found = f"{path} has {distinct} different rows of {rows} in one batch, {usual} in single draws"
            yield found, expected, fix
            continue
        if 2 * usual < distinct:
            fix = "draw it from the key with jax.random for every `shape`; np.random draws only once, while JAX traces"
            found = f"{path} has {usual} different rows of {rows} in single draws, {distinct} in one batch"
            yield found, expected, fix
            continue
        means, variances = zip(*((leaf.mean(dtype=np.float64), leaf.var(dtype=np.float64)) for leaf in (many, ones)))
        if abs(means[0] - means[1]) > 6 * np.sqrt(sum(variances) / many.size) + 1e-6:
            fix = (
                "draw from the same distribution for every `shape`, and only with jax.random: np.random and random "
                "draw only once, while JAX traces"
            )
            yield f"{path} has the mean {means[0]:.3g} in one batch, {means[1]:.3g} in single draws", expected, fix


def _constants_in_draws(probe, name):
    expected = "standard variates (uniforms, normals), which transition and start scale by the constants"
    for constant, env in probe.variants:
        other = getattr(env, name)(probe.key(f"{name} batch"), (NUM_DRAWS,))
        if differences(probe.draws[name][0], other, "draws"):
            fix = f"use self.{constant} in {'start' if name == 'draw_start' else 'transition'}"
            yield f"{name} depends on the constant {constant}", expected, fix


RULES = (split, draws)
