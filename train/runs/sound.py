"""Which arrays of a training state are not finite, and what that means."""

import jax
import jax.numpy as jnp
import numpy as np

from ..output import command
from . import hosts
from .plan import RunError

# Parts of a state that are large, or whose environments may hold what they like.
_NOT_LOOKED_AT = {"env_state", "obs", "recent", "replay"}
# Running statistics, and what it means if they are the first to go.
_FROM_OUTSIDE = {"return_moments": "rewards", "discounted": "rewards", "obs_moments": "observations"}


class Diverged(RunError):
    """A run that ended because its state is not finite any more."""


def broken(state):
    """The names of the arrays of a training state that hold NaN or infinity.

    Environments, observations and a replay buffer are not looked at.

    Args:
        state: a pytree with the fields of a `TrainState`.
    Returns:
        list of str, such as `.params.actor['body']['layer_0']['kernel']`; empty if all is well.

    >>> import collections, numpy as np
    >>> State = collections.namedtuple("State", "params updates")
    >>> broken(State({"w": np.array([1.0, np.nan])}, np.int32(3)))
    [".params['w']"]
    """
    leaves = [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and looked_at(path)
    ]
    flags = hosts.any_of([not _finite(leaf) for _, leaf in leaves])
    return [name for (name, _), flag in zip(leaves, flags, strict=True) if flag]


def _finite(leaf):
    """Whether an array is finite, of one that several processes share this one's part."""
    # NumPy compiles nothing, and a checkpoint brings these arrays to the host in any case.
    parts = [leaf] if getattr(leaf, "is_fully_addressable", True) else [x.data for x in leaf.addressable_shards]
    return all(np.isfinite(np.asarray(part, np.float32)).all() for part in parts)


def cause(names):
    """What was not finite first: rewards, observations, or None if it was the learner itself.

    Args:
        names: of `broken`, after the first update after which there were any. The update played with a finite policy,
            so that statistics of rewards or observations that are broken come from the environment.
    Returns:
        str or None.

    >>> cause([".params['w']", ".return_moments.mean"])
    'rewards'
    """
    for field, meaning in _FROM_OUTSIDE.items():
        if any(f".{field}" in name for name in names):
            return meaning
    return None


def diverged(plan, folder, names, steps, kept):
    """The `Diverged` to raise.

    Args:
        plan: `Plan`.
        folder: the run's folder.
        names: of `broken`.
        steps: environment steps after which these arrays were broken.
        kept: environment steps of the checkpoint that is left.
    """
    found = f"the run diverged at {steps:,} steps: "
    outside = cause(names)
    if outside:
        found += f"{outside} of {plan.env} were not finite; look for their cause with `{command('check', plan.env)}`"
    else:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} other arrays" if len(names) > 3 else "")
        rate = f", which is {float(plan.config.learning_rate):g} here" if hasattr(plan.config, "learning_rate") else ""
        found += f"{shown} are not finite; train again with a lower --learning-rate{rate}"
    return Diverged(
        f"{found}. The state of {kept:,} steps is kept in {folder}: evaluate, record and train.load use it, and resume "
        "continues from it"
    )


def looked_at(path):
    """Whether an array of a training state has to be finite.

    Args:
        path: of `jax.tree_util.tree_leaves_with_path`.
    """
    return not _NOT_LOOKED_AT & {getattr(entry, "name", getattr(entry, "key", None)) for entry in path}
