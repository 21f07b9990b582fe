import jax.numpy as jnp
import numpy as np
import pytest

from train.floor.losses import huber, quantile_loss, squared


def test_the_squared_error_is_halved():
    assert squared(jnp.array([3.0, -2.0])).tolist() == [4.5, 2.0]


@pytest.mark.parametrize("error, cost", [(0.5, 0.125), (-1.0, 0.5), (3.0, 2.5), (-3.0, 2.5)])
def test_the_huber_loss_is_linear_beyond_one(error, cost):
    assert float(huber(jnp.float32(error))) == cost


def test_the_huber_loss_is_linear_beyond_delta():
    assert [float(huber(jnp.float32(error), 2.0)) for error in (1.0, 2.0, -4.0)] == [0.5, 2.0, 6.0]


def by_definition(quantiles, targets, cost):
    total = 0.0
    for place, quantile in enumerate(quantiles):
        level = (place + 0.5) / len(quantiles)
        total += np.mean([abs(level - (target < quantile)) * cost(target - quantile) for target in targets])
    return total


@pytest.mark.parametrize("cost", [huber, squared, jnp.abs])
def test_the_quantile_loss_is_that_of_its_definition(cost):
    generator = np.random.default_rng(0)
    quantiles, targets = generator.normal(0, 2, (3, 5)), generator.normal(1, 2, (3, 4))
    found = quantile_loss(jnp.array(quantiles, jnp.float32), jnp.array(targets, jnp.float32), cost)
    expected = [by_definition(*rows, lambda u: float(cost(jnp.float32(u)))) for rows in zip(quantiles, targets)]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-5)


def test_the_quantile_loss_is_least_at_the_quantiles():
    targets = jnp.arange(100.0)
    at = lambda *quantiles: float(quantile_loss(jnp.array(quantiles), targets, jnp.abs))  # noqa: E731
    # The levels of two quantiles are a quarter and three quarters.
    assert at(24.5, 74.5) < min(at(20.0, 74.5), at(29.0, 74.5), at(24.5, 70.0), at(24.5, 79.0))
