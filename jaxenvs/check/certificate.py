"""What `jaxenvs check --json` writes: what was checked, on what, by which rules, with what they measured."""

import datetime
import importlib.metadata
import platform

import gymnasium
import jax
import numpy as np

from jaxenvs.check import instance, rules
from jaxenvs.definition import init_fields


def certificate(env, report, *, name, seconds, version):
    """A `Report` and its circumstances as a dict that JSON can hold.

    Args:
        env: what `check_env` was given.
        report: the `Report`.
        name: what the user called it, an id or a file's entry.
        seconds: how long the check took.
        version: of jaxenvs.
    """
    env = instance(env)
    cls = env if isinstance(env, type) else type(env)
    fields = () if isinstance(env, type) else init_fields(cls)
    reasons = dict(report.skipped)
    return {
        "name": name,
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "constants": {field.name: _plain(getattr(env, field.name)) for field in fields},
        "max_episode_steps": _plain(cls.max_episode_steps),
        "ok": report.ok,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "versions": {
            "jaxenvs": version,
            "jax": jax.__version__,
            "jaxlib": importlib.metadata.version("jaxlib"),
            "gymnasium": gymnasium.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "platform": {"system": platform.platform(), "device": jax.devices()[0].device_kind},
        "rules": [_rule(rule, sentence, report, reasons.get(rule)) for rule, sentence in rules().items()],
    }


def _rule(name, sentence, report, reason):
    found = [finding for finding in report.findings if finding.rule == name]
    result = "broken" if found else "not checked" if reason else "holds"
    return {
        "name": name,
        "statement": sentence,
        "result": result,
        **({"reason": reason} if reason else {}),
        "measured": _plain(report.measured.get(name, {})),
        "findings": [{part: getattr(one, part) for part in ("found", "expected", "fix")} for one in found],
    }


def _plain(value):
    """A value for JSON: numbers, lists and dicts; anything else, and what is not finite, as text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _plain(np.asarray(value).tolist())
    finite = isinstance(value, int) or (isinstance(value, float) and np.isfinite(value))
    return value if finite or value is None else str(value)
