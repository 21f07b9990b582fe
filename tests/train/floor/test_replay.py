"""The replay buffer, against a plain queue."""

import collections
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from train.floor import memory, replay

SLOTS, ENVS = 8, 3
EXAMPLE = {"features": jax.ShapeDtypeStruct((2,), jnp.float32), "action": jax.ShapeDtypeStruct((), jnp.int32)}
add = jax.jit(replay.add)
sample = jax.jit(replay.sample, static_argnums=2)


def numbered(first, steps):
    """Transitions [steps, ENVS, ...] with the numbers from `first` on."""
    number = first + np.arange(steps * ENVS).reshape(steps, ENVS)
    return {"features": jnp.array(np.stack([number, -number], -1), jnp.float32), "action": jnp.array(number, jnp.int32)}


def actions(held):
    return sorted(np.asarray(held.data["action"])[: int(held.size)].ravel().tolist())


@pytest.mark.parametrize("seed", range(5))
def test_it_holds_what_a_queue_of_the_same_length_holds(seed):
    held, queue = replay.init_replay(EXAMPLE, SLOTS * ENVS, ENVS), collections.deque(maxlen=SLOTS * ENVS)
    generator = np.random.default_rng(seed)
    # Batches of one length, as a learner adds them; five times the length of the buffer.
    steps = int(generator.choice([1, 2, 4, 8]))
    for first in range(0, 5 * SLOTS * ENVS, steps * ENVS):
        held = add(held, numbered(first, steps))
        queue.extend(range(first, first + steps * ENVS))
        assert actions(held) == sorted(queue)
        if generator.random() < 0.3:
            drawn = sample(jax.random.key(first), held, 200)
            assert set(np.asarray(drawn["action"]).tolist()) == set(queue)
            # The parts of a transition stay together.
            np.testing.assert_array_equal(drawn["features"], np.stack([drawn["action"], -drawn["action"]], -1))


def test_transitions_in_one_row_are_those_of_steps_by_environments():
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), numbered(0, 2))
    held = replay.init_replay(EXAMPLE, SLOTS * ENVS, ENVS)
    chex.assert_trees_all_equal(replay.add(held, flat), replay.add(held, numbered(0, 2)))


def test_samples_are_uniform_over_what_is_held_and_repeat():
    held = add(replay.init_replay(EXAMPLE, SLOTS * ENVS, ENVS), numbered(0, 4))
    drawn = sample(jax.random.key(3), held, (30, 40))["action"]
    assert drawn.shape == (30, 40)
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=12)
    assert len(counts) == 12 and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_a_full_cycle_of_updates_copies_no_buffer():
    @jax.jit
    def cycle(held, key):
        def one(held, key):
            held = replay.add(held, numbered(0, 2))
            return held, replay.sample(key, held, 5)["features"].sum()

        return jax.lax.scan(one, held, jax.random.split(key, 10))

    held = replay.init_replay(EXAMPLE, SLOTS * ENVS, ENVS)
    donated = jax.jit(lambda held, key: cycle(held, key), donate_argnums=0)
    text = donated.lower(held, jax.random.key(0)).compile().as_text() or ""
    buffers = r"(f32\[8,3,2\]|s32\[8,3\])\S* copy\("
    assert "dynamic-update-slice" in text and not re.search(buffers, text)


def test_steps_that_do_not_divide_the_slots_are_refused():
    held = replay.init_replay(EXAMPLE, SLOTS * ENVS, ENVS)
    with pytest.raises(ValueError, match=r"must divide the 8 slots of the buffer \(.*24 / 3 environments\), got 3"):
        add(held, numbered(0, 3))


@pytest.mark.parametrize("capacity", [0, 2, 10, 2**31])
def test_impossible_capacities_are_refused_by_value(capacity):
    with pytest.raises(ValueError, match=rf"capacity must be a multiple of num_envs=3, at least .*, got {capacity}"):
        replay.init_replay(EXAMPLE, capacity, 3)


def test_more_than_the_memory_is_refused_with_the_bytes_needed_and_available(monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 10**9)
    replay.init_replay(EXAMPLE, 10**4)
    with pytest.raises(ValueError, match=r"capacity=100,000,000 would need at least 1.2 GB .* this machine has 1 GB"):
        jax.eval_shape(lambda: replay.init_replay(EXAMPLE, 10**8))
