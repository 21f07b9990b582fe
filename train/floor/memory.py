"""Sizes in bytes and the memory of this machine, so that what cannot fit is refused before it is made."""

import math
from pathlib import Path

import jax


def check_fits(what, size):
    """Refuses a number of bytes that is more than the memory.

    Raises:
        ValueError: naming what needs it, the bytes needed and those that the machine has.
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
