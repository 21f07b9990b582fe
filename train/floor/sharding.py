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
    """A pytree where `shardings` says, whatever process has those devices; each process gives the same values.

    Arrays of which the devices get parts are deleted where they were, one by one: large ones are not held twice.
    """
    return jax.tree.map(_moved, tree, shardings)


def _moved(leaf, sharding):
    placed = _placed(leaf, sharding)
    if isinstance(leaf, jax.Array) and not sharding.is_fully_replicated and len(leaf.sharding.device_set) == 1:
        jax.block_until_ready(placed)
        leaf.delete()
    return placed


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


def sharded_vmap(function, devices=None):
    """`jax.jit(jax.vmap(function))` whose lanes the devices of this process share; they exchange nothing.

        seeds = jax.random.split(jax.random.key(0), 8)
        states, metrics = sharded_vmap(lambda key: ppo.train(config, env, key, num_updates=100))(seeds)

    Where the number of lanes is no multiple of the devices, the last lane is repeated, and the copies are left out of
    the result. Each lane is what `function` gives by itself, but for rounding.

    Args:
        function: a pure function of arrays that returns a pytree of arrays, such as a run with its key and its rates.
        devices: how many share the lanes, the first ones of `jax.devices()`; all of them by default.
    Returns:
        A jitted function. Its arguments are pytrees of arrays [lanes, ...], and so is its result, which is sharded over
        the first axis if the devices divide it.
    Raises:
        ValueError: for devices that are not there; and from the returned function, for arguments that do not all have
            the same number of lanes, at least one.

    >>> sharded_vmap(lambda x, y: x + y, devices=1)(jnp.arange(3), jnp.ones(3, int)).tolist()
    [1, 2, 3]
    """
    mesh = mesh_of(jax.device_count() if devices is None else devices)
    count = 1 if mesh is None else mesh.size

    @jax.jit
    def call(*arguments):
        lanes = _lanes(arguments)
        extra = -lanes % count

        def filled(leaf):
            return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], extra, axis=0)]) if extra else leaf

        parts = jax.tree.map(filled, arguments)
        results = per_device(mesh, lambda parts: jax.vmap(function)(*parts), parts, axis=0)
        return jax.tree.map(lambda leaf: leaf[:lanes], results) if extra else results

    return call


def _lanes(arguments):
    """The number of lanes that all arrays have."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(arguments)]
    found = sorted({shape[0] if shape else 0 for shape in shapes})
    if len(found) != 1 or found[0] < 1:
        shown = ", ".join(map(str, found)) or "no arrays"
        raise ValueError(f"all arguments must have the same first axis, of at least one lane, got {shown}")
    return found[0]


def flat_mean(mesh, tree):
    """Inside `per_device`: the mean over the devices of a pytree of floats, in one exchange; as it is without a mesh.

    One for each leaf would cost more than the mean itself.
    """
    if mesh is None:
        return tree
    flat, unravel = ravel_pytree(tree)
    return unravel(jax.lax.pmean(flat, AXIS))
