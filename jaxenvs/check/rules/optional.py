"""The rules about pickling and the optional methods."""

import pickle

import jax
import numpy as np

from jaxenvs.check.engine import NotApplicable, rule
from jaxenvs.explain.blame import first_line
from jaxenvs.explain.trees import differences, outline


@rule("pickles", "environment and state survive pickle", ["reset-returns"])
def pickles(probe):
    fix = "define the class and its state at the top level of a module, and put no lambdas or open files into fields"
    for name, value in (("the environment", probe.env), ("the state", jax.device_get(probe.state))):
        try:
            same = not differences(pickle.loads(pickle.dumps(value)), value, name)
        except Exception as error:
            yield f"pickling {name} fails: {type(error).__name__}: {first_line(error)}", "a copy that is equal", fix
            continue
        if not same:
            yield f"{name} changes when it is pickled and unpickled", "a copy that is equal", fix


@rule("observe", "observe(state), if defined, returns the observation that came with the state",
      ["observation-types"])  # fmt: skip
def observe(probe):
    if not probe.defines("observe"):
        raise NotApplicable("the class does not define observe")
    after, step = probe.step_result
    for name, state, obs in (("reset", probe.state, probe.reset_result[1]), ("step", after, step.obs)):
        for path, one, other in differences(obs, probe.env.observe(state), "obs", exact=False)[:1]:
            fix = "return self.observe(state) from reset and step, or remove observe"
            yield f"{path} is {one} from {name}, {other} from observe(state)", "the same, up to rounding", fix


@rule("describe", "describe(state), if defined, returns a str", ["state-types"])
def describe(probe):
    if not probe.defines("describe"):
        raise NotApplicable("the class does not define describe")
    text = probe.env.describe(probe.step_result[0])
    if not isinstance(text, str):
        yield f"describe returns {outline(text)}", "a str", "return text, such as f'at {state.position:.2f}\\n'"


@rule("render", "render(state), if defined, returns a picture, uint8[height, width, 3]", ["state-types"])
def render(probe):
    if not probe.defines("render"):
        raise NotApplicable("the class does not define render")
    try:
        pictures = [probe.env.render(state) for state in (probe.state, probe.step_result[0])]
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "PIL":
            raise NotApplicable("Pillow is not installed") from None
        raise
    fix = "return a NumPy array: np.asarray(picture, np.uint8), rows first, red, green and blue last"
    for picture in pictures:
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[2:] != (3,):
            yield f"render returns {outline(picture)}", "a NumPy array uint8[height, width, 3]", fix
            return
    if pictures[0].shape != pictures[1].shape:
        found = f"render returns {outline(pictures[0])} for one state, {outline(pictures[1])} for the next"
        yield found, "pictures of one size", "draw on a canvas of fixed size"


RULES = (pickles, observe, describe, render)
