"""The rules about randomness: everything random comes from the key, once, and nothing else changes a result."""

import jax

from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.check.jaxprs import closed_over, constant_equations, equations
from jaxenvs.check.keys import reused
from jaxenvs.check.leaks import leaks, tracer_holders
from jaxenvs.check.probe import KEY_SETS
from jaxenvs.check.redraw import BITS, drawn_numbers, redrawing
from jaxenvs.check.starts import frozen_parts
from jaxenvs.explain.blame import where
from jaxenvs.explain.trees import differences, is_key, kind, labelled, subscript

_MOST = 3
# Of a reset that draws more numbers, some are replaced.
_MOST_NUMBERS = 256
_SOUND = ("state-types", "observation-types", "reward", "terminated")


@rule("no-leaks", "no traced value remains after the call", ["state-types"])
def no_leaks(probe):
    for name, args in probe.example_args.items():
        if leaks(getattr(type(probe.env), name), args):
            holders = tracer_holders(type(probe.env))
            found = f"{name} leaves a traced value behind" + (f", in {', '.join(holders)}" if holders else "")
            fix = (
                "keep nothing in globals, attributes, lists or caches: anything that must persist belongs in the "
                "returned state"
            )
            yield found, "a pure method: nothing remains of a call except its results", fix


@rule("no-host-calls", "reset and step run entirely on the device", ["state-types"])
def no_host_calls(probe):
    for name, jaxpr in probe.jaxprs.items():
        for equation in equations(jaxpr):
            primitive = equation.primitive.name
            if "callback" in primitive or "debug_print" in primitive:
                found = f"{name} calls Python at every step ({primitive}){where(equation, probe.author_files)}"
                fix = "write the computation in jax.numpy, and remove debugging prints"
                yield found, "computation in JAX only, which a device can run in large batches", fix


@rule("keys-from-argument", "everything random comes from the key that the method is given", ["state-types"])
def keys_from_argument(probe):
    expected = "random numbers from the key that is the method's argument"
    fix = "use the method's key; if it must never change it isn't random: derive it from a constant"
    for name, jaxpr in probe.jaxprs.items():
        for equation in constant_equations(jaxpr):
            # A raw key is first an array of words.
            if equation.primitive.name in ("random_seed", "random_wrap"):
                yield f"{name} makes a key, the same at every call{where(equation, probe.author_files)}", expected, fix
                break
        for array in closed_over(jaxpr):
            if is_key(array):
                found = f"{name} uses a key that was made outside of it, {kind(array)}, the same at every call"
                yield found, expected, fix


@rule("deterministic", "the same key, state and action give the same result, and the arguments do not change",
      [*_SOUND, "draws"])  # fmt: skip
def deterministic(probe):
    expected = "results that depend only on the arguments, bit for bit"
    fix = "draw from the key with jax.random, never from np.random, random, time or a global that changes"
    for transition in probe.walk[:3]:
        again = probe.step(probe.env, transition.key, transition.state, transition.action)
        for name, one, other in differences(labelled("step", transition.result), labelled("step", again), "step's ")[
            :1
        ]:
            yield f"{name} is {one}, then {other}, from the same arguments", expected, fix
            return
    reported = set()
    probe.measured["calls"] = 3 + len(probe.eager_runs)
    for run in probe.eager_runs:
        again = probe.run_eagerly(run.method, run.args)
        if run.method in reported:
            continue
        for name, one, other in differences(run.result, again.result, f"{run.method}'s ")[:1]:
            reported.add(run.method)
            yield f"{name} is {one}, then {other}, from the same arguments without jax.jit", expected, fix
        if not _untouched(run.args[1:], run.given[1:]):
            reported.add(run.method)
            pure = "build the new state with state._replace(...) or {**state, 'name': value}"
            yield f"{run.method} changes the state it is given", "a method that does not change its arguments", pure


def _untouched(before, after):
    same = jax.tree.structure(before) == jax.tree.structure(after)
    return same and all(old is new for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


@rule("keys-used-once", "every key is split once or drawn from once", ["deterministic"])
def keys_used_once(probe):
    reported = set()
    probe.measured["uses_of_keys"] = sum(len(run.uses) for run in probe.eager_runs)
    for run in probe.eager_runs:
        for first, second in reused(run.uses):
            found = f"{run.method} uses one key twice: {_uses(first, second)}"
            if found not in reported:
                reported.add(found)
                fix = "split it first, one key for each use: a_key, b_key = jax.random.split(key)"
                yield found, "independent random numbers, each key used once", fix


def _uses(first, second):
    if (first.what, first.place) == (second.what, second.place):
        return f"{first.what} twice" + (f", at {first.place}" if first.place else "")
    used = [f"{use.what} at {use.place}" if use.place else use.what for use in (first, second)]
    return f"{used[0]}, and {used[1]}"


@rule("keys-matter", "each number that reset draws changes its results, and so does what step draws",
      ["keys-used-once", "keys-from-argument"])  # fmt: skip
def keys_matter(probe):
    drawing = {run.method for run in probe.eager_runs if any(use.what == "drawn from" for use in run.uses)}
    if not drawing & {"reset", "step"}:
        raise NotApplicable("neither reset nor step draws a random number")
    fix = "use what is drawn (a cast to integers turns uniforms in [0, 1) into 0), or do not draw it"
    if "reset" in drawing:
        useless, numbers = {}, drawn_numbers(probe.env.reset, probe.key("redrawn"), probe.author_files)
        numbers = numbers[:: 1 + len(numbers) // _MOST_NUMBERS]
        probe.measured["numbers_in_reset"] = len(numbers)
        unchanged = [(keys, probe.run_batch("reset", redrawing(keys))) for keys in probe.key_sets("redrawn")]
        for line, position, paths in numbers:
            if not _matters(probe, paths, unchanged):
                useless.setdefault(line, []).append(subscript(position))
        for line, positions in useless.items():
            found = "reset draws numbers that change nothing" + (f", at {line}" if line else "")
            named = [position for position in positions if position]
            yield found + (f": number {', '.join(named)}" if named else ""), "a start that depends on each of them", fix
    if "step" in drawing:
        others = (probe.run_batch("step", keys) for keys in probe.key_sets("other"))
        if not any(differences(probe.batch_results["step"], other, "step") for other in others):
            found = f"step draws random numbers, but returns the same for {KEY_SETS * len(probe.batch.singles)} keys"
            yield found, "results that differ from key to key", fix


def _matters(probe, paths, unchanged):
    """Whether a number of `reset` changes a result for any of some keys, constants and replacements."""
    for keys, before in unchanged:
        for path, index in paths:
            for bits in BITS:
                if differences(before, probe.run_batch("reset", redrawing(keys, path, index, bits)), "reset"):
                    return True
    return False


@rule("starts-vary", "what varies between starts does so for any keys, from reset to reset and within a batch",
      ["keys-matter", "vector-runs"])  # fmt: skip
def starts_vary(probe):
    fix = "draw it from the entire key, for each member of a batch: jax.random.uniform(key, shape)"
    parts, probe.measured["least_share_of_starts_that_differ"] = frozen_parts(probe)
    in_state = [part for part in parts if part[0].startswith("state")]
    for name, frozen, varying in (in_state or parts)[:_MOST]:
        yield f"{name} of a start never changes {frozen}; it changes {varying}", "each part to vary by itself", fix


RULES = (
    no_leaks,
    no_host_calls,
    keys_from_argument,
    deterministic,
    keys_used_once,
    keys_matter,
)
