"""`serialized`: a policy as StableHLO, by `jax.export`: for every algorithm and network."""

import importlib

import jax
from jax import export

# jax.core had it before jax.errors.
_HOME = jax.errors if hasattr(jax.errors, "InconclusiveDimensionOperation") else importlib.import_module("jax.core")
_Inconclusive = _HOME.InconclusiveDimensionOperation

#: Where the exported program can run.
PLATFORMS = ("cpu", "cuda", "tpu")


def serialized(act, obs):
    """The bytes of a policy, which `jax.export.deserialize` reads; batches of any size.

    Args:
        act: a function of a batch of observations, without random numbers.
        obs: a pytree like one observation.
    """
    (batch,) = export.symbolic_shape("batch")
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), obs)
    try:
        return export.export(jax.jit(act), platforms=PLATFORMS)(like).serialize()
    except _Inconclusive:
        # Code that asks how large the batch is: one observation at a time has a known shape.
        return export.export(jax.jit(jax.vmap(act)), platforms=PLATFORMS)(like).serialize()
