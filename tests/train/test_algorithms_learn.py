"""Each algorithm learns the optimum of small environments of which it is known."""

import jax
import jax.numpy as jnp
import pytest
from reference.algorithms import CASES, each, program
from reference.probes import Target

import jaxenvs
from train.floor.evaluate import evaluate

PROBES = {
    "a choice that pays": ({"horizon": 1, "by_choice": 1.0}, 1.0),
    "a choice that costs": ({"horizon": 1, "by_choice": -1.0}, 1.0),
    "a choice that fits the observation": ({"horizon": 1, "by_match": 1.0}, 1.0),
    "a choice at each of two steps": ({"horizon": 2, "by_match": 1.0}, 2.0),
    "a choice until the time limit": ({"horizon": 1_000_000, "by_match": 1.0, "clock": False}, 4.0),
}


@each
@pytest.mark.parametrize("probe", PROBES)
def test_the_optimum_of_a_probe_is_learned(name, probe):
    case, (constants, optimum) = CASES[name], PROBES[probe]
    state, _ = program(name)(case.learner, case.probe(**constants), jax.random.key(0), case.updates)
    envs = jaxenvs.make_vec(case.probe(**constants), 64)
    episodes = jax.jit(lambda state, key: evaluate(envs, case.module.policy(case.learner, envs, state), key))(
        state, jax.random.key(1)
    )
    assert float(episodes.episode_return.min()) == optimum


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.box])
def test_an_optimum_inside_a_box_is_approached(name):
    case, env = CASES[name], Target()
    state, _ = program(name)(case.learner, env, jax.random.key(0), case.updates)
    act = case.module.policy(case.learner, jaxenvs.make_vec(env, 1), state)
    assert float(act(jax.random.key(0), jnp.zeros((1, 1)))[0, 0]) == pytest.approx(3.5, abs=0.15)
