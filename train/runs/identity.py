"""What a checkpoint belongs to: `identity` is kept in it, and `differences` are named when the run is resumed."""

import dataclasses
import hashlib
import inspect
import json
import platform
import sys
from pathlib import Path
from typing import NamedTuple

import jax

import jaxenvs

from . import checkpoint, hosts
from .plan import RunError


class Difference(NamedTuple):
    """One thing that is not as it was when a checkpoint was saved."""

    #: A sentence's part, such as "seed was 0 and is 7".
    text: str
    #: Whether the rest of the run would be another experiment: it is then refused, and otherwise only said.
    refused: bool


# What may differ: the experiment stays the same, to rounding, or the change was meant.
_SAID = {"total_steps", "until", "python", "jax", "jaxenvs", "device", "devices"}


def identity(plan, devices=1):
    """Everything that a run's results depend on, as a dict for JSON.

    Args:
        plan: `Plan`.
        devices: how many share the training.
    """
    fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    found = {
        **fields,
        # A file may have moved; its content is in `source`.
        "env": plan.name,
        "config": dataclasses.asdict(plan.config),
        "source": source_of(type(plan.training_envs().env)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxenvs": jaxenvs.__version__,
        "device": jax.devices()[0].device_kind,
        "devices": devices,
    }
    return json.loads(json.dumps(found))


def require_same_in_all(now):
    """Refuses processes that would not compute the same run.

    Args:
        now: the run's `identity` in this process.
    Raises:
        RunError: in all processes.
    """
    digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).digest()
    hosts.require_same(int.from_bytes(digest[:7], "big"), "options, files or versions")


def source_of(cls):
    """The SHA-256 of the files that define a class and its bases: {file name: hexadecimal digits}.

    Files of jaxenvs are left out: its version stands for them. What the files import is left out too.
    """
    found = {}
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in ("jaxenvs", "builtins"):
            continue
        try:
            path = Path(inspect.getfile(base))
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except (TypeError, OSError):  # a class of an interactive session, or of C
            continue
    return found


def differences(kept, now):
    """What differs between two identities.

    Args:
        kept: of the checkpoint; {} for one that was saved before there were identities, which differs in nothing.
        now: of the run as it would continue.
    Returns:
        list of `Difference`.

    >>> differences({"seed": 0, "config": {"gamma": 0.9}}, {"seed": 7, "config": {"gamma": 0.99}})
    [Difference(text='seed was 0 and is 7', refused=True), Difference(text='gamma was 0.9 and is 0.99', refused=True)]
    """
    found = []
    for name, was in kept.items():
        value = now.get(name)
        if name == "source":
            found += _sources(was, value or {})
        elif name == "config":
            found += [
                Difference(_changed(part, was.get(part), (value or {}).get(part)), True)
                for part in sorted(was.keys() | (value or {}).keys())
                if was.get(part) != (value or {}).get(part)
            ]
        elif was != value:
            found.append(Difference(_changed(name, was, value), name not in _SAID))
    return found


def require_same(folder, path, now, accepted=False):
    """Says on the standard error what has changed since a checkpoint was saved.

    Args:
        folder: the run's folder.
        path: the checkpoint.
        now: the run's `identity`.
        accepted: whether changes that make another experiment of the run are only said, too.
    Raises:
        RunError: naming these changes, if they are not accepted.
    """
    found = differences(checkpoint.about(path), now)
    refused = [difference.text for difference in found if difference.refused]
    if refused and not accepted:
        raise RunError(
            f"{folder} has changed since its checkpoint was saved: {'; '.join(refused)}. Change it back, or accept it "
            "with --accept-changes"
        )
    for difference in found if hosts.first() else ():
        print(f"warning: since the checkpoint was saved, {difference.text}", file=sys.stderr)


def _sources(was, value):
    if was.keys() != value.keys():
        return [Difference(_changed("the environment's files", sorted(was), sorted(value)), True)]
    return [Difference(f"{name} has changed", True) for name in was if was[name] != value[name]]


def _changed(name, was, value):
    return f"{name} was {json.dumps(was)} and is {json.dumps(value)}"
