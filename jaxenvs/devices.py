"""What a process asks of XLA before its first computation, and how a batch is spread over devices."""

import os

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

_FLAGS = {
    # LLVM uses half of a 512-bit processor otherwise; narrower processors ignore it.
    "--xla_cpu_prefer_vector_width": "512",
    # Programs that run parts of themselves at once have come to a standstill on two cores (populations of PPO, jaxlib
    # 0.10.2).
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
    # All results of a step come from one loop, where each would have its own and compute again what they share; and a
    # scan whose arrays are small (by default 1 KiB) becomes one function, without dispatch. From 8 MiB on, policies
    # with networks lose more from that than environments gain.
    "--xla_backend_extra_options": (
        f"xla_cpu_use_multi_output_fusion=true,xla_cpu_small_while_loop_byte_threshold={4 * 2**20}"
    ),
}


def tune_cpu(devices=None):
    """Sets JAX up to step environments on the processor; call it before JAX's first computation.

    It asks for one host device for each core, which XLA uses better than threads, and adds to the environment variable
    `XLA_FLAGS` what makes XLA's loops over steps fast. Flags that are there already stay as they are, and so does
    `NPROC`, XLA's number of threads, which becomes the number of devices otherwise. It changes no numbers but by
    rounding. `over_devices` spreads a batch over the devices. On a GPU or TPU it does no harm.

    Args:
        devices: host devices, at least 1; by default the number of cores that this process may use. For batches of more
            than some 10,000 environments a core, more devices are faster: one for each 8192 keeps its part in a cache.
            With 1, XLA computes on one core alone: for steps that are called from Python one by one, whose loops are
            too short to be worth a wait between threads.
    Raises:
        ValueError: if `devices` is less than 1, or no whole number.
        RuntimeError: if JAX has computed something already, so that it is too late.

    >>> import jaxenvs
    >>> jaxenvs.tune_cpu()  # doctest: +SKIP
    """
    count = num_cores() if devices is None else devices
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"tune_cpu: devices must be a whole number of at least 1, got {devices!r}")
    try:
        # The number that is there already would be accepted at any time.
        jax.config.update("jax_num_cpu_devices", count + 1)
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise RuntimeError(
            "tune_cpu comes too late: JAX has computed already; call it first, before any array or key is made"
        ) from error
    given = os.environ.get("XLA_FLAGS", "")
    added = [f"{name}={value}" for name, value in _FLAGS.items() if f"{name}=" not in given]
    os.environ["XLA_FLAGS"] = " ".join([*given.split(), *added])
    os.environ.setdefault("NPROC", str(count))


def over_devices(tree):
    """Splits the leading axis of every array, the batch, over all of JAX's devices.

    What is computed from arrays that are split so is computed by all devices, each its part, with the same numbers.

    Args:
        tree: a pytree of arrays with the batch in front, such as what `VectorEnv.reset` returns.
    Returns:
        The same, split.
    Raises:
        ValueError: if the number of devices does not divide the batch.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("CartPole-v1", num_envs=8)
    >>> state, obs = jaxenvs.over_devices(envs.reset(jax.random.key(0)))
    >>> obs.shape
    (8, 4)
    """
    sizes = {leaf.shape[0] if leaf.ndim else None for leaf in jax.tree.leaves(tree)}
    count = jax.device_count()
    for size in sizes:
        if size is None or size % count:
            has = "has an array without a batch axis" if size is None else f"has {size} environments"
            raise ValueError(f"over_devices: the batch must be a multiple of the {count} devices, but the tree {has}")
    mesh = jax.make_mesh((count,), ("envs",), axis_types=(AxisType.Auto,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("envs")))


def num_cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
