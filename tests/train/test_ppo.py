import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from reference.probes import Probe, Target

import jaxenvs
from train import ppo
from train.floor import running

EITHER = pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["plain", "jitted"])


CONFIG = ppo.Config(
    num_envs=16, num_steps=8, segment=4, minibatches=2, epochs=4, hidden=(16,), learning_rate=0.01, gamma=0.8,
    scale_rewards=False,
)  # fmt: skip
TINY = dataclasses.replace(CONFIG, num_envs=4, num_steps=4, epochs=1, hidden=(4,))
ENVS = jaxenvs.make_vec(Probe(horizon=2, by_match=1.0), 4)
MANY = jaxenvs.make_vec(ENVS, 64)
ENDLESS = jaxenvs.make_vec(Probe(horizon=1_000_000, clock=False, always=1.0), 4)
LONG = 100
SHORT = 3

train = jax.jit(ppo.train, static_argnums=3)
init = jax.jit(ppo.init)
TRACES = []


@jax.jit
def update(config, envs, state):
    TRACES.append(config)
    return ppo.update(config, envs, state)


def learned(config=CONFIG, seed=0, **constants):
    """The state and the metrics after learning a probe, and the values of (sign, age)."""
    state, metrics = train(config, Probe(**constants), jax.random.key(seed), LONG)

    def value(sign, age=0):
        x = running.seen(config, state, jnp.array([sign, float(age)]))
        return float(ppo.value(config, ENVS, state.params, x))

    return state, metrics, value


def choices(state, envs, obs):
    act = ppo.policy(CONFIG, envs, state)
    return act(jax.random.key(0), jnp.array(obs, jnp.float32)).tolist()


def test_value_of_a_constant_reward_is_learned():
    _, _, value = learned(horizon=1, always=1.0)
    assert value(1) == pytest.approx(1.0, abs=0.02) and value(-1) == pytest.approx(1.0, abs=0.02)


def test_value_of_a_reward_one_step_away_is_the_discount():
    _, _, value = learned(horizon=2, at_last=1.0)
    assert value(1, age=0) == pytest.approx(0.8, abs=0.02) and value(1, age=1) == pytest.approx(1.0, abs=0.02)


def test_value_of_a_reward_that_the_observation_foretells_is_learned():
    _, metrics, value = learned(horizon=1, by_sign=1.0)
    assert value(1) == pytest.approx(1.0, abs=0.02) and value(-1) == pytest.approx(-1.0, abs=0.02)
    assert metrics.means["explained_variance"][-1] > 0.99


def test_the_choice_that_pays_is_learned():
    state, _, value = learned(horizon=1, by_choice=1.0)
    assert choices(state, ENVS, [[1, 0], [-1, 0]]) == [1, 1]
    assert value(1) == pytest.approx(1.0, abs=0.02)


def test_the_choice_that_costs_is_avoided():
    state, _, _ = learned(horizon=1, by_choice=-1.0)
    assert choices(state, ENVS, [[1, 0], [-1, 0]]) == [0, 0]


def test_the_choice_that_fits_the_observation_is_learned():
    state, metrics, value = learned(horizon=1, by_match=1.0)
    assert choices(state, ENVS, [[1, 0], [-1, 0]]) == [1, 0]
    assert value(1) == pytest.approx(1.0, abs=0.02) and value(-1) == pytest.approx(1.0, abs=0.02)
    assert metrics.return_sum[-1] / metrics.episodes[-1] > 0.95


def test_value_of_an_episode_that_only_the_time_limit_ends_is_that_of_an_endless_one():
    _, _, value = learned(horizon=1_000_000, clock=False, always=1.0)
    # 1 / (1 - 0.8), where the four steps to the time limit would sum to 2.952
    assert value(1) == pytest.approx(5.0, abs=0.05)


def test_value_at_the_time_limit_is_that_of_the_true_successor_and_not_of_the_next_start():
    _, _, value = learned(horizon=1_000_000, clock=False, by_sign=1.0)
    # the next start has either sign, and a value of 0 on average
    assert value(1) == pytest.approx(5.0, abs=0.1) and value(-1) == pytest.approx(-5.0, abs=0.1)


def test_value_of_an_episode_that_ends_by_itself_is_its_finite_sum():
    _, _, value = learned(horizon=4, always=1.0)
    assert [value(1, age) for age in range(4)] == pytest.approx([2.952, 2.44, 1.8, 1.0], abs=0.05)


def test_an_optimum_inside_the_box_is_learned():
    config = dataclasses.replace(CONFIG, scale_rewards=True)
    state, _ = train(config, Target(), jax.random.key(0), LONG)
    action = ppo.policy(config, jaxenvs.make_vec(Target(), 1), state)(jax.random.key(0), jnp.zeros(1))
    assert action.shape == (1,) and action[0] == pytest.approx(3.5, abs=0.05)


def test_a_large_entropy_bonus_keeps_the_choices_even():
    _, metrics, _ = learned(dataclasses.replace(CONFIG, entropy_bonus=10.0), by_choice=1.0)
    assert metrics.means["entropy"][-1] > 0.65


def test_an_entropy_bonus_that_ends_at_0_lets_the_choice_be_made():
    config = dataclasses.replace(
        CONFIG, entropy_bonus=10.0, final_entropy_bonus=0.0, schedule_updates=50.0, final_learning_rate=1.0
    )
    _, metrics, _ = learned(config, by_choice=1.0)
    assert metrics.means["entropy"][20] > 0.65 and metrics.means["entropy"][-1] < 0.3


def batch(**arrays):
    empty = dict.fromkeys(ppo.Batch._fields, jnp.zeros(0))
    return ppo.Batch(**{**empty, **{name: jnp.array(value) for name, value in arrays.items()}})


PLAIN = ppo.Config(clip=0.2, normalise_advantages=False)
OLD = batch(log_prob=[0.0] * 4, advantage=[1.0, 1.0, -1.0, -1.0])
NEW = jnp.log(jnp.array([0.5, 1.5, 1.5, 0.5]))


@EITHER
def test_objective_is_the_lesser_of_the_free_and_the_clipped_one(transform):
    # (0.5 + 1.2 - 1.5 - 0.8) / 4
    assert transform(ppo.policy_loss)(PLAIN, NEW, OLD)[0] == pytest.approx(0.15)


def test_a_sample_that_is_far_enough_already_pulls_no_more():
    slope = jax.grad(lambda log_prob: ppo.policy_loss(PLAIN, log_prob, OLD)[0])(NEW)
    assert slope.tolist() == pytest.approx([-0.125, 0.0, 0.375, 0.0])


def test_kl_is_estimated_from_the_ratios():
    kl = ppo.policy_loss(PLAIN, NEW, OLD)[1]
    assert kl == pytest.approx((-0.5 - math.log(0.5) + 0.5 - math.log(1.5)) / 2)


def test_clipped_part_counts_ratios_beyond_the_bound_on_both_sides():
    near = jnp.log(jnp.array([0.79, 0.81, 1.19, 1.21]))
    assert ppo.policy_loss(PLAIN, near, OLD)[2] == 0.5


@EITHER
def test_advantages_are_standardised_over_the_minibatch(transform):
    config = dataclasses.replace(PLAIN, normalise_advantages=True)
    pair = batch(log_prob=[0.0, 0.0], advantage=[1.0, 3.0])
    # advantages become -1 and 1: -(-1 * 1 + 1 * 1.1) / 2
    assert transform(ppo.policy_loss)(config, jnp.log(jnp.array([1.0, 1.1])), pair)[0] == pytest.approx(-0.05)


def test_equal_advantages_standardise_to_0():
    config = dataclasses.replace(PLAIN, normalise_advantages=True)
    assert ppo.policy_loss(config, NEW, OLD._replace(advantage=jnp.full(4, 2.0)))[0] == 0.0


@EITHER
def test_value_loss_is_half_the_mean_squared_error(transform):
    # targets 0.5 and 1
    pair = batch(value=[0.0, 2.0], advantage=[0.5, -1.0])
    assert transform(ppo.value_loss)(PLAIN, jnp.array([1.0, 2.0]), pair) == pytest.approx(0.3125)


@EITHER
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_value_that_moved_too_far_is_charged_as_if_it_stood_at_the_bound(transform, side):
    config = dataclasses.replace(PLAIN, clip_values=True, value_clip=0.2)
    one = batch(value=[0.0], advantage=[0.5 * side])
    assert transform(ppo.value_loss)(config, jnp.array([0.5 * side]), one) == pytest.approx(0.5 * 0.3**2)


def test_value_clipping_never_lowers_the_loss():
    config = dataclasses.replace(PLAIN, clip_values=True, value_clip=0.2)
    one = batch(value=[0.0], advantage=[0.5])
    assert ppo.value_loss(config, jnp.array([1.0]), one) == pytest.approx(0.125)


@functools.cache
def loss_of(entropy_bonus, value_cost):
    state = init(TINY, ENVS, jax.random.key(0))
    samples = batch(
        features=[[1.0, 0.0], [-1.0, 1.0]], sample=[0, 1], log_prob=[-0.6, -0.7], value=[0.0, 1.0], advantage=[1.0, 2.0]
    )
    config = dataclasses.replace(PLAIN, value_cost=value_cost)
    return ppo.loss(dataclasses.replace(config, hidden=TINY.hidden), ENVS, state.params, samples, entropy_bonus)


def test_entropy_is_rewarded():
    total, parts = loss_of(0.0, 0.5)
    assert parts["entropy"] == pytest.approx(math.log(2), abs=1e-3)
    assert loss_of(0.1, 0.5)[0] == pytest.approx(float(total - 0.1 * parts["entropy"]), rel=1e-5)


def test_value_loss_is_weighed_by_its_cost():
    total, parts = loss_of(0.0, 2.0)
    assert total == pytest.approx(float(parts["policy_loss"] + 2.0 * parts["value_loss"]), rel=1e-5)


def test_train_spreads_the_step_size_over_its_updates():
    _, metrics = train(TINY, ENVS, jax.random.key(0), SHORT)
    np.testing.assert_allclose(metrics.means["learning_rate"], [0.01, 0.01 * 2 / 3, 0.01 / 3], rtol=1e-6)


def test_train_takes_a_given_schedule_as_it_is():
    config = dataclasses.replace(TINY, schedule_updates=2.0, final_learning_rate=0.5)
    _, metrics = train(config, ENVS, jax.random.key(0), SHORT)
    np.testing.assert_allclose(metrics.means["learning_rate"], [0.01, 0.0075, 0.005], rtol=1e-6)


def after(count, config=TINY, envs=ENVS, seed=0):
    state = init(config, envs, jax.random.key(seed))
    for _ in range(count - 1):
        state, _ = update(config, envs, state)
    return update(config, envs, state)


@pytest.mark.parametrize("count", [1, 3])
def test_ratios_are_1_until_parameters_change(count):
    state, metrics = after(count, dataclasses.replace(TINY, learning_rate=0.0))
    assert metrics.means["kl"] == pytest.approx(0.0, abs=1e-6) and metrics.means["clipped"] == 0.0
    jax.tree.map(np.testing.assert_array_equal, state.params, init(TINY, ENVS, jax.random.key(0)).params)


def test_parameters_all_move():
    begun, moved = init(TINY, ENVS, jax.random.key(0)).params, after(1)[0].params
    assert not any(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(begun), jax.tree.leaves(moved)) if a.size)


def test_every_update_draws_again():
    state = init(TINY, ENVS, jax.random.key(0))
    first, second = (update(TINY, ENVS, state._replace(updates=jnp.int32(count)))[0].params for count in (0, 1))
    assert not np.allclose(kernel(first.actor), kernel(second.actor), atol=0.0)


def test_scaled_rewards_make_the_unit_of_reward_indifferent():
    config = dataclasses.replace(TINY, scale_rewards=True)
    cents, dollars = (after(2, config, jaxenvs.make_vec(Probe(by_match=unit), 4))[0].params for unit in (100.0, 1.0))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), cents, dollars)


def test_moments_count_every_step():
    state, _ = after(3)
    assert state.obs_moments.count == 3 * 16 and state.return_moments.count == 3 * 16


def test_first_episodes_that_began_aged_are_left_out_of_the_figures():
    state, total = init(TINY, ENDLESS, jax.random.key(0)), 0
    assert len(set(state.env_state.episode_length.tolist())) > 1
    for _ in range(4):
        state, metrics = update(TINY, ENDLESS, state)
        assert metrics.return_sum == 4 * metrics.episodes == metrics.length_sum
        total += int(metrics.episodes)
    # 16 steps hold 4 full episodes of each environment that began at age 0, and 3 of every other
    assert total == 12 + sum(age == 0 for age in init(TINY, ENDLESS, jax.random.key(0)).env_state.episode_length)


def _raw(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


AXES = dataclasses.replace(jax.tree.map(lambda _: None, TINY), learning_rate=0)


@functools.partial(jax.jit, static_argnums=3)
def train_all(config, env, keys, num_updates):
    return jax.vmap(ppo.train, (AXES, None, 0, None))(config, env, keys, num_updates)


def test_a_member_of_a_population_acts_by_itself():
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    states, _ = train_all(dataclasses.replace(TINY, learning_rate=jnp.array([0.01, 0.01])), ENVS, keys, SHORT)
    member = jax.tree.map(lambda x: x[1], states)
    assert ppo.policy(TINY, ENVS, member)(jax.random.key(0), jnp.zeros((5, 2))).shape == (5,)


def test_every_random_part_of_a_start_differs_between_seeds():
    config = dataclasses.replace(TINY, num_envs=64)
    first, second = (init(config, MANY, jax.random.key(seed)) for seed in (0, 1))
    assert not any(np.array_equal(a, b) for a, b in zip(random_parts(first), random_parts(second), strict=True))


def kernel(network):
    """The first layer's."""
    return network["body"]["Dense_0"]["kernel"]


def random_parts(state):
    weights = [x for x in jax.tree.leaves((state.params.actor, state.params.critic)) if x.ndim == 2]
    return [*weights, state.obs, state.env_state.episode_length, jax.random.key_data(state.key)]


def test_actor_and_critic_begin_apart():
    params = init(TINY, ENVS, jax.random.key(0)).params
    assert not np.allclose(kernel(params.actor), kernel(params.critic))


def test_a_policy_begins_almost_even():
    state = init(TINY, ENVS, jax.random.key(0))
    pi = ppo.distribution(TINY, ENVS, state.params, jnp.array([[3.0, -3.0]]))
    assert jnp.exp(pi.log_prob(jnp.array([0]))) == pytest.approx(0.5, abs=0.02)


def test_ages_at_the_start_are_spread_up_to_the_time_limit():
    ages = init(dataclasses.replace(TINY, num_envs=64), MANY, jax.random.key(0)).env_state.episode_length
    assert sorted(set(ages.tolist())) == [0, 1, 2, 3]


def test_ages_at_the_start_are_0_without_stagger():
    state = init(dataclasses.replace(TINY, stagger=False), ENVS, jax.random.key(0))
    assert state.env_state.episode_length.tolist() == [0, 0, 0, 0]


def test_an_environment_without_a_time_limit_starts_at_age_0():
    state = init(TINY, jaxenvs.make_vec(Probe(), 4, max_episode_steps=None), jax.random.key(0))
    assert state.env_state.episode_length.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"epochs": -1}, "epochs must be at least 1 and at most 10000, got -1"),
        ({"minibatches": 0}, "minibatches must be at least 1, got 0"),
        ({"segment": 0}, "segment must be at least 1, got 0"),
        ({"hidden": (8, 0)}, "hidden must be widths of at least 1, got (8, 0)"),
        ({"num_steps": 10}, "num_steps must be a multiple of segment=8, got 10"),
        ({"minibatches": 3}, "minibatches must divide num_envs * num_steps / segment = 8, got 3"),
    ],
)
@pytest.mark.parametrize(
    "function", [ppo.check, lambda config: ppo.init(config, ENVS, jax.random.key(0))], ids=["check", "init"]
)
def test_counts_that_do_not_fit_are_refused_with_their_values(function, wrong, message):
    counts = {"num_envs": 4, "num_steps": 16, "segment": 8, "minibatches": 4} | wrong
    with pytest.raises(ValueError) as caught:
        function(ppo.Config(**counts))
    assert str(caught.value).removeprefix("Config: ") == message


def test_counts_that_fit_are_let_pass():
    ppo.check(ppo.Config(num_envs=4, num_steps=16, segment=8, minibatches=4))


def decided(margin):
    """A learner whose logits are (0, margin) wherever it stands."""
    state = init(TINY, ENVS, jax.random.key(0))
    actor = state.params.actor
    head = {"kernel": jnp.zeros_like(actor["head"]["kernel"]), "bias": jnp.array([0.0, margin])}
    return state._replace(params=state.params._replace(actor={**actor, "head": head}))


@EITHER
@pytest.mark.parametrize("leading", [(), (5,)])
def test_greedy_policy_takes_the_likeliest_choice(transform, leading):
    act = transform(ppo.policy(TINY, ENVS, decided(0.1)))
    assert (act(jax.random.key(0), jnp.zeros((*leading, 2))) == jnp.ones(leading)).all()


def test_stochastic_policy_takes_choices_as_often_as_it_finds_them_likely():
    act = ppo.policy(TINY, ENVS, decided(math.log(3.0)), greedy=False)
    assert act(jax.random.key(0), jnp.zeros((10_000, 2))).mean() == pytest.approx(0.75, abs=0.02)


def test_stochastic_policy_depends_on_the_key():
    act = ppo.policy(TINY, ENVS, decided(0.0), greedy=False)
    first, second = (act(jax.random.key(seed), jnp.zeros((100, 2))) for seed in (0, 1))
    assert not (first == second).all()


class Picture(jaxenvs.Environment):
    """A bright pixel on the left or on the right; the choice of its side pays 1."""

    max_episode_steps = 1

    @property
    def observation_space(self):
        return spaces.Box(0.0, 1.0, (5, 5, 1))

    @property
    def action_space(self):
        return spaces.Discrete(2)

    def reset(self, key):
        column_key, row_key = jax.random.split(key)
        column = jax.random.randint(column_key, (), 0, 4)
        column = column + (column >= 2)
        row = jax.random.randint(row_key, (), 0, 5)
        return column, jnp.zeros((5, 5, 1)).at[row, column, 0].set(1.0)

    def step(self, key, state, action):
        reward = jnp.where((state > 2) == (action == 1), 1.0, 0.0)
        return state, jaxenvs.Step(jnp.zeros((5, 5, 1)), reward, jnp.bool_(True))


def test_convolutions_learn_a_probe_of_pictures():
    config = dataclasses.replace(CONFIG, network="small-cnn", normalise_observations=False)
    _, metrics = train(config, Picture(), jax.random.key(0), 40)
    assert metrics.return_sum[-1] / metrics.episodes[-1] > 0.95


class Own(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(16)(x))


def test_a_users_own_network_learns():
    state, metrics, _ = learned(dataclasses.replace(CONFIG, network=Own()), by_match=1.0)
    assert metrics.return_sum[-1] / metrics.episodes[-1] > 0.95
    assert set(state.params.actor["body"]) == {"Dense_0"}
