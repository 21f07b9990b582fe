import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from train.floor.minibatches import permutation, segments


def test_a_chunk_is_a_piece_of_the_time_of_one_environment():
    time, member = jnp.arange(8)[:, None], jnp.arange(16)
    pieces = segments(jnp.broadcast_to(100 * member, (8, 16)) + jnp.broadcast_to(time, (8, 16)), 4)
    assert pieces.shape == (32, 4)
    assert {tuple(piece) for piece in pieces.tolist()} == {
        tuple(100 * n + t for t in range(start, start + 4)) for n in range(16) for start in (0, 4)
    }


@pytest.mark.parametrize("count", [1, 2, 3, 7, 4096, 5000, 2**16, 2**16 + 1])
def test_a_permutation_has_every_number_once(count):
    rows = permutation(jax.random.key(count), count)
    assert rows.dtype == jnp.int32
    assert np.array_equal(np.sort(rows), np.arange(count))


@pytest.mark.parametrize("count", [5, 64])
def test_every_number_comes_to_every_place_of_a_permutation_equally_often(count):
    runs = 20_000
    rows = np.asarray(jax.vmap(lambda key: permutation(key, count))(jax.random.split(jax.random.key(0), runs)))
    for place in (0, count // 2, count - 1):
        found = np.bincount(rows[:, place], minlength=count)
        assert scipy.stats.chisquare(found).pvalue > 1e-4
    # Two neighbours fall into the same half as often as any two numbers do.
    half = np.argsort(rows, axis=1) < count // 2
    together = count // 2 * (count // 2 - 1) + (count - count // 2) * (count - count // 2 - 1)
    expected = together / (count * (count - 1))
    spread = math.sqrt(expected * (1 - expected) / runs)
    assert abs((half[:, 0] == half[:, 1]).mean() - expected) < 4 * spread
