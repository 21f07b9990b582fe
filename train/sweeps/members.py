"""What is kept of trained members: their curves, and of their states what their policies need."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..output import command
from ..presets import ALGORITHMS
from ..runs import checkpoint
from ..runs.plan import RunError
from ..runs.sound import looked_at
from .lineage import last_settings
from .stored import read_sweep

#: The files of a sweep's folder: a chunk by its number, and the winner's fresh runs.
CHUNKS, WINNER = "chunks", "winner.npz"


class Trained(NamedTuple):
    """The curves of a chunk's members."""

    #: i64[points], environment steps at the evaluations.
    steps: np.ndarray
    #: f32[points, members], mean returns; those of a population's member are of the runs that its weights come from.
    returns: np.ndarray
    #: bool[members], whether a member's learner stayed finite.
    finite: np.ndarray


def chunk_path(folder, number):
    """The file of a chunk; it exists once all its members are trained."""
    return Path(folder) / CHUNKS / f"{number:05}.npz"


def write_members(path, trained, states, trials):
    """Writes what is kept of some members, completely or not at all.

    Args:
        path: the file; its folder exists.
        trained: `Trained`.
        states: the algorithm's states, arrays [members or more, ...].
        trials: the number of each member's trial.
    """
    write_policies(path, trained, policies_of(states), trials)


def policies_of(states):
    """What policies need of the states of some lanes, a dict of name to NumPy array [lanes, ...]."""
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(states)
        if _is_kept(path, leaf)
    }


def write_policies(path, trained, policies, trials, first=0):
    """As `write_members`, from what `policies_of` returned.

    Args:
        first: the lane of the first member; the others follow.
    """
    lanes = slice(first, first + len(trained.finite))
    kept = {name: array[lanes] for name, array in policies.items()}
    checkpoint.save(path, {"curves": trained._asdict(), "policies": kept, "trials": np.array(trials)})


def read_curves(path):
    """The `Trained` of a file.

    Raises:
        RunError: if it cannot be read.
    """
    arrays = _arrays(path)
    try:
        return Trained(*(arrays[f"['curves']['{name}']"] for name in Trained._fields))
    except KeyError as error:
        raise RunError(f"{path} lacks {error}: it was written by another version") from error


def read_member(folder, member):
    """A member's run, with as much of its state as its policy needs.

    Args:
        folder: the sweep's folder.
        member: its number; the winner's fresh runs follow the others.
    Returns:
        (Plan, state): what is not kept, such as a replay buffer, is None in the state. The plan of a population's
        member has the values that it had at its end.
    Raises:
        ValueError: for a number that the sweep does not have.
        RunError: if the member is not trained yet, or its file is damaged.
    """
    sweep = read_sweep(folder)
    if not 0 <= member < sweep.num_members + sweep.confirm:
        raise ValueError(f"member must be from 0 to {sweep.num_members + sweep.confirm - 1}, got {member}")
    if member < sweep.num_members:
        (chunk,) = [chunk for chunk in sweep.chunks() if member in chunk.members]
        path, lane = chunk_path(folder, chunk.number), chunk.members.index(member)
    else:
        path, lane = Path(folder) / WINNER, member - sweep.num_members
    if not path.is_file():
        raise RunError(f"member {member} of {folder} is not trained yet: {command('resume', folder)}")
    arrays = _arrays(path)
    plan = sweep.plan_of(last_settings(sweep, folder)[int(arrays["['trials']"][lane])], member)
    like = jax.eval_shape(ALGORITHMS[plan.algorithm].init, plan.config, plan.training_envs(), plan.key(0))
    leaves = [_leaf(path, arrays, lane, *one) for one in jax.tree_util.tree_leaves_with_path(like)]
    return plan, jax.tree.unflatten(jax.tree.structure(like), leaves)


def _leaf(file, arrays, lane, path, like):
    if not _is_kept(path, like):
        return None
    name = f"['policies'][{jax.tree_util.keystr(path)!r}]"
    if name not in arrays or arrays[name].shape[1:] != like.shape:
        raise RunError(f"{file} lacks {name}: it was written by another version, or with other hyperparameters")
    return jnp.asarray(arrays[name][lane])


def _is_kept(path, leaf):
    """Whether a policy may need an array of a state: not environments, a replay buffer, an optimiser and keys."""
    names = {str(getattr(entry, "name", getattr(entry, "key", ""))) for entry in path}
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return looked_at(path) and not is_key and not any("optimiser" in name for name in names)


def _arrays(path):
    try:
        return checkpoint.read_arrays(path)
    except checkpoint.CheckpointError as error:
        raise RunError(f"{error}; remove it, and resume trains its members again") from error
