"""Mistakes of newcomers: one sentence each, which names the value and the place."""

# Wrong arguments are given on purpose.
# pyright: reportArgumentType=false, reportCallIssue=false

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 2)


@functools.cache
def rocket():
    env = jaxenvs.SimpleRocket()
    return env, *env.reset(KEY)


@functools.cache
def rockets(num_envs=2):
    envs = jaxenvs.make_vec("SimpleRocket-v0", num_envs)
    return envs, *envs.reset(KEY)


def step(state=None, action=(0.0,), key=KEY):
    env, own, _ = rocket()
    return env.step(key, own if state is None else state, action if action is None else np.float32(action))


def steps(state, action=((0.0,), (0.0,)), key=KEY):
    return rockets()[0].step(key, state, action)


def roll(state=None, obs=None, key=KEY, action=None):
    envs, own, seen = rockets()
    policy = lambda key, obs: action  # noqa: E731
    return jaxenvs.rollout(envs, policy, key, own if state is None else state, seen if obs is None else obs, 2)


MISTAKES = {
    "batched constant": (
        lambda: jaxenvs.SimpleRocket(dt=np.full(3, 0.1)).step(KEY, rocket()[1], np.zeros(1, np.float32)),
        r"SimpleRocket: dt has the shape \(3,\), a value for each environment of a batch: use jax.vmap or",
    ),
    "no action": (lambda: step(action=None), r"SimpleRocket\.step: action must be in Box.*, got None"),
    "text as action": (
        lambda: jaxenvs.CartPole().step(KEY, None, "1"),
        r"CartPole\.step: action must be in Discrete\(2\), got '1'",
    ),
    "obs as state": (
        lambda: step(rocket()[2]),
        r"SimpleRocket\.step: state must be State\(position float32\[\], .*, as reset returns it, got float32\[2\]",
    ),
    "state of another environment": (
        lambda: jaxenvs.CartPole().step(KEY, rocket()[1], 1),
        r"CartPole\.step: state must be State\(position .*, got State\(position .*thrust float32\[\]\)",
    ),
    "keys in reset": (lambda: rocket()[0].reset(KEYS), r"SimpleRocket\.reset: key must be one JAX key, got 2 keys"),
    "keys in step": (lambda: step(key=KEYS), r"SimpleRocket\.step: key must be one JAX key, got 2 keys of the shape"),
    "keys in draw": (lambda: jaxenvs.HeartPole().draw(KEYS), r"HeartPole\.draw: key must be one JAX key, got 2 keys"),
    "keys of a batch": (lambda: rockets()[0].reset(KEYS), r"VectorEnv\(SimpleRocket\)\.reset: key must be one JAX key"),
    "keys of steps": (
        lambda: steps(rockets()[1], key=KEYS),
        r"VectorEnv\(SimpleRocket\)\.step: key must be one JAX key, got 2 keys",
    ),
    "keys of samples": (
        lambda: jaxenvs.spaces.sample(spaces.Discrete(2), KEYS),
        r"spaces\.sample: key must be one JAX key, got 2 keys",
    ),
    "keys of a rollout": (lambda: roll(key=KEYS), "rollout: key must be one JAX key, got 2 keys"),
    "state of one as that of a batch": (
        lambda: steps(rocket()[1]),
        r"VectorEnv\(SimpleRocket\)\.step: state must be a VectorState \(order: key, state, action\), got State\(",
    ),
    "state of another batch": (
        lambda: steps(rockets(3)[1]),
        r"VectorEnv\(SimpleRocket\)\.step: state must be State\(position float32\[2\].*got .*float32\[3\]",
    ),
    "obs as state of a rollout": (
        lambda: roll(rockets()[2]),
        r"rollout: state must be a VectorState .*float32\[2,2\]",
    ),
    "obs of another batch": (
        lambda: roll(obs=rockets(3)[2]),
        r"rollout: obs must be that of 2 environments, got float32\[3,2\]",
    ),
    "policy without result": (roll, r"VectorEnv\(SimpleRocket\)\.step: actions must be in Box.*, got None"),
    "static constant traced": (
        lambda: jax.jit(lambda torque: jaxenvs.Pendulum(max_torque=torque).gravity)(1.0),
        "Pendulum: max_torque is static: it cannot be traced, mapped or differentiated",
    ),
    "a number as shape": (
        lambda: jaxenvs.spaces.sample(spaces.Discrete(2), KEY, -1),
        r"spaces\.sample: shape must be a tuple of integers of at least 0, such as \(3,\), got -1",
    ),
    "reset of Gymnasium": (lambda: rocket()[0].reset(), r"SimpleRocket has reset\(key\) .* gymnasium\.make"),
    "seed of Gymnasium": (lambda: rocket()[0].reset(seed=1), r"SimpleRocket has reset\(key\) .* gymnasium\.make"),
    "step of Gymnasium": (lambda: rocket()[0].step(1), r"has step\(key, state, action\) .* gymnasium\.make"),
    "render of Gymnasium": (lambda: rocket()[0].render(), r"SimpleRocket has render\(state\) .* gymnasium\.make"),
    "render_mode of Gymnasium": (
        lambda: jaxenvs.make("SimpleRocket-v0", render_mode="human"),
        r"SimpleRocket has no render_mode, but render\(state\); gymnasium\.make",
    ),
    "max_steps": (
        lambda: jaxenvs.make_vec("SimpleRocket-v0", 2, max_steps=3),
        "SimpleRocket has no constant 'max_steps': the time limit is max_episode_steps, of make_vec and of register",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_explained_in_one_sentence(what):
    make_it, message = MISTAKES[what]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        make_it()
    assert "\n" not in str(caught.value)


def test_tuples_of_actions_are_taken_as_lists_are():
    state = rockets()[1]
    by_tuple, by_list = steps(state, ((0.5,), (1.0,))), steps(state, [[0.5], [1.0]])
    jax.tree.map(np.testing.assert_array_equal, by_tuple, by_list)


@pytest.mark.parametrize("x", [2**32 + 1, 2**31, 2**70, -1, 4, None, "a", [1, [2]], True, 1.0, float("nan"), {}])
def test_what_is_no_element_of_a_discrete_space_is_not_contained(x):
    assert not jaxenvs.spaces.contains(spaces.Discrete(4), x)


@pytest.mark.parametrize("x", [0, 3, np.int64(3), np.uint8(1), np.array(2), jnp.int32(2)])
def test_elements_of_a_discrete_space_are_contained(x):
    assert jaxenvs.spaces.contains(spaces.Discrete(4), x)


@pytest.mark.parametrize(("method", "env"), [("observe", jaxenvs.HeartPole()), ("render", jaxenvs.FiveChoices())])
def test_a_method_of_a_state_refuses_one_of_another_environment_with_the_fields_that_it_reads(method, env):
    other = jaxenvs.HeartPoleV1().reset(jax.random.key(0))[0]
    with pytest.raises(TypeError, match=rf"{type(env).__name__}\.{method}: state must be State\(.*, got State\(alert"):
        getattr(env, method)(other)
    getattr(env, method)(jax.device_get(env.reset(jax.random.key(0))[0]))
