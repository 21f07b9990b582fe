import jax
import jax.numpy as jnp
import pytest

from train.floor.schedules import linear

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])


@EITHER
@pytest.mark.parametrize(("updates", "rate"), [(0, 2.0), (5, 1.5), (10, 1.0), (99, 1.0)])
def test_a_rate_goes_linearly_to_its_end_and_stays(transform, updates, rate):
    assert transform(linear)(2.0, 0.5, jnp.int32(updates), 10.0) == pytest.approx(rate)


def test_a_schedule_of_no_updates_keeps_the_rate():
    assert linear(2.0, 0.5, jnp.int32(7), 0.0) == 2.0
