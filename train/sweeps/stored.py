"""The file of a sweep's folder that keeps its plan."""

import dataclasses
import json
from pathlib import Path

from ..runs.files import replacing
from ..runs.plan import SWEEP, RunError, plan_from, stored_form
from .distributions import parsed
from .plan import SweepPlan


def stored_sweep(plan):
    """A plan as a dict for JSON."""
    stored = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    return stored | {"runs": stored_form(plan.runs), "space": {name: str(one) for name, one in plan.space.items()}}


def write_sweep(plan, folder):
    """Writes `sweep.json`."""
    with replacing(Path(folder) / SWEEP) as file:
        file.write((json.dumps(stored_sweep(plan), indent=1) + "\n").encode())


def is_sweep(folder):
    """Whether a folder holds a sweep."""
    return (Path(folder) / SWEEP).is_file()


def read_sweep(folder):
    """The `SweepPlan` of a folder.

    Raises:
        RunError: if it holds none, or one that cannot be read.
    """
    path = Path(folder) / SWEEP
    if not path.is_file():
        raise RunError(f"{folder} holds no sweep: there is no {path.name} in it")
    try:
        stored = json.loads(path.read_text())
        space = {name: parsed(text) for name, text in stored["space"].items()}
        settings = [{name: _tuples(value) for name, value in one.items()} for one in stored["settings"]]
        return SweepPlan(**{**stored, "runs": plan_from(stored["runs"], path), "space": space, "settings": settings})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged, or of another version: {error!r}") from error


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
