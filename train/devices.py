"""Several devices at work on one batch: how many, what lies where, and what they tell each other."""

import contextlib
import os
import threading
from pathlib import Path

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"


def claim(count):
    """Has JAX make so many devices of a CPU's cores; it does so before it computes anything, and never later.

    Returns:
        How many devices of the CPU there are of those; 1 where JAX computes on something else.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", count)
    return min(count, jax.device_count()) if jax.default_backend() == "cpu" else 1


def compiled(lowered, hints):
    """`lowered.compile()` with options of XLA that no result depends on, but for rounding.

    Args:
        lowered: what `jax.jit(...).lower(...)` returns.
        hints: a dict of XLA's names and values. XLA renames and drops them: those that it does not know are left out.
    """
    hints = dict(hints)
    while True:
        try:
            return lowered.compile(compiler_options=hints)
        except jax.errors.JaxRuntimeError as error:
            unknown = [name for name in hints if f"No such compile option: '{name}'" in str(error)]
            if not unknown:
                raise
            del hints[unknown[0]]


def run_once():
    """Hints with which XLA:CPU compiles a program in less than half the time (jaxlib 0.10.2), that is slow then."""
    return {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}


def run_often():
    """Hints for a program that runs for most of a run's time: those for this device and processor, or none.

    On CPUs, registers of 512 bits where the processor has them: PPO's updates took 8 % less time on an AMD EPYC. On
    GPUs, loops of few kernels as CUDA graphs too.
    """
    if jax.default_backend() != "cpu":
        return {"xla_gpu_graph_min_graph_size": 1} if jax.default_backend() == "gpu" else {}
    try:
        has = " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        has = False
    return {"xla_cpu_prefer_vector_width": 512} if has else {}


def untuned():
    """Hints with which XLA:GPU does not time kernels against each other while it compiles: 5 s less for PPO (H200)."""
    return {"xla_gpu_autotune_level": 0} if jax.default_backend() == "gpu" else {}


def wake():
    """Starts an accelerator's runtime in a thread, which takes over a second on a GPU; a CPU needs no start."""
    if jax.default_backend() != "cpu":
        threading.Thread(target=lambda: jax.block_until_ready(jax.device_put(0.0) + 1.0), daemon=True).start()


def host():
    """JAX's CPU device, or None where JAX has none, such as with `JAX_PLATFORMS=cuda`."""
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:
        return None


def mesh_of(count):
    """A mesh of the first `count` devices; None for one, which needs no mesh.

    Raises:
        ValueError: if there are fewer devices.
    """
    found = jax.devices()
    if not 1 <= count <= len(found):
        raise ValueError(f"devices must be from 1 to the {len(found)} that JAX has here, got {count}")
    return Mesh(np.array(found[:count]), (AXIS,)) if count > 1 else None


def parted(mesh, tree, axis=0):
    """The sharding of every leaf whose axis `axis` the devices share, as a pytree."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS)), tree)


def copied(mesh, tree):
    """The sharding of every leaf that each device has as a whole, as a pytree."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree)


def part(mesh, tree, axis=0):
    """While tracing: the same values, each device with its part of the axis; as they are without a mesh."""
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, parted(mesh, tree, axis))


def gather(mesh, tree):
    """While tracing: the same values, whole on each device; as they are without a mesh."""
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, copied(mesh, tree))


def on_each(mesh, function, shared, parts, *, axis, together=False):
    """`function(shared, parts)` on each device, with its part of the axis of every leaf of `parts`.

    Args:
        mesh: of `mesh_of`; without one, `function(shared, parts)` is called as it is.
        together: whether the results of the devices are equal; they are parts of the same axis if not.
    """
    if mesh is None:
        return function(shared, parts)
    cut = PartitionSpec(*[None] * axis, AXIS)
    # Without the check, gradients stay those of the device until `flat_mean`.
    return jax.shard_map(
        function, mesh=mesh, in_specs=(PartitionSpec(), cut), out_specs=PartitionSpec() if together else cut,
        check_vma=False,
    )(shared, parts)  # fmt: skip


def flat_mean(mesh, tree):
    """Inside `on_each`: the mean over the devices of a pytree of floats, in one exchange; as it is without a mesh.

    One for each leaf would cost more than the mean itself.
    """
    if mesh is None:
        return tree
    flat, unravel = ravel_pytree(tree)
    return unravel(jax.lax.pmean(flat, AXIS))
