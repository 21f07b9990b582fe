"""Sharding helpers: meshes, placement, and averaging gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"
#: Samples of a gradient step, for each device: with fewer, two devices were no faster than one with PPO.
MIN_SAMPLES = 512


def mesh_of(count, processes=1):
    """A mesh of the first `count` devices, or of as many of each process; None for one, which needs no mesh.

    Raises:
        ValueError: if there are fewer devices, or if the processes cannot have the same number of them.
    """
    found = jax.devices()
    if not 1 <= count <= len(found) or count % processes:
        several = f", and a multiple of the {processes} processes" if processes > 1 else ""
        raise ValueError(f"devices must be from 1 to the {len(found)} that JAX has here{several}, got {count}")
    if processes > 1:
        each = [[device for device in found if device.process_index == index] for index in range(processes)]
        found = [device for devices in each for device in devices[: count // processes]]
        if len(found) < count:
            raise ValueError(f"each of the {processes} processes must have {count // processes} devices")
    return Mesh(np.array(found[:count]), (AXIS,)) if count > 1 else None


def place(tree, shardings):
    """A pytree where `shardings` says, whatever process has those devices; each process gives the same values."""
    return jax.tree.map(_placed, tree, shardings)


def _placed(leaf, sharding):
    if sharding.is_fully_addressable:
        return jax.device_put(leaf, sharding)
    if not getattr(leaf, "is_fully_addressable", True):
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _placed(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=leaf.dtype._impl)
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def batch_sharding(mesh, tree, axis=0):
    """The sharding of every leaf whose axis `axis` the devices share, as a pytree."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS)), tree)


def replicated(mesh, tree):
    """The sharding of leaves of which each device has a full copy, as a pytree."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree)


def shard(mesh, tree, axis=0):
    """While tracing: the same values, each device with its part of the axis; unchanged without a mesh."""
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, batch_sharding(mesh, tree, axis))


def sharded(mesh, state, shardings):
    """While tracing: the same state, as `shardings(mesh, state)` says; unchanged without a mesh."""
    return state if mesh is None else jax.lax.with_sharding_constraint(state, shardings(mesh, state))


def replicate(mesh, tree):
    """While tracing: the same values, a full copy on each device; unchanged without a mesh."""
    return tree if mesh is None else jax.lax.with_sharding_constraint(tree, replicated(mesh, tree))


def per_device(mesh, function, parts, *, axis, together=False, **shared):
    """`function(parts, **shared)` on each device, with its part of the axis of every leaf of `parts`.

    Args:
        mesh: of `mesh_of`; without one, the function is called once with everything.
        together: whether the results of the devices are equal; if not, they are parts of the same axis.
        shared: pytrees of which each device has all.
    """
    if mesh is None:
        return function(parts, **shared)
    cut = PartitionSpec(*[None] * axis, AXIS)
    # Without the check, gradients stay those of the device until `flat_mean`.
    return jax.shard_map(
        lambda parts, shared: function(parts, **shared), mesh=mesh, in_specs=(cut, PartitionSpec()),
        out_specs=PartitionSpec() if together else cut, check_vma=False,
    )(parts, shared)  # fmt: skip


def flat_mean(mesh, tree):
    """Inside `per_device`: the mean over the devices of a pytree of floats, in one exchange; as it is without a mesh.

    One for each leaf would cost more than the mean itself.
    """
    if mesh is None:
        return tree
    flat, unravel = ravel_pytree(tree)
    return unravel(jax.lax.pmean(flat, AXIS))
