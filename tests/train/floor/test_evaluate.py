import json
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs
from train.floor.evaluate import Episodes, evaluate, summary


class State(NamedTuple):
    left: jax.Array
    age: jax.Array


class Countdown(jaxenvs.Environment):
    """Starts at 1 to 5 and counts down to its end; step t pays t times the action taken."""

    max_episode_steps = 4

    @property
    def observation_space(self):
        return spaces.Box(0, 5, (2,), np.int32)

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def reset(self, key):
        state = State(jax.random.randint(key, (), 1, 6), jnp.int32(0))
        return state, jnp.stack(state)

    def step(self, key, state, action):
        state = State(state.left - 1, state.age + 1)
        reward = (state.age * action).astype(jnp.float32)
        return state, jaxenvs.Step(jnp.stack(state), reward, state.left <= 0)


def left_modulo_3(key, obs):
    return obs[:, 0] % 3


@pytest.fixture(scope="module")
def many():
    return evaluate(jaxenvs.make_vec(Countdown(), 5000), left_modulo_3, jax.random.key(0))


def starts(episodes):
    return np.asarray(episodes.final_obs).sum(-1)


def test_each_environment_is_counted_once(many):
    assert {x.shape[0] for x in jax.tree.leaves(many)} == {5000}


def test_short_episodes_weigh_no_more_than_long_ones(many):
    counts = np.bincount(starts(many), minlength=6)[1:]
    assert (abs(counts - 1000) < 120).all()


def test_lengths_and_returns_are_those_of_a_loop_over_single_episodes(many):
    env = Countdown()
    for start in range(1, 6):
        state, obs, total, length = State(jnp.int32(start), jnp.int32(0)), jnp.array([start, 0]), 0.0, 0
        for _ in range(4):
            state, step = env.step(jax.random.key(0), state, obs[0] % 3)
            obs, total, length = step.obs, total + float(step.reward), length + 1
            if step.terminated:
                break
        same = starts(many) == start
        assert set(many.episode_return[same].tolist()) == {total}
        assert set(many.episode_length[same].tolist()) == {length}
        assert np.unique(many.final_obs[same], axis=0).tolist() == [obs.tolist()]


def test_returns_are_these():
    # from 5: actions 2, 1, 0, 2, paid 1 to 4 times; from 2: actions 2, 1
    episodes = evaluate(jaxenvs.make_vec(Countdown(), 50), left_modulo_3, jax.random.key(0))
    found = dict(zip(starts(episodes).tolist(), episodes.episode_return.tolist(), strict=True))
    assert found == {1: 1.0, 2: 4.0, 3: 7.0, 4: 11.0, 5: 12.0}


def test_episodes_that_the_time_limit_ends_are_not_terminated(many):
    assert (np.asarray(many.terminated) == (starts(many) <= 4)).all()


def test_another_key_plays_other_episodes(many):
    other = evaluate(jaxenvs.make_vec(Countdown(), 5000), left_modulo_3, jax.random.key(1))
    assert (starts(other) != starts(many)).any()


def test_the_same_key_plays_the_same_episodes_jitted_or_not(many):
    again = jax.jit(lambda envs, key: evaluate(envs, left_modulo_3, key))(
        jaxenvs.make_vec(Countdown(), 5000), jax.random.key(0)
    )
    jax.tree.map(np.testing.assert_array_equal, again, many)


def test_the_policy_gets_a_new_key_at_every_step():
    def random(key, obs):
        return jax.random.randint(key, (1000,), 0, 3)

    episodes = evaluate(jaxenvs.make_vec(Countdown(), 1000), random, jax.random.key(0))
    long = np.asarray(episodes.episode_length) == 4
    # the sum of t times the action: only multiples of 10 if the action never changed
    assert (np.asarray(episodes.episode_return)[long] % 10 != 0).any()


def test_a_device_of_a_shard_map_evaluates_with_its_own_key():
    envs, one = jaxenvs.make_vec(Countdown(), 3), jax.sharding.PartitionSpec("runs")
    mesh = jax.make_mesh((1,), ("runs",), axis_types=(jax.sharding.AxisType.Auto,))
    play = lambda keys: evaluate(envs, left_modulo_3, keys[0]).episode_return  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 1)
    local = jax.shard_map(play, mesh=mesh, in_specs=one, out_specs=one)
    assert jax.eval_shape(local, keys).shape == (3,)


def test_an_environment_without_a_time_limit_is_refused():
    envs = jaxenvs.make_vec(Countdown(), 3, max_episode_steps=None)
    with pytest.raises(ValueError, match=r"needs a time limit, and Countdown\(\) has none: make_vec\(.*max_episode_st"):
        evaluate(envs, left_modulo_3, jax.random.key(0))


def episodes_of(returns, lengths=None, terminated=None):
    zeros = [0] * len(returns)
    return Episodes(
        jnp.array(returns, jnp.float32), jnp.array(lengths or zeros), jnp.array(zeros), jnp.array(terminated or zeros)
    )


@pytest.mark.parametrize(
    ("figure", "value"),
    [("mean", 4.0), ("median", 3.0), ("std", 3.5355339), ("standard_error", 1.5811388), ("mean_length", 20.0),
     ("terminated", 0.4), ("episodes", 5)],
)  # fmt: skip
def test_summary_figures(figure, value):
    episodes = episodes_of([10.0, 1.0, 2.0, 3.0, 4.0], [10, 10, 20, 30, 30], [1, 0, 1, 0, 0])
    assert summary(episodes)[figure] == pytest.approx(value)


def test_summary_quantiles_lie_between_the_returns():
    quantiles = summary(episodes_of(np.arange(101.0)))["quantiles"]
    assert quantiles == {"0%": 0.0, "5%": 5.0, "25%": 25.0, "75%": 75.0, "95%": 95.0, "100%": 100.0}


def test_summary_sums_many_returns_exactly():
    returns = np.full(100_000, 16_777_217.0 + 0.1, np.float32)
    assert summary(episodes_of(returns))["mean"] == float(returns[0])


def test_summary_of_one_episode_has_no_spread():
    assert math.isnan(summary(episodes_of([5.0]))["standard_error"])


def test_summary_is_of_plain_numbers():
    assert json.loads(json.dumps(summary(episodes_of([1.0, 2.0]))))["episodes"] == 2
