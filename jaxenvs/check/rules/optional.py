"""The rules about what surrounds reset and step: pickling, and the optional methods."""

import pickle

import jax
import numpy as np

from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.check.trees import differences, outline
from jaxenvs.explain.blame import first_line


@rule("pickles", "environment and state survive pickle", ["reset-returns"])
def pickles(probe):
    mend = "define the class and its state at the top level of a module, and keep lambdas and open files out of fields"
    for name, value in (("the environment", probe.env), ("the state", jax.device_get(probe.state))):
        try:
            same = not differences(pickle.loads(pickle.dumps(value)), value, name)
        except Exception as error:
            yield f"pickling {name} fails: {type(error).__name__}: {first_line(error)}", "a copy that is equal", mend
            continue
        if not same:
            yield f"{name} comes back from pickle changed", "a copy that is equal", mend


@rule("observe", "observe(state), where it is defined, gives the observation that came with the state",
      ["observation-types"])  # fmt: skip
def observe(probe):
    if not probe.defines("observe"):
        raise NotApplicable("the class defines no observe")
    after, step = probe.step_result
    for name, state, obs in (("reset", probe.state, probe.reset_result[1]), ("step", after, step.obs)):
        for path, one, other in differences(obs, probe.env.observe(state), "obs", exact=False)[:1]:
            mend = "let reset and step return self.observe(state), or leave observe out"
            yield f"{path} is {one} from {name}, {other} from observe(state)", "the same, up to rounding", mend


@rule("describe", "describe(state), where it is defined, returns a str", ["state-types"])
def describe(probe):
    if not probe.defines("describe"):
        raise NotApplicable("the class defines no describe")
    text = probe.env.describe(probe.step_result[0])
    if not isinstance(text, str):
        yield f"describe returns {outline(text)}", "a str", "return text, such as f'at {state.position:.2f}\\n'"


@rule("render", "render(state), where it is defined, returns a picture, uint8[height, width, 3]", ["state-types"])
def render(probe):
    if not probe.defines("render"):
        raise NotApplicable("the class defines no render")
    try:
        pictures = [probe.env.render(state) for state in (probe.state, probe.step_result[0])]
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "PIL":
            raise NotApplicable("Pillow is not installed") from None
        raise
    mend = "return a NumPy array: np.asarray(picture, np.uint8), rows first, red, green and blue last"
    for picture in pictures:
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            yield f"render returns {outline(picture)}", "a NumPy array uint8[height, width, 3]", mend
            return
    if pictures[0].shape != pictures[1].shape:
        found = f"render returns {outline(pictures[0])} for one state, {outline(pictures[1])} for the next"
        yield found, "pictures of one size", "draw on a canvas of fixed size"


RULES = (pickles, observe, describe, render)
