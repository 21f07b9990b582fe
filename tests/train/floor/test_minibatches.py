import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from train import ppo
from train.floor import gradients, minibatches
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


def test_gradient_steps_go_over_the_minibatches_in_order_with_what_belongs_to_each():
    config = ppo.Config(num_envs=2, num_steps=4, segment=2, minibatches=2, epochs=1, max_grad_norm=1e9)
    data, rows = minibatches.shuffled_segments(config, {"x": jnp.arange(8.0).reshape(4, 2)}, jax.random.key(0))
    assert data["x"].tolist() == [[0.0, 2.0], [1.0, 3.0], [4.0, 6.0], [5.0, 7.0]]
    assert rows.shape == (2, 2) and sorted(rows.ravel().tolist()) == [0, 1, 2, 3]
    rows, each, param = jnp.array([[3, 1], [0, 2]]), jnp.array([10.0, 20.0]), {"w": jnp.float32(1.0)}

    def cost(config, params, minibatch, each, shared):
        total = minibatch["x"].sum()
        return params["w"] * each, {"sum": total, "product": each * total, "shared": shared}

    learner = param, gradients.init(gradients.adam(config.max_grad_norm), param)
    (after, _), means = minibatches.descents(
        None, cost, learner, data, rows, each, jnp.float32(5.0), config=config, step_size=0.25
    )
    # Sums of 16 and 12, times 10 and 20.
    assert {name: float(mean) for name, mean in means.items()} == {"sum": 14.0, "product": 200.0, "shared": 5.0}
    # Two gradients of one sign: Adam steps by 0.25, and then by a little less than that.
    assert 0.5 < float(after["w"]) < 0.52


def test_minibatches_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="minibatches must divide num_envs \\* num_steps / segment = 8, got 3"):
        minibatches.check(ppo.Config(num_envs=4, num_steps=4, segment=2, minibatches=3))
