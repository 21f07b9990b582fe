"""The driver: chunks of updates on the device, and between them a progress bar, figures, evaluation and saving."""

import contextlib
import dataclasses
import json
import math
import platform
import signal
import time
from pathlib import Path
from typing import Any

import jax

import jaxenvs
from jaxenvs.entries import EntryError, class_name
from jaxenvs.random import as_key, fast
from train import checkpoint
from train.devices import mesh_of
from train.evaluate import evaluate, summary
from train.log import Log, Progress, read_rows
from train.presets import ALGORITHMS
from train.programs import Programs

# Chunks of a run: the bar moves, the state is saved and the policy evaluated so many times.
_CHUNKS = 40


#: What makes a key of each kind.
KEYS = {"ordinary": as_key, "fast": fast}


class RunError(Exception):
    """A run that cannot be begun, read or gone on with; the message is one sentence for a person."""


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
    #: A mean return of the learning curve's evaluation, 1024 whole episodes, at which the run ends before its time.
    until: float | None = None
    #: The kind of random keys, one of `KEYS`.
    keys: str = "ordinary"

    def key(self, seed):
        """A key of the run's kind."""
        return KEYS[self.keys](jax.random.key(seed))

    @property
    def name(self):
        """The environment's name for titles and folders."""
        return class_name(self.env)

    @property
    def steps_per_update(self):
        return self.config.num_envs * self.config.num_steps

    @property
    def num_updates(self):
        """Updates of the whole run: total_steps, rounded up to whole updates."""
        return -(-self.total_steps // self.steps_per_update)

    def training_envs(self):
        return jaxenvs.make_vec(self.env, self.config.num_envs, **{**self.constants, **self.training})

    def evaluation_envs(self, episodes, **constants):
        return jaxenvs.make_vec(self.env, episodes, **{**self.constants, **constants})


def begin(plan, folder, *, quiet=False, devices=1):
    """Starts a run in a new folder, and sees it to its end or to Ctrl-C.

    Args:
        plan: `Plan`.
        folder: a folder that does not exist yet or is empty.
        quiet: show no progress.
        devices: how many share the work; figures depend on it by rounding only.
    Returns:
        True if the run came to its end, False if it was stopped.
    Raises:
        RunError: if the folder holds something.
        ValueError: for a configuration that cannot be, or devices that cannot share it or are not there.
    """
    folder = Path(folder)
    algorithm = ALGORITHMS[plan.algorithm]
    algorithm.check(plan.config)
    mesh = _mesh(plan, devices)
    if plan.evaluation_envs(1).max_episode_steps is None:
        raise RunError(
            f"{plan.name} has no time limit, which its evaluation needs: give the class, or its registration, "
            "max_episode_steps"
        )
    began = time.perf_counter()
    with contextlib.closing(Programs(plan, mesh)) as programs:
        state = programs.begin()
        claim(folder)
        write_plan(plan, folder)
        # A run that is killed before its first chunk can then be resumed as well.
        checkpoint.save(folder / "state.npz", state)
        return _go_on(plan, folder, state, Log(folder), quiet, programs, began)


def resume(folder, *, quiet=False, devices=1):
    """Goes on with a run from its last checkpoint, as if it had never been stopped.

    Args, Returns: as for `begin`.
    Raises:
        RunError: if the folder holds no run, or a damaged one.
    """
    plan, state = read(folder)
    mesh = _mesh(plan, devices)
    began = time.perf_counter()
    with contextlib.closing(Programs(plan, mesh)) as programs:
        log = Log(folder, upto=int(state.updates) * plan.steps_per_update)
        return _go_on(plan, Path(folder), state, log, quiet, programs, began)


def read_figures(folder):
    """The rows of a run's figures so far."""
    return read_rows(Path(folder) / "metrics.jsonl")


def reached(plan, rows):
    """Whether the last of the figures is the return that the run was to go on until."""
    return plan.until is not None and bool(rows) and rows[-1].get("eval_mean", -math.inf) >= plan.until


def _mesh(plan, devices):
    ALGORITHMS[plan.algorithm].check_devices(plan.config, devices)
    return mesh_of(devices)


def claim(folder):
    """Makes a new folder; refuses one that holds anything, with a RunError: no run is ever overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise RunError(f"{folder} cannot be made into a run's folder: {error.strerror}") from error
    if taken:
        raise RunError(
            f"{folder} holds a run already, which is left as it is: choose another --out, or "
            f"`python -m train resume {folder}`"
        )


def free_folder(plan_name, root="runs"):
    """The first of `root/name-1`, `root/name-2`, … that does not exist."""
    number = 1
    while (Path(root) / f"{plan_name}-{number}").exists():
        number += 1
    return Path(root) / f"{plan_name}-{number}"


def write_plan(plan, folder):
    text = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    text["config"] = dataclasses.asdict(plan.config)
    text["versions"] = {"python": platform.python_version(), "jax": jax.__version__, "jaxenvs": jaxenvs.__version__}
    text["device"] = jax.devices()[0].device_kind
    (folder / "config.json").write_text(json.dumps(text, indent=2) + "\n")


def read_plan(folder):
    """The `Plan` of a run's folder.

    Raises:
        RunError: if the folder holds none, or one that cannot be read.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise RunError(f"{folder} holds no run: there is no {path.name} in it")
    try:
        stored = json.loads(path.read_text())
        algorithm = ALGORITHMS[stored["algorithm"]]
        config = {k: tuple(v) if isinstance(v, list) else v for k, v in stored["config"].items()}
        names = {field.name for field in dataclasses.fields(Plan)}
        plan = {**{k: v for k, v in stored.items() if k in names}, "config": algorithm.Config(**config)}
        if not (isinstance(plan["total_steps"], int) and isinstance(plan["seed"], int)):
            raise TypeError("total_steps and seed must be whole numbers")
        if not isinstance(plan.get("until"), int | float | None):
            raise TypeError("until must be a number, or null")
        if plan.get("keys", "ordinary") not in KEYS:
            raise TypeError(f"keys must be one of {list(KEYS)}, got {plan['keys']!r}")
        return Plan(**plan)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is damaged, or of another version: {error!r}") from error


def read(folder):
    """(Plan, state) of a run, as its last checkpoint has it.

    Raises:
        RunError: if the folder holds no run, or a damaged one.
    """
    plan = read_plan(folder)
    try:
        like = jax.eval_shape(ALGORITHMS[plan.algorithm].init, plan.config, plan.training_envs(), plan.key(0))
        return plan, checkpoint.load(Path(folder) / "state.npz", like)
    except EntryError as error:
        mend = f'put it back, or write its new place as "env" into {Path(folder) / "config.json"}'
        raise RunError(f"{folder} was trained on an environment that cannot be loaded: {error}; {mend}") from error
    except (checkpoint.CheckpointError, ValueError, TypeError) as error:
        raise RunError(str(error)) from error


def evaluate_run(plan, state, *, episodes, seed, stochastic=False, constants=None):
    """Evaluates a trained policy in the environment as it is, whatever it was trained on.

    Returns:
        (Episodes, dict): the raw results, and their `summary`.
    """
    envs = plan.evaluation_envs(episodes, **(constants or {}))
    algorithm = ALGORITHMS[plan.algorithm]

    @jax.jit
    def whole(config, envs, state, key):
        return evaluate(envs, algorithm.policy(config, envs, state, greedy=not stochastic), key)

    results = whole(plan.config, envs, state, plan.key(seed))
    return results, summary(results)


def _go_on(plan, folder, state, log, quiet, programs, began):
    chunk = max(1, round(plan.num_updates / _CHUNKS))
    progress = Progress(
        plan.num_updates * plan.steps_per_update, done=int(state.updates) * plan.steps_per_update, quiet=quiet
    )
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        stack.callback(progress.close)
        state = programs.placed(state)
        programs.wait()
        progress.say(f"compiled in {time.perf_counter() - began:.1f} s, devices: {programs.devices}")
        interrupt = stack.enter_context(_Interrupt())
        while int(state.updates) < plan.num_updates and not (reached(plan, log.rows) or interrupt.asked):
            count = min(chunk, plan.num_updates - int(state.updates))
            began = time.perf_counter()
            state, sums = jax.block_until_ready(programs.advance(state, count))
            seconds = time.perf_counter() - began
            row = _row(plan, state, sums, count, seconds) | programs.assess(state)
            log.write(row)
            checkpoint.save(folder / "state.npz", state)
            progress.advance(count * plan.steps_per_update, row)
        if reached(plan, log.rows):
            last = log.rows[-1]
            progress.say(f"a return of {plan.until:g} is reached: {last['eval_mean']:.6g} at {last['steps']:,} steps")
            return True
    return int(state.updates) >= plan.num_updates


def _row(plan, state, sums, count, seconds):
    """The figures of a chunk: means over its updates, and over the episodes that ended in it."""
    sums = {name: float(value) for name, value in sums.items()}
    episodes = sums.pop("episodes")
    returns, lengths = sums.pop("return_sum"), sums.pop("length_sum")
    steps = count * plan.steps_per_update
    row = {"steps": int(state.updates) * plan.steps_per_update, "steps_per_second": steps / seconds}
    if episodes:
        row |= {"return_mean": returns / episodes, "length_mean": lengths / episodes, "episodes": episodes}
    return row | {name: value / count for name, value in sums.items()}


class _Interrupt:
    """While open, the first Ctrl-C (or SIGTERM) only sets `asked`; the second one stops at once."""

    def __enter__(self):
        self.asked = False
        self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
