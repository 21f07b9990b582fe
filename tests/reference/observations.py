"""Observations to try policies on."""

from typing import Any

import numpy as np
from gymnasium import spaces


def some_obs(space, count, seed=0) -> Any:
    """Observations that are a batch of a space's elements, floats within 5 where it has no bounds."""
    space.seed(seed)
    samples = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {name: some_obs(part, count, seed) for name, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(some_obs(part, count, seed) for part in space.spaces)
    return np.clip(np.stack(samples), -5, 5) if isinstance(space, spaces.Box) else np.stack(samples)
