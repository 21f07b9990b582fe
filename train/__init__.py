"""Single-file trainers with fully jitted training loops, and their command line: `python -m train --help`."""

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .runs.load import load as load
    from .sweeps.sweep import sweep as sweep

# Under two names every module would be loaded twice, and nothing of one would be known to the other.
_OTHER = {"train": "jaxenvs.train", "jaxenvs.train": "train"}.get(__name__, "")
if getattr(sys.modules.get(_OTHER), "__file__", None) == __file__:
    raise ImportError(f"this process has the trainers as {_OTHER} already; import them by one name only", name=__name__)

# XLA:CPU runs independent parts of a program at once, and has then come to a standstill on two cores: populations of
# eight by `jax.vmap(ppo.train)` in four of five runs (jaxlib 0.10.2), in none of four in order. XLA reads this before
# its first computation; a user's own setting stays.
_IN_ORDER = "--xla_cpu_enable_concurrency_optimized_scheduler"
if _IN_ORDER not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_IN_ORDER}=false".strip()

_DRIVERS = {"load": ".runs.load", "sweep": ".sweeps.sweep"}


def __getattr__(name):
    """`load` and `sweep`, imported when they are first used: importing an algorithm needs no driver."""
    if name in _DRIVERS:
        return getattr(importlib.import_module(_DRIVERS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
