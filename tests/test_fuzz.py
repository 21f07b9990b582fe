"""Random wrong arguments to every public function: it works, or one sentence of ours says what is wrong.

`reference/entries.py` has the functions and the values. An error must come from a line of ours, or be one of
Gymnasium's own; it must be of an ordinary kind, and one sentence without JAX's inner words.
"""

import os
import pathlib
import traceback
import warnings

import gymnasium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxenvs
from train.runs.plan import RunError

ROOT = pathlib.Path(jaxenvs.__file__).parents[1]
OURS = str(ROOT / "jaxenvs"), str(ROOT / "train")
KINDS = (
    TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError, ImportError, OSError, RuntimeError,
    RunError, gymnasium.error.Error,
)  # fmt: skip
# Words of JAX's and NumPy's inner errors.
OBSCURE = "Tracer", "jaxpr", "abstract array", "ufunc", "broadcast", "aval", "dynamic_slice", "lax."


@pytest.fixture(scope="module")
def entries():
    """Imported here: its arrays and states take seconds to make."""
    from reference import entries

    return entries


def fault(entries, entry, replaced):
    """What is wrong with the outcome of a call with some arguments replaced; None if nothing is."""
    function, arguments = entries.ENTRIES[entry]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(**{**arguments, **{name: entries.ODD[value] for name, value in replaced.items()}})
    except Exception as error:
        return _fault(error)
    return None


def _fault(error):
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error)
    shown = f"{type(error).__name__} at {where.filename}:{where.lineno}: {text}"
    if not isinstance(error, KINDS):
        return f"the kind of error: {shown}"
    # Gymnasium's own checks of what it is given, and what it adds to an error of ours.
    gymnasiums = f"{os.sep}gymnasium{os.sep}" in where.filename
    if gymnasiums:
        return None
    if not where.filename.startswith(OURS):
        return f"not raised by a line of ours: {shown}"
    if not text or "\n" in text.strip() or len(text) > 600:
        return f"not one sentence: {shown}"
    found = [word for word in OBSCURE if word in text]
    return f"words {found}: {shown}" if found else None


def test_right_arguments_are_accepted(entries):
    for entry, (function, arguments) in entries.ENTRIES.items():
        if entry not in ("train.load", "check_env"):
            function(**arguments)


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ("step", "state of a batch"),
        ("step", "state of one"),
        ("VectorEnv.step", "states of 3"),
        ("rollout", "states of 3"),
        ("rollout", "states of Pendulum"),
    ],
)
def test_a_state_of_another_batch_size_is_not_broadcast(entries, entry, state):
    function, arguments = entries.ENTRIES[entry]
    with pytest.raises(TypeError, match="state must be"):
        function(**{**arguments, "state": entries.ODD[state]})


@pytest.mark.slow
def test_each_wrong_argument_is_explained(entries):
    cases = [
        (entry, name, odd) for entry, (_, known) in entries.ENTRIES.items() for name in known for odd in entries.ODD
    ]
    found = {case: fault(entries, case[0], {case[1]: case[2]}) for case in cases}
    assert {case: wrong for case, wrong in found.items() if wrong} == {}


@pytest.mark.slow
@settings(
    max_examples=1500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_several_wrong_arguments_are_explained(entries, data):
    several = [entry for entry, (_, arguments) in entries.ENTRIES.items() if len(arguments) > 1]
    entry = data.draw(st.sampled_from(several))
    names = data.draw(st.lists(st.sampled_from(list(entries.ENTRIES[entry][1])), min_size=2, unique=True))
    replaced = {name: data.draw(st.sampled_from(list(entries.ODD))) for name in names}
    assert fault(entries, entry, replaced) is None
