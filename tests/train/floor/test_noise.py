import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from train.floor.noise import correlated_normals, uniform_of

START = jax.random.normal(jax.random.key(1), (500, 2))
noise = jax.jit(correlated_normals, static_argnums=2)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_noise_is_standard_normal_at_every_step_with_the_correlation_of_its_neighbours(correlation):
    found = np.asarray(noise(jax.random.key(0), START, 50, correlation))
    assert found.shape == (50, 500, 2)
    for step in (0, 25, 49):
        assert scipy.stats.kstest(found[step].ravel(), "norm").pvalue > 1e-3
    pairs = np.concatenate([np.asarray(START)[None], found])
    assert np.corrcoef(pairs[:-1].ravel(), pairs[1:].ravel())[0, 1] == pytest.approx(correlation, abs=0.02)
    across = np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1]
    assert across == pytest.approx(0.0, abs=0.05)


def test_noise_goes_on_from_where_it_starts():
    near = noise(jax.random.key(0), jnp.array([2.0]), 1, 0.99)
    assert near[0, 0] == pytest.approx(0.99 * 2.0, abs=0.7)
    again = noise(jax.random.key(0), jnp.array([-2.0]), 1, 0.99)
    assert (near - again)[0, 0] == pytest.approx(4 * 0.99)


def test_no_steps_are_no_noise():
    assert correlated_normals(jax.random.key(0), START, 0, 0.5).shape == (0, 500, 2)


def test_uniform_numbers_are_uniform_and_in_the_order_of_the_normals():
    normals = jnp.sort(jax.random.normal(jax.random.key(0), (5000,)))
    found = np.asarray(uniform_of(normals))
    assert scipy.stats.kstest(found, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found, 2 * scipy.stats.norm.cdf(normals) - 1, atol=1e-6)
