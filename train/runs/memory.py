"""Estimates of memory, so that sizes that cannot fit are refused before anything is made."""

import math
from pathlib import Path

import jax

from jaxenvs import VectorEnv

# Copies of a batch's states that a loop over steps holds: old, new, those of fresh episodes, and its results.
_COPIES = 4
_LARGEST = 2**31 - 1


def check_episodes(plan, episodes):
    """Refuses episodes that cannot be played in parallel on this machine.

    Raises:
        ValueError: with the number, what it needs and what there is.
    """
    if episodes > _LARGEST:
        raise ValueError(f"--episodes must be at most {_LARGEST:,}, got {episodes:,}")
    one = jax.eval_shape(VectorEnv.reset, plan.evaluation_envs(1), jax.random.key(0))
    check_fits(f"--episodes {episodes}", episodes * _COPIES * num_bytes(one))


def check_run(plan):
    """Refuses a run whose counts overflow, or whose state cannot be held on this machine.

    Raises:
        ValueError: with the number, what it needs and what there is.
    """
    if plan.num_updates > _LARGEST:
        most = _LARGEST * plan.steps_per_update
        raise ValueError(f"--total-steps must be at most {most:,} for this configuration, got {plan.total_steps:,}")
    if plan.config.num_envs > _LARGEST:
        raise ValueError(f"num_envs must be at most {_LARGEST:,}, got {plan.config.num_envs:,}")
    one = jax.eval_shape(VectorEnv.reset, plan.evaluation_envs(1), jax.random.key(0))
    # Each step of an update keeps at least its observation and its reward.
    kept = num_bytes(one[1]) + 4
    size = plan.config.num_envs * _COPIES * num_bytes(one) + plan.steps_per_update * kept
    check_fits(f"num_envs={plan.config.num_envs} and {plan.steps_per_update:,} steps an update", size)


def check_fits(what, size):
    """Refuses a number of bytes that is more than the memory.

    Raises:
        ValueError: naming what needs it.
    """
    there = memory()
    if there is not None and size > there:
        raise ValueError(f"{what} would need at least {_shown(size)} of memory, and this machine has {_shown(there)}")


def num_bytes(tree):
    """The size of a pytree of arrays or shapes; a key counts as its data does, two words."""

    def one(leaf):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return math.prod(leaf.shape) * (8 if is_key else leaf.dtype.itemsize)

    return sum(map(one, jax.tree.leaves(tree)))


def memory():
    """Bytes of memory of JAX's device, or of the machine for a CPU; None where it is unknown."""
    stats = jax.devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"]
    try:
        (line,) = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None


def _shown(size):
    return f"{size / 1e9:,.3g} GB" if size < 1e12 else f"{size / 1e12:,.4g} TB"
