"""The driver: chunks of updates on the device, and between them a progress bar, figures, evaluation and saving."""

import contextlib
import dataclasses
import functools
import math
import time
from pathlib import Path

import jax
import numpy as np

from ..floor.episodes import merged
from ..floor.evaluate import evaluate, summary
from ..floor.sharding import mesh_of
from ..presets import ALGORITHMS
from . import files, hosts, memory, sound, states
from .identity import identity, require_same, require_same_in_all
from .lock import locked
from .log import Log, Progress, Rows, read_rows
from .plan import RunError, claim, read_plan, stored_form, write_plan
from .programs import Programs
from .saver import Saver
from .schedule import updates_until_change
from .signals import Ending as Ending
from .signals import Interrupt
from .states import BEST as BEST
from .states import STATE
from .tracker import Tracker

# Chunks of a run: after each, the bar moves, the state is saved and the policy is evaluated.
_CHUNKS = 40


def begin(plan, folder, *, quiet=False, devices=1, save_every=30.0, keep=2, tracker=None):
    """Starts a run in a new folder, and trains to its end or until Ctrl-C.

    Args:
        plan: `Plan`.
        folder: a folder that does not exist yet or is empty.
        quiet: show no progress.
        devices: how many share the work, of all processes; results depend on it only by rounding.
        save_every: seconds between two checkpoints, at most; a run also saves at points of its curve.
        keep: how many of the newest checkpoints are kept, at least 1.
        tracker: a module or its name, as `tracker.Tracker` takes it; None for none.
    Returns:
        `Ending`.
    Raises:
        RunError: if the folder holds something, or is being trained by another process, or if the run diverges.
        ValueError: for a configuration that cannot be, or devices that cannot share it or are not there, or what is no
            tracker.
    """
    folder, tracker = Path(folder), Tracker(tracker)
    mesh = _mesh(plan, devices)
    if plan.evaluation_envs(1).max_episode_steps is None:
        raise RunError(
            f"{plan.name} has no time limit, which its evaluation needs: give the class, or its registration, "
            "max_episode_steps"
        )
    now = identity(plan, devices)
    require_same_in_all(now)
    began = time.perf_counter()
    with contextlib.closing(Programs(plan, mesh)) as programs:
        state = programs.begin()
        with hosts.only_first(lambda: _claimed(folder)):
            if hosts.first():
                write_plan(plan, folder)
            saver = Saver(folder, now, save_every, keep)
            # A run that is killed before its first chunk can then be resumed as well.
            saver.save(state)
            if hosts.first():
                tracker.begin(folder.resolve().name, stored_form(plan))
            log = Log(folder, tracker=tracker) if hosts.first() else Rows()
            return _run_on(plan, folder, state, log, quiet, programs, began, saver)


@contextlib.contextmanager
def _claimed(folder):
    """A new folder, and its lock; looked at again under the lock, which another process may have had."""
    claim(folder)
    with locked(folder):
        claim(folder)
        _remove(files.unfinished_files(folder))
        yield


@contextlib.contextmanager
def _locked(folder):
    """The lock of a run's folder, without what saves that were killed have left in it."""
    with locked(folder):
        _remove(files.unfinished_files(folder))
        yield


def _remove(paths):
    for path in paths:
        path.unlink(missing_ok=True)


def resume(
    folder, *, quiet=False, devices=1, total_steps=None, save_every=30.0, keep=2, accept_changes=False, tracker=None
):
    """Resumes a run from its last checkpoint, as if it had never been stopped.

    A run that was killed before its first checkpoint starts from its seed. What has changed since the checkpoint was
    saved is said on the standard error: versions, devices, and the length of the run.

    Args, Returns: as for `begin`.
        total_steps: prolongs the run: its steps, those that it has made included. Schedules whose length is that of the
            run then have the new length, from the next update on.
        accept_changes: resume although the environment's file, the seed or a hyperparameter has changed.
    Raises:
        RunError: if the folder holds no run, or a damaged one, if it cannot be prolonged to so few steps, or if it has
            changed in a way that makes another experiment of it.
    """
    folder, tracker = Path(folder), Tracker(tracker)
    read_plan(folder)
    with hosts.only_first(lambda: _locked(folder)):
        plan, state, used = _read_or_begun(folder)
        hosts.require_same(int(state.updates), f"checkpoints in {folder}")
        now = identity(plan, devices)
        require_same_in_all(now)
        if used:
            require_same(folder, used, now, accept_changes)
        if total_steps is not None:
            plan = _prolonged(plan, folder, plan.steps_after(state.updates), total_steps)
            now["total_steps"] = total_steps
        mesh = _mesh(plan, devices)
        began = time.perf_counter()
        with contextlib.closing(Programs(plan, mesh)) as programs:
            if total_steps is not None and hosts.first():
                write_plan(plan, folder)
            if hosts.first() and used and used != folder / STATE and (folder / STATE).exists():
                states.put_aside(folder / STATE)
            saver = Saver(folder, now, save_every, keep)
            if used == folder / STATE:
                saver.found(state)
            if used is None:
                # As in `begin`: figures without a checkpoint would be taken for a run that has lost it.
                saver.save(state)
            if hosts.first():
                tracker.begin(folder.resolve().name, stored_form(plan))
            upto = plan.steps_after(state.updates)
            log = Log(folder, upto=upto, tracker=tracker) if hosts.first() else Rows(folder, upto=upto)
            return _run_on(plan, folder, state, log, quiet, programs, began, saver)


def _read_or_begun(folder):
    """(Plan, state, path of the checkpoint); the initial state and None if the run was killed before it saved any."""
    if any((folder / name).exists() for name in (STATE, files.older(STATE, 1), "metrics.jsonl")):
        return states.read(folder)
    plan = read_plan(folder)
    algorithm = ALGORITHMS[plan.algorithm]
    with contextlib.closing(Programs(plan, None)) as programs:
        algorithm.check(plan.config)
        return plan, programs.begin(), None


def _prolonged(plan, folder, done, total_steps):
    if reached(plan, read_figures(folder)):
        raise RunError(
            f"{folder} cannot be prolonged: it ended at {done:,} steps because it reached a return of {plan.until:g}"
        )
    if total_steps <= done:
        raise RunError(f"--total-steps must be above the {done:,} steps that {folder} has made, got {total_steps:,}")
    return dataclasses.replace(plan, total_steps=total_steps)


def read_figures(folder):
    """The rows of a run's figures so far."""
    return read_rows(Path(folder) / "metrics.jsonl")


def reached(plan, rows):
    """Whether the last of the figures is the return at which the run ends early; row 0, untrained, is not."""
    last = rows[-1] if rows else {"steps": 0}
    return plan.until is not None and last["steps"] > 0 and last.get("eval_mean", -math.inf) >= plan.until


def _mesh(plan, devices):
    memory.check_updates(plan)
    ALGORITHMS[plan.algorithm].check(plan.config, devices)
    return mesh_of(devices, hosts.count())


def read(folder, name=STATE):
    """(Plan, state) of a run, as a checkpoint has it: `STATE`, the last one, or `BEST`.

    Raises:
        RunError: if the folder holds no run, or a damaged one.
    """
    return states.read(folder, name)[:2]


def evaluate_run(plan, state, *, episodes, seed, stochastic=False, constants=None):
    """Evaluates a trained policy in the environment as it is, whatever it was trained on.

    Returns:
        (Episodes, dict): the raw results, and their `summary`.
    """
    envs = plan.evaluation_envs(episodes, **(constants or {}))
    results = _play(ALGORITHMS[plan.algorithm], not stochastic, plan.config, envs, state, plan.key(seed))
    return results, summary(results)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _play(algorithm, greedy, config, envs, state, key):
    """One program for all evaluations of the same shapes: another state, or other constants, compile nothing."""
    return evaluate(envs, algorithm.policy(config, envs, state, greedy=greedy), key)


def _run_on(plan, folder, state, log, quiet, programs, began, saver):
    chunk = max(1, round(plan.num_updates / _CHUNKS))
    quiet = quiet or not hosts.first()
    progress = Progress(plan.steps_after(plan.num_updates), done=plan.steps_after(state.updates), quiet=quiet)
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        stack.callback(progress.close)
        state = programs.placed(state)
        programs.wait()
        where = f" of {hosts.count()} processes" if hosts.several() else ""
        progress.say(f"compiled in {time.perf_counter() - began:.1f} s, devices: {programs.devices}{where}")
        if log.damaged:
            lines = ", ".join(map(str, log.damaged))
            progress.say(
                f"these lines of {log.path} cannot be read: {lines}; the file as it was is kept as {log.path.name}.bak"
            )
        interrupt = stack.enter_context(Interrupt())
        if not log.rows and int(state.updates) == 0:
            log.write({"steps": 0} | programs.assess(state))
        saver.keep_if_best(state, log.rows)
        while int(state.updates) < plan.num_updates and not (reached(plan, log.rows) or interrupt.asked()):
            done = int(state.updates)
            # After a stop in the middle of a chunk, the next one ends where it would have.
            end = min(done - done % chunk + chunk, plan.num_updates)
            state, metrics, seconds = _advanced(plan, folder, state, end, programs, interrupt, saver)
            count = int(state.updates) - done
            row = _row(plan, state, metrics, count, seconds) | programs.assess(state)
            log.write(row)
            saver.save_if_cheap(state)
            saver.keep_if_best(state, log.rows)
            progress.advance(count * plan.steps_per_update, row)
        saver.save(state)
        if reached(plan, log.rows):
            last = log.rows[-1]
            progress.say(f"a return of {plan.until:g} is reached: {last['eval_mean']:.6g} at {last['steps']:,} steps")
            return Ending.FINISHED
    return Ending.FINISHED if int(state.updates) >= plan.num_updates else interrupt.ending


def _advanced(plan, folder, state, end, programs, interrupt, saver):
    """(state, merged metrics, seconds) after updates up to number `end`, or fewer if a signal stops them.

    Raises:
        Diverged: where the state is not finite any more; the last checkpoint stays.
    """
    total, seconds = None, 0.0
    while int(state.updates) < end and not (total is not None and interrupt.asked()):
        count = min(saver.updates(end - int(state.updates)), updates_until_change(plan, int(state.updates)))
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(programs.advance(state, count))
        took = time.perf_counter() - began
        saver.update, seconds = took / count, seconds + took
        # In 64 bits: a device's sums of 32 bits lose steps beyond 2**24.
        metrics = jax.tree.map(lambda x: np.asarray(x, np.float64), metrics)
        total = metrics if total is None else merged(total, metrics)
        if sound.broken(state):
            raise _diverged(plan, folder, programs)
        if saver.due:
            saver.save(state)
    return state, total, seconds


def _diverged(plan, folder, programs):
    """The error of a run that diverges after its last checkpoint: that much is trained again, one update at a time."""
    _, state = read(folder)
    kept, state = plan.steps_after(state.updates), programs.placed(state)
    names = []
    while not names and int(state.updates) < plan.num_updates:
        state, _ = programs.advance(state, 1)
        names = sound.broken(state)
    return sound.diverged(plan, folder, names, plan.steps_after(state.updates), kept)


def _row(plan, state, metrics, count, seconds):
    """The figures of a chunk: over the episodes that ended in it, and means over its updates."""
    metrics = jax.tree.map(float, metrics)
    steps = count * plan.steps_per_update
    row = {"steps": plan.steps_after(state.updates), "steps_per_second": steps / seconds}
    if metrics.episodes:
        row |= {
            "return_mean": metrics.return_sum / metrics.episodes,
            "return_min": metrics.return_min,
            "return_max": metrics.return_max,
            "length_mean": metrics.length_sum / metrics.episodes,
            "episodes": metrics.episodes,
        }
    return row | {name: total / count for name, total in metrics.means.items()}
