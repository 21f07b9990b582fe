"""FiveChoices against its oracle, and the tutorial's facts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference.five_choices import FiveChoices as Oracle

from jaxenvs import FiveChoices, make_vec

# Each constant is changed in at least one set.
CONSTANTS = {
    "tutorial": {},
    "first": {"paying_choice": 0, "payment": 7.5},
    "last": {"paying_choice": 4, "other_payment": -0.25},
}


def test_every_constant_is_changed_somewhere():
    changed = {name for constants in CONSTANTS.values() for name in constants}
    assert changed == {field.name for field in dataclasses.fields(FiveChoices)}


def test_defaults_are_the_tutorials():
    fields = dataclasses.fields(FiveChoices)
    assert {f.name: f.default for f in fields} == {f.name: getattr(Oracle(), f.name) for f in fields}


@pytest.mark.parametrize("name", CONSTANTS)
def test_every_choice_follows_the_oracle(name):
    env, oracle, choices = FiveChoices(**CONSTANTS[name]), Oracle(**CONSTANTS[name]), jnp.arange(5)
    state, obs = env.start(env.draw_start(jax.random.key(0), (5,)))
    np.testing.assert_array_equal(obs, oracle.reset(5))
    _, step = jax.vmap(env.transition, (0, 0, None))(state, choices, ())
    for ours, theirs in zip(step, oracle.step(choices), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_episode_is_one_step():
    envs = make_vec("FiveChoices-v0", 3)
    state, _ = envs.reset(jax.random.key(0))
    _, step = envs.step(jax.random.key(1), state, jnp.array([1, 2, 3]))
    assert step.terminated.all() and step.obs.tolist() == [0, 0, 0] and step.final_obs.tolist() == [1, 1, 1]
    assert step.episode_return.tolist() == [-1, 1, -1] and step.episode_length.tolist() == [1, 1, 1]


@pytest.mark.parametrize("action", [-1, 5, 99])
def test_inside_jit_an_unknown_action_does_not_pay(action):
    state, _ = FiveChoices().reset(jax.random.key(0))
    assert FiveChoices().transition(state, jnp.int32(action), ())[1].reward == -1


@pytest.mark.parametrize("choice", [-1, 5])
def test_a_paying_choice_that_is_none_of_the_five_is_refused(choice):
    with pytest.raises(ValueError, match="paying_choice must be at least 0 and at most 4"):
        FiveChoices(paying_choice=choice)
