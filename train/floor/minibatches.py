"""Minibatches: a batch cut into segments of time, the segments shuffled, and gradient steps over them.

`config` is the `Config` of a learner from what it just played, with the fields `num_envs`, `num_steps`, `epochs`,
`minibatches`, `segment` and `max_grad_norm`.
"""

import jax
import jax.numpy as jnp

from . import networks
from .gradients import adam, descend, mean_gradient
from .sharding import MIN_SAMPLES, per_device, shard


def check(config, devices=1):
    """Refuses networks that are not there, and counts that do not fit together or on this number of devices.

    Raises:
        ValueError: naming the hyperparameter, its value and what is allowed.
    """
    networks.check(config.network, config.hidden, config.activation)
    if config.num_steps % config.segment:
        raise ValueError(f"num_steps must be a multiple of segment={config.segment}, got {config.num_steps}")
    total = steps_per_update(config) // config.segment
    if total % config.minibatches:
        raise ValueError(f"minibatches must divide num_envs * num_steps / segment = {total}, got {config.minibatches}")
    if devices < 1 or config.num_envs % devices or total // config.minibatches % devices:
        raise ValueError(
            f"devices must divide num_envs={config.num_envs} and the {total // config.minibatches} segments of a "
            f"minibatch, got {devices}"
        )


def useful_devices(config, available):
    """The largest number of devices, up to `available`, that share evenly with 512 samples of a minibatch for each."""
    samples = steps_per_update(config) // config.minibatches

    def useful(count):
        even = not (config.num_envs % count or samples // config.segment % count)
        return even and samples // count >= MIN_SAMPLES

    return max(n for n in range(1, max(1, available) + 1) if n == 1 or useful(n))


def steps_per_update(config):
    """Environment steps of an update, over all environments."""
    return config.num_envs * config.num_steps


def warmup_steps(config):
    """Environment steps before the first update: none."""
    return 0


def descents(mesh, cost, learner, data, rows, each=(), shared=(), *, config, step_size):
    """A gradient step for each minibatch; each device takes its part of it.

    Args:
        mesh: of `sharding.mesh_of`, or None.
        cost: `cost(config, params, minibatch, each, shared) -> (f32[], parts)`, of a pytree of [samples, ...].
        learner: (params, state of `gradients.adam(config.max_grad_norm)`).
        data: a pytree of [segments, length, ...].
        rows: i32[steps, segments of a minibatch].
        each: a pytree of [steps, ...], of which `cost` gets the entry of its step.
        shared: a pytree that `cost` gets as it is.
        config: `Config`.
        step_size: f32[].
    Returns:
        (learner, dict): after all steps, and the mean of each of the parts.
    """

    def learn(rows, config, data, each, shared, step_size, learner):
        optimiser = adam(config.max_grad_norm)

        def step(carry, now):
            params, optimiser_state = carry
            rows, each = now
            minibatch = jax.tree.map(lambda x: x[rows].reshape(-1, *x.shape[2:]), data)
            gradient, parts = mean_gradient(mesh, lambda params: cost(config, params, minibatch, each, shared), params)
            return descend(optimiser, optimiser_state, params, gradient, step_size), parts

        return jax.lax.scan(step, learner, (rows, each))

    learner, parts = per_device(
        mesh, learn, rows, axis=1, together=True, config=config, data=data, each=each, shared=shared,
        step_size=step_size, learner=learner,
    )  # fmt: skip
    return learner, {name: part.mean() for name, part in parts.items()}


def shuffled_segments(config, batch, key, mesh=None):
    """A batch cut into segments, and those of each minibatch.

    Args:
        config: `Config`.
        batch: a pytree of [num_steps, num_envs, ...].
        key: a JAX key.
        mesh: of `sharding.mesh_of`, or None.
    Returns:
        (data, rows) of `descents`.
    """
    data = jax.tree.map(lambda x: segments(x, config.segment), batch)
    rows = shuffled(key, jax.tree.leaves(data)[0].shape[0], config.epochs, config.minibatches, mesh)
    return data, shard(mesh, rows, axis=1)


def shuffled(key, count, epochs, minibatches, mesh=None):
    """Which rows each minibatch is made of.

    Args:
        key: a JAX key.
        count: number of rows, a multiple of `minibatches`.
        epochs: passes over the rows.
        minibatches: minibatches in a pass.
        mesh: of `sharding.mesh_of`, or None.
    Returns:
        i32[epochs * minibatches, count / minibatches].
    """
    keys = jax.random.split(key, epochs)
    # Permutations sort; each device makes some of them.
    shared = mesh if mesh is not None and epochs % mesh.size == 0 else None
    rows = shard(shared, jax.vmap(lambda k: permutation(k, count))(shard(shared, keys)))
    return rows.reshape(epochs * minibatches, -1)


def permutation(key, count):
    """The numbers below `count` in random order, i32[count].

    `jax.random.permutation` sorts pairs, twice; XLA:CPU sorts single words ten times as fast. So up to 2**16 numbers
    are the low bits of random words, which are sorted once. Words whose random bits are equal stay in rising order,
    which only affects numbers at the border of two minibatches.
    """
    bits = jax.random.bits(key, (count,))
    if count > 2**16:
        return jnp.argsort(bits).astype(jnp.int32)
    low = jnp.uint32((1 << (count - 1).bit_length()) - 1)
    words = jnp.sort((bits & ~low) | jnp.arange(count, dtype=jnp.uint32))
    return (words & low).astype(jnp.int32)


def segments(x, length):
    """[time, num_envs, ...] -> [segments, length, ...], each of one environment; `length` divides time."""
    pieces = x.reshape(x.shape[0] // length, length, *x.shape[1:])
    return jnp.moveaxis(pieces, 1, 2).reshape(-1, length, *x.shape[2:])
