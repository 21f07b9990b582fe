"""`Plan`, everything that decides a run, and the folder that keeps it."""

import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

import jax

import jaxenvs
from jaxenvs.loading import class_name
from jaxenvs.random import as_key, fast

from ..output import command
from ..presets import ALGORITHMS
from .files import replacing, unfinished_files
from .stored import StoredError, checked

#: The file of a sweep's folder that says what it is.
SWEEP = "sweep.json"
#: What makes a key of each kind.
KEYS = {"ordinary": as_key, "fast": fast}


#: The form of a run's folder. 2: a checkpoint holds its run's identity. Folders of form 1 are read as well.
SCHEMA = 2


class RunError(Exception):
    """A run that cannot be started, read or resumed; the message is one sentence for a person."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides a run; kept in the run's folder as `config.json`."""

    algorithm: str
    #: A registered id, or where the class is: "/home/me/my_env.py:MyEnv".
    env: str
    #: Constants of the environment that differ from its defaults.
    constants: dict
    #: Constants that differ further while training.
    training: dict
    #: Whether the learning curve's evaluations use the constants of training.
    curve_as_trained: bool
    #: The algorithm's `Config`.
    config: Any
    total_steps: int
    seed: int
    #: A mean return of the learning curve's evaluation, 1024 full episodes, at which the run ends early.
    until: float | None = None
    #: The kind of random keys, one of `KEYS`.
    keys: str = "ordinary"
    #: Values that change along the run; see `schedule`.
    schedule: list = dataclasses.field(default_factory=list)

    def key(self, seed):
        """A key of the run's kind."""
        return KEYS[self.keys](jax.random.key(seed))

    @property
    def name(self):
        """The environment's name for titles and folders."""
        return class_name(self.env)

    @property
    def steps_per_update(self):
        return ALGORITHMS[self.algorithm].steps_per_update(self.config)

    def steps_after(self, updates):
        """Environment steps that the run has made after this number of updates, with those of its warm-up."""
        return ALGORITHMS[self.algorithm].warmup_steps(self.config) + int(updates) * self.steps_per_update

    @property
    def num_updates(self):
        """Updates of the run: what its warm-up leaves of total_steps, rounded up to full updates."""
        return -((self.steps_after(0) - self.total_steps) // self.steps_per_update)

    def training_envs(self):
        return jaxenvs.make_vec(self.env, self.config.num_envs, **{**self.constants, **self.training})

    def evaluation_envs(self, episodes, **constants):
        return jaxenvs.make_vec(self.env, episodes, **{**self.constants, **constants})


def claim(folder):
    """Makes a new folder; refuses one that holds anything, with a RunError: no run is ever overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {path for path in folder.iterdir() if path.name != ".lock"} - {*unfinished_files(folder)}
    except OSError as error:
        raise RunError(f"{folder} cannot be used as a run's folder: {error.strerror}") from error
    if taken:
        raise RunError(
            f"{folder} already holds a run, and nothing in it was changed: choose another --out, or continue it with "
            f"`{command('resume', folder)}`"
        )


def free_folder(plan_name, root="runs"):
    """Makes the first of `root/name-1`, `root/name-2`, … that does not exist; no other process gets the same one."""
    number = 1
    while True:
        folder = Path(root) / f"{plan_name}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise RunError(f"{folder} cannot be used as a run's folder: {error.strerror}") from error


def write_plan(plan, folder):
    with replacing(folder / "config.json") as file:
        file.write((json.dumps(stored_form(plan), indent=2) + "\n").encode())


def stored_form(plan):
    """A plan as a dict for JSON, with the versions and the device that it is for."""
    stored = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    stored["config"] = dataclasses.asdict(plan.config)
    stored["schema"] = SCHEMA
    stored["versions"] = {"python": platform.python_version(), "jax": jax.__version__, "jaxenvs": jaxenvs.__version__}
    stored["device"] = jax.devices()[0].device_kind
    return stored


def read_plan(folder):
    """The `Plan` of a run's folder.

    Raises:
        RunError: if the folder holds none, or one that cannot be read.
    """
    path = Path(folder) / "config.json"
    if (path.parent / SWEEP).is_file():
        raise RunError(
            f"{folder} holds a sweep, not a run: train.load({str(folder)!r}, member=N) loads one of its members"
        )
    if not path.is_file():
        what = f"no {path.name} in it" if path.parent.is_dir() else "no such folder"
        raise RunError(f"{folder} holds no run: there is {what}")
    try:
        return plan_from(json.loads(path.read_text()), path)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{path} is damaged, or of another version: {error!r}") from error


def plan_from(stored, path):
    """The `Plan` of a `stored_form`.

    Args:
        stored: what the JSON holds.
        path: of the file, for messages.
    Raises:
        RunError: if it is none.
    """
    try:
        schema = stored.get("schema", 1) if isinstance(stored, dict) else 1
        if schema not in range(1, SCHEMA + 1):
            raise RunError(f"{path} has schema {schema!r}, and this version of jaxenvs reads 1 to {SCHEMA}")
        plan = checked(stored, ALGORITHMS, KEYS)
        return Plan(**{**plan, "config": _config(path, ALGORITHMS[plan["algorithm"]], plan["config"])})
    except TypeError as error:
        raise RunError(f"{path} is damaged, or of another version: {error!r}") from error
    except StoredError as error:
        raise RunError(f"{path} is damaged, or of another version: {error}") from error


def _config(path, algorithm, values):
    try:
        return algorithm.Config(**values)
    except ValueError as error:
        raise RunError(f"{path}: {error}") from error
