"""Single-file trainers whose whole loop is jitted, and the command line that runs them: `python -m train --help`."""

import os

# XLA:CPU runs independent parts of a program at once, and has then come to a standstill on two cores: populations of
# eight by `jax.vmap(ppo.train)` in four of five runs (jaxlib 0.10.2), in none of four in order. XLA reads this before
# its first computation; a user's own setting stays.
_IN_ORDER = "--xla_cpu_enable_concurrency_optimized_scheduler"
if _IN_ORDER not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_IN_ORDER}=false".strip()
