"""How close to an oracle entire episodes must stay."""

import os

import numpy as np

#: Relative. Programs that are compiled quickly round more often than those that users run.
TOLERANCE = 1e-5 if os.environ.get("TEST_PROGRAMS") == "optimised" else 2e-5


def assert_close(ours, theirs, sizes):
    """To `TOLERANCE` of `sizes`, which has their shape; the worst place is named."""
    excess = np.abs(ours - theirs) - TOLERANCE * sizes
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    assert excess[worst] <= 0, f"at {worst}: {ours[worst]} against {theirs[worst]}, relative to {sizes[worst]}"
