"""The checkpoints of a run's folder: which one is read, and what is done where the newest is damaged."""

import contextlib
import functools
import sys
from pathlib import Path

import jax

from jaxenvs.loading import LoadError

from ..presets import ALGORITHMS
from . import checkpoint, files, sound
from .plan import RunError, read_plan

#: A run's checkpoints: the newest, and that with the best evaluation of the learning curve.
STATE, BEST = "state.npz", "best.npz"
# As many older checkpoints are looked for.
_MOST_KEPT = 1000


def read(folder, name=STATE):
    """(Plan, state, path) of a run, as a checkpoint has it; `path` is the checkpoint that was read.

    Where the newest checkpoint is missing or damaged, the one before it is read, which is said on the standard error.

    Args:
        folder: the run's folder.
        name: `STATE`, the newest checkpoint, or `BEST`, whose replay buffer is None.
    Raises:
        RunError: if the folder holds no run, or none that can be read.
    """
    plan = read_plan(folder)
    path = Path(folder) / name
    try:
        like = jax.eval_shape(ALGORITHMS[plan.algorithm].init, plan.config, plan.training_envs(), plan.key(0))
        if name == BEST:
            state, used, damage = _best(path, like)
        else:
            state, used, damage = _readable(path, like)
    except LoadError as error:
        fix = f'restore it, or set "env" in {Path(folder) / "config.json"} to its new path'
        raise RunError(f"{folder} was trained on an environment that cannot be loaded: {error}; {fix}") from error
    except (checkpoint.CheckpointError, ValueError, TypeError) as error:
        raise RunError(str(error)) from error
    if damage:
        steps = f"{plan.steps_after(state.updates):,} steps"
        _warn_once(f"{damage}; the one before it is used instead: {used.name} of {steps}")
    if int(state.updates) < 0:
        raise RunError(f"{used}: updates must be at least 0, got {int(state.updates)}")
    if broken := sound.broken(state):
        raise RunError(f"{used}: {broken[0]} is not finite, so this checkpoint cannot be used")
    return plan, state, used


def without_replay(state):
    """A training state whose replay buffer, if there is one, is None."""

    def kept(path, leaf):
        return None if "replay" in {getattr(entry, "name", None) for entry in path} else leaf

    return jax.tree_util.tree_map_with_path(kept, state)


def _best(path, like):
    """As `_readable`, of the best checkpoint; earlier versions kept the replay buffer in it."""
    try:
        return _readable(path, without_replay(like))
    except checkpoint.Damaged:
        raise
    except checkpoint.CheckpointError:
        state, used, damage = _readable(path, like)
        return without_replay(state), used, damage


def _readable(path, like):
    """(state, path, damage) of the newest checkpoint that can be read; what is wrong with newer ones, or None."""
    try:
        return checkpoint.load(path, like), path, None
    except checkpoint.Damaged as error:
        damage = error
    for age in range(1, _MOST_KEPT):
        older = files.older(path, age)
        if not older.exists():
            break
        with contextlib.suppress(checkpoint.Damaged):
            return checkpoint.load(older, like), older, damage
    raise damage


@functools.cache
def _warn_once(text):
    """A command may read a checkpoint several times."""
    print(f"warning: {text}", file=sys.stderr)


def put_aside(path):
    """Renames a damaged checkpoint, so that no save makes it the one before the newest; returns its new path."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    return aside
