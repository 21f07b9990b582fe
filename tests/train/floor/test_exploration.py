import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.floor.exploration import best_action, epsilon_greedy, taken

VALUES = jnp.broadcast_to(jnp.array([0.0, 3.0, 1.0, 3.0]), (20_000, 4))


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0])
def test_an_action_is_any_with_the_probability_epsilon_and_the_best_otherwise(epsilon):
    choices = epsilon_greedy(jax.random.key(0), VALUES, epsilon)
    shares = np.bincount(np.asarray(choices), minlength=4) / len(choices)
    np.testing.assert_allclose(shares, epsilon / 4 + (1 - epsilon) * np.array([0, 1, 0, 0]), atol=0.02)


def test_one_state_gives_one_choice():
    assert epsilon_greedy(jax.random.key(0), VALUES[0], 0.0).shape == () and int(best_action(VALUES[0])) == 1


def test_the_values_of_actions_taken_are_theirs():
    values = jnp.arange(12.0).reshape(2, 3, 2)
    assert taken(values, jnp.array([2, 0])).tolist() == [[4.0, 5.0], [6.0, 7.0]]
