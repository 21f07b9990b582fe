"""`sin_cos` against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxenvs.physics.trig import sin_cos


def both(x):
    return tuple(np.asarray(part, np.float64) for part in jax.jit(sin_cos)(jnp.asarray(x)))


@pytest.mark.parametrize("reach", [1e-3, 4.0, 100.0, 8000.0])
def test_sine_and_cosine_are_within_1_2e_7(reach):
    x = np.linspace(-reach, reach, 1_000_001).astype(np.float32)
    sine, cosine = both(x)
    assert np.abs(sine - np.sin(x.astype(np.float64))).max() < 1.2e-7
    assert np.abs(cosine - np.cos(x.astype(np.float64))).max() < 1.2e-7
    assert max(np.abs(sine).max(), np.abs(cosine).max()) <= 1


def test_small_sines_are_precise_relative_to_themselves():
    x = np.geomspace(1e-30, 0.7, 100_001).astype(np.float32)
    np.testing.assert_allclose(both(x)[0], np.sin(x.astype(np.float64)), rtol=2e-7)


def test_sine_is_odd_and_cosine_even_to_the_last_bit():
    x = np.linspace(0, 50, 100_001).astype(np.float32)
    (sine, cosine), (other_sine, other_cosine) = both(x), both(-x)
    np.testing.assert_array_equal(sine, -other_sine)
    np.testing.assert_array_equal(cosine, other_cosine)


def test_values_beyond_precision_stay_between_minus_1_and_1():
    x = np.geomspace(1e4, 3e38, 1001).astype(np.float32)
    assert np.abs(both(np.concatenate([x, -x]))).max() <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_has_no_sine_gives_nan(value):
    assert np.isnan(both(np.float32(value))).all()


def test_derivatives_are_cosine_and_minus_sine():
    x = np.linspace(-9, 9, 10_001).astype(np.float32)
    for index, expected in ((0, np.cos(x)), (1, -np.sin(x))):
        slope = jax.vmap(jax.grad(lambda angle: sin_cos(angle)[index]))(jnp.asarray(x))  # noqa: B023
        np.testing.assert_allclose(slope, expected, atol=2e-6)
