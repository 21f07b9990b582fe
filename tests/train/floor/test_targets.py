import jax
import jax.numpy as jnp
import pytest

from train.floor.targets import bootstrapped, polyak

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])


@EITHER
@pytest.mark.parametrize(("rate", "found"), [(0.0, [1.0, 2.0]), (0.25, [2.0, 1.0]), (1.0, [5.0, -2.0])])
def test_targets_move_their_part_of_the_way(transform, rate, found):
    targets, params = {"a": jnp.array([1.0, 2.0])}, {"a": jnp.array([5.0, -2.0])}
    assert transform(polyak)(targets, params, rate)["a"].tolist() == found


@EITHER
def test_a_target_bootstraps_unless_the_episode_terminated(transform):
    found = transform(bootstrapped)(
        jnp.array([1.0, 1.0]), jnp.array([4.0, 4.0]), jnp.array([False, True]), jnp.array([0.5, 0.5])
    )
    assert found.tolist() == [3.0, 1.0]


def test_a_value_that_is_not_finite_does_not_count_after_a_termination():
    one = jnp.ones(1)
    assert bootstrapped(one, one * jnp.inf, jnp.array([True]), one).tolist() == [1.0]


def test_shapes_that_differ_are_refused():
    with pytest.raises(AssertionError):
        bootstrapped(jnp.ones(2), jnp.ones((2, 1)), jnp.zeros(2, bool), jnp.ones(2))
