"""What trains each environment well, so that `--env` alone is enough."""

import dataclasses
import json
from pathlib import Path

from . import dqn, ppo, pqn, sac, td3
from .tuned import PRESETS, VARIANTS, Preset

ALGORITHMS = {"ppo": ppo, "dqn": dqn, "pqn": pqn, "td3": td3, "sac": sac}

#: How the preset "accelerator" is made from the usual one, by algorithm: times as many environments, minibatches and
#: steps. An update of a GPU then has enough to do, and each gradient step sees four times the samples.
ACCELERATOR = {"ppo": (16, 4, 8), "pqn": (16, 4, 8)}


def preset(algorithm, env_id, variant=None):
    """The preset of an algorithm for an environment; a plain one where none was made.

    Args:
        algorithm, env_id: names.
        variant: the name of another preset of `VARIANTS`, "accelerator" for an algorithm of `ACCELERATOR`, or a JSON
            file that a sweep wrote.
    Raises:
        ValueError: for a variant that there is not, naming those that there are, and for a file that cannot be used.
    """
    usual = PRESETS.get((algorithm, env_id), Preset())
    if variant is None:
        return usual
    if variant.endswith(".json"):
        return _from_file(algorithm, env_id, variant, usual)
    if variant == "accelerator" and algorithm in ACCELERATOR:
        return _for_accelerators(algorithm, usual)
    if (algorithm, env_id, variant) not in VARIANTS:
        names = [name for *of, name in VARIANTS if of == [algorithm, env_id]]
        names += ["accelerator"] if algorithm in ACCELERATOR else []
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise ValueError(f"--preset: {algorithm} has no preset {variant!r} for {env_id}; {there}")
    return VARIANTS[algorithm, env_id, variant]


def is_schedule(value):
    """Whether a value of a JSON file is a schedule."""
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and isinstance(part.get("values"), dict)
        and all(isinstance(part.get(name), int) for name in ("from_step", "to_step"))
        for part in value
    )


def _from_file(algorithm, env_id, path, usual):
    """The preset of a file that a sweep wrote."""
    try:
        stored = json.loads(Path(path).read_text())
        for name, given in (("algorithm", algorithm), ("env", env_id)):
            if stored[name] != given and not str(stored[name]).endswith(f"/{given}"):
                raise ValueError(f"--preset: {path} is for the {name} {stored[name]}, got {given}")
        config = {name: tuple(x) if isinstance(x, list) else x for name, x in stored["config"].items()}
        found = {name: dict(stored[name]) for name in ("training", "constants")}
        if not is_schedule(stored.get("schedule", [])):
            raise ValueError(
                f"--preset: the schedule of {path} must be a list of parts with from_step, to_step and values"
            )
        found["schedule"] = stored.get("schedule", [])
        return dataclasses.replace(usual, total_steps=int(stored["total_steps"]), config=config, **found)
    except OSError as error:
        raise ValueError(f"--preset: {path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--preset: {path} is no preset of a sweep: {error!r}") from error


def _for_accelerators(algorithm, usual):
    """A preset with larger batches; the number of gradient steps is twice that of the usual one."""
    envs, minibatches, steps = ACCELERATOR[algorithm]
    plain = ALGORITHMS[algorithm].Config(**usual.config)
    sizes = {"num_envs": envs * plain.num_envs, "minibatches": minibatches * plain.minibatches}
    return dataclasses.replace(usual, total_steps=steps * usual.total_steps, config={**usual.config, **sizes})
