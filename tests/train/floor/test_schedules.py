import jax
import jax.numpy as jnp
import pytest

from train import dqn
from train.floor.schedules import exploration, learning_rate, linear, scheduled

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])


@EITHER
@pytest.mark.parametrize(("updates", "rate"), [(0, 2.0), (5, 1.5), (10, 1.0), (99, 1.0)])
def test_a_rate_goes_linearly_to_its_end_and_stays(transform, updates, rate):
    assert transform(linear)(2.0, 0.5, jnp.int32(updates), 10.0) == pytest.approx(rate)


def test_a_schedule_of_no_updates_keeps_the_rate():
    assert linear(2.0, 0.5, jnp.int32(7), 0.0) == 2.0


def test_a_schedule_without_a_length_of_its_own_gets_that_of_the_run():
    own, run = scheduled(dqn.Config(schedule_updates=7.0), 40), scheduled(dqn.Config(), 40)
    assert own.schedule_updates == 7.0 and run.schedule_updates == 40.0


@pytest.mark.parametrize(
    ("updates", "rate", "epsilon"), [(0, 0.5, 0.8), (5, 0.4375, 0.5), (10, 0.375, 0.2), (40, 0.0, 0.2)]
)
def test_step_size_and_epsilon_fall_by_their_own_horizons(updates, rate, epsilon):
    config = dqn.Config(
        learning_rate=0.5, final_learning_rate=0.0, epsilon=0.8, final_epsilon=0.25, exploration_fraction=0.25
    )
    config = scheduled(config, 40)
    assert learning_rate(config, jnp.int32(updates)) == pytest.approx(rate)
    assert exploration(config, jnp.int32(updates)) == pytest.approx(epsilon)
