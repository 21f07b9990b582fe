"""How close to an oracle entire episodes must stay."""

import numpy as np


def assert_close(ours, theirs, sizes):
    """To 1e-5 of `sizes`, which has their shape; the worst place is named."""
    excess = np.abs(ours - theirs) - 1e-5 * sizes
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    assert excess[worst] <= 0, f"at {worst}: {ours[worst]} against {theirs[worst]}, relative to {sizes[worst]}"
