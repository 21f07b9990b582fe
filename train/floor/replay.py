"""A replay buffer: transitions in arrays of fixed size, the oldest of which new ones replace.

Each environment has a column of its own, `[slots, num_envs, ...]`, so that on several devices the buffer is sharded as
the environments are: a device adds what its own environments did, and the samples are those of one device. Adding is
one `dynamic_update_slice`, which XLA makes in place inside a compiled loop.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from .memory import check_fits, num_bytes
from .sharding import batch_sharding, replicated

_LARGEST = 2**31 - 1


class Transition(NamedTuple):
    """What a learner off the policy needs of n steps of an environment; n is 1 but for n-step returns.

    A target is `reward + discount * value(next_features)`, and `reward` alone where the episode terminated.
    """

    #: f32[..., features] of the observation that was acted on.
    features: Any
    #: The action as the policy chose it, before `heads.to_action`: i32[...] for choices, f32[..., axes] for a Box.
    action: Any
    #: f32[...], the discounted sum of the rewards of the n steps.
    reward: Any
    #: f32[..., features] of the true successor observation after the n steps, before any reset.
    next_features: Any
    #: bool[...], whether the episode terminated in the n steps; a truncation does not count.
    terminated: Any
    #: f32[...], gamma**n; n is smaller where an episode ended sooner.
    discount: Any


class Replay(NamedTuple):
    """A buffer of transitions."""

    #: The transitions, a pytree of arrays [slots, num_envs, ...].
    data: Any
    #: i32[], the slot that is written next.
    position: jax.Array
    #: i32[], slots that hold transitions.
    size: jax.Array

    @property
    def shape(self):
        """(slots, num_envs)."""
        return jax.tree.leaves(self.data)[0].shape[:2]


def init_replay(example, capacity, num_envs=1):
    """An empty buffer.

    Args:
        example: a pytree of one transition: arrays or `jax.ShapeDtypeStruct`s.
        capacity: transitions that the buffer holds, over all environments; a multiple of `num_envs`.
        num_envs: environments that add to it.
    Returns:
        `Replay`.
    Raises:
        ValueError: for a capacity that is no multiple of num_envs or above 2**31 - 1, or, before anything is
            allocated, for more than the machine's memory, naming the bytes needed and those that there are.
    """
    if not num_envs <= capacity <= _LARGEST or capacity % num_envs:
        raise ValueError(
            f"capacity must be a multiple of num_envs={num_envs}, at least {num_envs} and at most {_LARGEST:,}, got "
            f"{capacity}"
        )
    check_fits(f"a replay buffer of capacity={capacity:,}", capacity * num_bytes(example))
    shape = capacity // num_envs, num_envs
    data = jax.tree.map(lambda x: jnp.zeros((*shape, *x.shape), x.dtype), example)
    return Replay(data, jnp.int32(0), jnp.int32(0))


def add(replay, batch):
    """Adds transitions; once the buffer is full, they replace the oldest ones.

    Args:
        replay: `Replay`.
        batch: a pytree of arrays [steps, num_envs, ...], or [steps * num_envs, ...] in the same order; the number of
            steps divides that of the buffer's slots, so that no batch wraps around its end.
    Returns:
        `Replay`.
    Raises:
        ValueError: at trace time, for another number of steps.
    """
    slots, num_envs = replay.shape
    columns = jax.tree.map(lambda x, held: x.reshape(-1, num_envs, *held.shape[2:]), batch, replay.data)
    chex.assert_trees_all_equal_dtypes(columns, replay.data)
    steps = jax.tree.leaves(columns)[0].shape[0]
    if steps < 1 or slots % steps:
        raise ValueError(
            f"the steps added together must divide the {slots} slots of the buffer (its capacity of "
            f"{slots * num_envs} / {num_envs} environments), got {steps}"
        )
    put = lambda held, new: jax.lax.dynamic_update_slice_in_dim(held, new, replay.position, axis=0)  # noqa: E731
    return Replay(
        jax.tree.map(put, replay.data, columns),
        (replay.position + steps) % slots,
        jnp.minimum(replay.size + steps, slots),
    )


def sample(key, replay, num):
    """Transitions drawn uniformly, with replacement.

    Args:
        key: a JAX key.
        replay: `Replay` that holds something.
        num: an int, or a shape such as (gradient_steps, batch_size).
    Returns:
        A pytree of arrays [num, ...], or [*num, ...].
    """
    num_envs = replay.shape[1]
    shape = num if isinstance(num, tuple) else (num,)
    index = jax.random.randint(key, shape, 0, replay.size * num_envs)
    return jax.tree.map(lambda held: held[index // num_envs, index % num_envs], replay.data)


def replay_shardings(mesh, replay):
    """A pytree of shardings like `replay`: each device holds the transitions of its environments."""
    return replicated(mesh, replay)._replace(data=batch_sharding(mesh, replay.data, axis=1))
