"""XLA's settings for a process, made before its first computation, and the sharding of a batch over devices."""

import os

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxenvs.misuse import brief

_FLAGS = {
    # LLVM uses half of a 512-bit processor otherwise; narrower processors ignore it.
    "--xla_cpu_prefer_vector_width": "512",
    # Programs that run several of their parts at the same time have hung on two cores (populations of PPO, jaxlib
    # 0.10.2).
    "--xla_cpu_enable_concurrency_optimized_scheduler": "false",
    # All results of a step come from one loop: separate loops would repeat the computations that they share. And a
    # scan over small arrays (by default 1 KiB) becomes one function, without dispatch. From 8 MiB on, policies with
    # networks lose more from that than environments gain.
    "--xla_backend_extra_options": (
        f"xla_cpu_use_multi_output_fusion=true,xla_cpu_small_while_loop_byte_threshold={4 * 2**20}"
    ),
}


def tune_cpu(devices=None):
    """Configures JAX to step environments fast on a CPU; call it before JAX's first computation.

    It requests one host device for each core, which is faster than XLA's threads. It adds flags to the environment
    variable `XLA_FLAGS` that make XLA's loops over steps fast. It sets `NPROC`, XLA's number of threads, to the number
    of devices. Flags and `NPROC` do not change if they are already set. Results change only by rounding. `over_devices`
    shards a batch over the devices. On a GPU or TPU, this function has no disadvantage.

    Args:
        devices: number of host devices, at least 1; by default the number of cores that this process may use. For
            batches of more than about 10,000 environments per core, more devices are faster: with one device for each
            8192 environments, each part fits in a cache. With 1, XLA uses a single core. This is faster for calls of
            `step` from Python, whose loops are too short for several threads.
    Raises:
        ValueError: if `devices` is less than 1, or not an integer.
        RuntimeError: if JAX has already computed something, so that it is too late.

    >>> import jaxenvs
    >>> jaxenvs.tune_cpu()  # doctest: +SKIP
    """
    count = num_cores() if devices is None else devices
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"tune_cpu: devices must be an integer of at least 1, got {devices!r}")
    try:
        # Setting the present number again would always succeed.
        jax.config.update("jax_num_cpu_devices", count + 1)
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise RuntimeError(
            "tune_cpu was called too late: JAX has already computed something; call it before making any array or key"
        ) from error
    given = os.environ.get("XLA_FLAGS", "")
    added = [f"{name}={value}" for name, value in _FLAGS.items() if f"{name}=" not in given]
    os.environ["XLA_FLAGS"] = " ".join([*given.split(), *added])
    os.environ.setdefault("NPROC", str(count))


def over_devices(tree):
    """Shards the leading axis of every array, the batch axis, over all JAX devices.

    Computations on sharded arrays run on all devices, each on its part of the batch, with the same results.

    Args:
        tree: a pytree of arrays with a leading batch axis, such as the result of `VectorEnv.reset`.
    Returns:
        The same tree, sharded.
    Raises:
        TypeError: for a leaf that is not an array.
        ValueError: if the number of devices does not divide the batch.

    >>> import jax, jaxenvs
    >>> envs = jaxenvs.make_vec("CartPole-v1", num_envs=8)
    >>> state, obs = jaxenvs.over_devices(envs.reset(jax.random.key(0)))
    >>> obs.shape
    (8, 4)
    """
    for leaf in jax.tree.leaves(tree):
        if not isinstance(leaf, jax.Array) and getattr(getattr(leaf, "dtype", None), "kind", "O") in "OUS":
            raise TypeError(f"over_devices: tree must have arrays for leaves, got {brief(leaf)}")
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
