"""`rollout`: a policy in a batch of environments, scanned."""

import dataclasses
import functools
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs import Transitions, rollout

KEY = jax.random.key(0)
STEPS, ENVS = 9, 3


def policy(key, obs):
    """Random, and different where the observation is."""
    return jnp.tanh(jax.random.normal(key, (obs.shape[0], 1)) + obs[:, :1])


@functools.cache
def situation():
    """Rockets that are truncated at steps 4 and 8, a state and an observation to begin from."""
    envs = jaxenvs.make_vec("SimpleRocket-v0", ENVS, max_episode_steps=4)
    return envs, *envs.reset(jax.random.key(1))


@jax.jit
def roll(envs, key, state, obs):
    return rollout(envs, policy, key, state, obs, STEPS)


@functools.cache
def scanned():
    envs, state, obs = situation()
    return jax.device_get(roll(envs, KEY, state, obs))


@functools.cache
def by_hand():
    """The same by a Python loop: (state, obs, [(obs acted on, action, VectorStep), ...])."""
    envs, state, obs = situation()
    rows = []
    for index in range(STEPS):
        policy_key, step_key = jax.random.split(jax.random.fold_in(KEY, index))
        action = policy(policy_key, obs)
        state, step = envs.step(step_key, state, action)
        rows.append((obs, action, step))
        obs = step.obs
    return jax.device_get((state, obs, rows))


def assert_same(left, right):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7), left, right)


def stacked(rows):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def test_a_rollout_is_a_loop_of_steps():
    obs, action, step = stacked(by_hand()[2])
    assert_same(scanned()[2], Transitions(obs, action, *step[1:]))


def test_the_last_state_and_obs_are_those_of_the_loop():
    assert_same(scanned()[:2], by_hand()[:2])


def test_time_is_in_front_of_the_batch():
    steps = scanned()[2]
    assert steps.obs.shape == steps.final_obs.shape == (STEPS, ENVS, 2)
    assert steps.action.shape == (STEPS, ENVS, 1)
    assert {leaf.shape for leaf in (steps.reward, *steps[3:5], *steps[6:])} == {(STEPS, ENVS)}


def test_obs_is_the_observation_acted_on():
    steps = scanned()[2]
    np.testing.assert_array_equal(steps.obs[0], situation()[2])
    np.testing.assert_array_equal(steps.obs[4], by_hand()[2][3][2].obs)
    going_on = ~steps.truncated[:-1]
    np.testing.assert_array_equal(steps.obs[1:][going_on], steps.final_obs[:-1][going_on])


def test_final_obs_is_kept_where_an_episode_ends():
    steps = scanned()[2]
    assert np.flatnonzero(steps.truncated[:, 0]).tolist() == [3, 7]
    assert (np.abs(steps.obs[4] - steps.final_obs[3]) > 1e-3).any(axis=1).all()


def test_every_step_has_keys_of_its_own():
    envs, state, obs = situation()
    noise = rollout(envs, lambda key, obs: jax.random.uniform(key, (ENVS, 1)), KEY, state, obs, 50)[2].action
    assert len(np.unique(noise)) == noise.size


def test_the_policy_and_the_environment_have_different_keys():
    # A policy that uses its key as the batch does when it draws new starts.
    def spy(key, obs):
        return jax.random.uniform(jax.random.split(key)[1], (2, 2000))[0][:, None]

    envs = jaxenvs.make_vec("SimpleRocket-v0", 2000, max_episode_steps=1)
    state, obs = envs.reset(KEY)
    steps = rollout(envs, spy, KEY, state, obs, 2)[2]
    assert abs(np.corrcoef(steps.action[0, :, 0], steps.obs[1, :, 0])[0, 1]) < 4.5 / np.sqrt(2000)


def test_two_keys_give_two_rollouts():
    envs, state, obs = situation()
    other = roll(envs, jax.random.key(7), state, obs)[2]
    assert not np.isclose(other.action, scanned()[2].action).any()


def test_a_rollout_outside_jit_is_the_rollout_inside():
    envs, state, obs = situation()
    assert_same(rollout(envs, policy, KEY, state, obs, STEPS), scanned())


def test_a_rollout_goes_on_from_the_last():
    state, obs, first = scanned()
    second = roll(situation()[0], jax.random.key(1), state, obs)[2]
    np.testing.assert_array_equal(second.obs[0], first.final_obs[-1])
    assert second.episode_length[:, 0].tolist() == [2, 3, 4, 1, 2, 3, 4, 1, 2]


def test_collect_decides_what_is_kept():
    envs, state, obs = situation()
    kept = rollout(envs, policy, KEY, state, obs, STEPS, collect=lambda obs, action, step: (obs[:, 0], step.reward))[2]
    assert_same(kept, (scanned()[2].obs[..., 0], scanned()[2].reward))


def test_nothing_need_be_kept():
    envs, state, obs = situation()
    *end, kept = rollout(envs, policy, KEY, state, obs, STEPS, collect=lambda obs, action, step: None)
    assert kept is None
    assert_same(tuple(end), scanned()[:2])


def test_no_steps_change_nothing():
    envs, state, obs = situation()
    after, after_obs, steps = rollout(envs, policy, KEY, state, obs, 0)
    assert_same((after, after_obs), (state, obs))
    assert steps.obs.shape == (0, ENVS, 2)


def test_rollouts_vmap_over_keys():
    envs, state, obs = situation()
    keys = jnp.stack([KEY, jax.random.key(3)])
    together = jax.vmap(roll, (None, 0, None, None))(envs, keys, state, obs)
    assert_same(jax.tree.map(lambda leaf: leaf[0], together), scanned())


def test_raw_keys_roll_out_as_typed_ones():
    envs, state, obs = situation()
    assert_same(roll(envs, jax.random.PRNGKey(0), state, obs), scanned())


def test_a_policy_of_the_wrong_shape_is_refused():
    envs, state, obs = situation()
    with pytest.raises(ValueError, match=r"actions must have the shape \(1,\)"):
        rollout(envs, lambda key, obs: obs, KEY, state, obs, 1)


class Unobserved(jaxenvs.SimpleRocket):
    """The same rocket, whose observations only its steps know."""

    observe = jaxenvs.Environment.observe

    def start_at(self, position, velocity):
        state, _ = jaxenvs.SimpleRocket().start_at(position, velocity)
        return state, jnp.stack([state.position, state.velocity], axis=-1)

    def transition(self, state, action, draws):
        return jaxenvs.SimpleRocket().transition(state, action, draws)


def test_an_environment_without_observe_is_rolled_out_all_the_same():
    envs, state, obs = situation()
    other = dataclasses.replace(envs, env=Unobserved())
    assert_same(jax.device_get(roll(other, KEY, state, obs)), scanned())


def test_the_first_action_is_on_the_observation_that_is_given():
    envs, state, obs = situation()
    _, _, steps = jax.device_get(roll(envs, KEY, state, obs + 5))
    np.testing.assert_array_equal(steps.obs[0], obs + 5)
    first = policy(jax.random.split(jax.random.fold_in(KEY, 0))[0], obs + 5)
    np.testing.assert_allclose(steps.action[0], first, rtol=1e-6)
    assert np.abs(steps.obs[1:]).max() < 3


@pytest.mark.parametrize("env", [jaxenvs.SimpleRocket(), Unobserved()])
def test_no_steps_give_back_what_was_given(env):
    envs = jaxenvs.make_vec(env, ENVS)
    _, state, obs = situation()
    after, seen, steps = rollout(envs, policy, KEY, state, obs, 0)
    assert_same((after, seen), (state, obs))
    assert steps.reward.shape == (0, ENVS)


def test_a_batch_of_constants_is_observed_member_by_member():
    envs = jaxenvs.make_vec("RocketLanding-v0", ENVS, max_episode_steps=2)
    envs = dataclasses.replace(envs, env=envs.env.replace(dry_mass=np.linspace(800.0, 1200.0, ENVS, dtype=np.float32)))
    state, obs = envs.reset(KEY)
    _, last, steps = rollout(envs, lambda key, obs: envs.sample_actions(key), KEY, state, obs, 4)
    np.testing.assert_array_equal(steps.obs[0], obs)
    np.testing.assert_allclose(steps.obs[1], steps.final_obs[0], rtol=1e-6, atol=1e-6)
    assert jax.tree.leaves(last)[0].shape == obs.shape


def test_a_scan_carries_observations_only_where_they_cannot_be_made_from_the_state():
    envs, state, obs = situation()
    for env, carried in ((envs.env, 0), (Unobserved(), 1)):
        batch = dataclasses.replace(envs, env=env)
        traced = jax.make_jaxpr(lambda s, o, batch=batch: rollout(batch, policy, KEY, s, o, STEPS))(state, obs)
        scan = next(eqn for eqn in traced.eqns if eqn.primitive.name == "scan")
        # What is stacked has the axis of time in front.
        assert sum(out.aval.shape == obs.shape for out in scan.outvars) == carried


def pairs(key, obs):
    """The policy, with what it drew."""
    action = policy(key, obs)
    return action, {"twice": 2.0 * action, "key": jax.random.key_data(key)}


def test_what_a_policy_returns_besides_actions_is_handed_to_collect():
    envs, state, obs = situation()
    collect = lambda obs, action, extra, step: (action, extra["twice"], step.reward)  # noqa: E731
    action, twice, reward = rollout(envs, pairs, KEY, state, obs, STEPS, collect)[2]
    assert_same((action, reward), (scanned()[2].action, scanned()[2].reward))
    assert_same(twice, 2.0 * scanned()[2].action)


def test_by_default_extras_stand_beside_the_transitions():
    envs, state, obs = situation()
    after, after_obs, (steps, extra) = rollout(envs, pairs, KEY, state, obs, STEPS)
    assert_same((after, after_obs, steps), scanned())
    assert extra["key"].shape == (STEPS, 2) and len(np.unique(extra["key"], axis=0)) == STEPS


def test_a_fold_sums_without_keeping_the_steps():
    envs, state, obs = situation()
    fold = lambda total, reward: (total[0] + reward, total[1] + 1), (jnp.zeros(ENVS), 0)
    after, after_obs, (total, count) = rollout(
        envs, policy, KEY, state, obs, STEPS, lambda obs, action, step: step.reward, fold=fold
    )
    assert_same((after, after_obs), scanned()[:2])
    np.testing.assert_allclose(total, scanned()[2].reward.sum(0), rtol=1e-5)
    assert count == STEPS


class TwoTaps(jaxenvs.Environment):
    """Actions are a pair."""

    max_episode_steps = 4

    @property
    def action_space(self):
        return gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(3)])

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(-10.0, 10.0, (1,))

    def reset(self, key):
        return jnp.float32(0.0), jnp.zeros(1)

    def step(self, key, state, action):
        first, second = action
        reward = (first + 10 * second).astype(jnp.float32)
        return state, jaxenvs.Step(jnp.zeros(1), reward, jnp.bool_(False))


@pytest.mark.parametrize("extra", [False, True], ids=["alone", "with extra"])
def test_a_pair_that_is_an_action_of_a_tuple_space_is_no_extra(extra):
    envs = jaxenvs.make_vec(TwoTaps(), ENVS)
    state, obs = envs.reset(KEY)
    action = jnp.ones(ENVS, jnp.int32), jnp.full(ENVS, 2, jnp.int32)
    act = lambda key, obs: (action, obs) if extra else action  # noqa: E731
    kept = rollout(envs, act, KEY, state, obs, 3)[2]
    steps = kept[0] if extra else kept
    assert isinstance(steps, Transitions) and (steps.reward == 21.0).all()


def test_a_constant_action_outside_the_space_is_refused_by_value():
    envs, state, obs = situation()
    with pytest.raises(ValueError, match=r"SimpleRocket\)\.step: actions must be in Box"):
        rollout(envs, lambda key, obs: np.full((ENVS, 1), 7.0, np.float32), KEY, state, obs, 3)


COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration_secs, **_: COMPILED.append(event) if event.endswith("backend_compile_duration") else None
)


class Gain:
    """A policy with a parameter that changes, as a method."""

    def __init__(self, gain):
        self.gain = gain

    def act(self, key, obs):
        return jnp.clip(self.gain * obs[:, :1], -1.0, 1.0)


def kept(obs, action, step):
    return action


def tilted(weight):
    """A new policy for each weight, with a function of JAX that has its own rule of differentiation."""
    return lambda key, obs: jnp.tanh(jax.nn.relu(obs @ weight) + obs[:, :1])


def test_a_rollout_outside_jit_is_compiled_once_for_policies_that_differ_in_arrays_only():
    envs, state, obs = situation()
    weights = [jnp.full((2, 1), weight) for weight in (0.5, 1.0, 2.0)]
    actions = [rollout(envs, tilted(weights[0]), KEY, state, obs, STEPS, kept)[2]]
    before = len(COMPILED)
    actions += [rollout(envs, tilted(weight), KEY, state, obs, STEPS, kept)[2] for weight in weights[1:]]
    assert len(COMPILED) == before
    for weight, action in zip(weights, actions, strict=True):
        np.testing.assert_allclose(action[0], tilted(weight)(KEY, obs), rtol=1e-6)


def test_a_constant_of_the_environment_changes_without_compiling():
    envs, state, obs = situation()
    first = rollout(envs, policy, KEY, state, obs, STEPS)[2]
    before = len(COMPILED)
    other = dataclasses.replace(envs, env=envs.env.replace(dt=0.3))
    second = rollout(other, policy, jax.random.key(0), state, obs, STEPS)[2]
    assert len(COMPILED) == before
    assert (first.final_obs != second.final_obs).any()


def test_repeated_rollouts_keep_no_programs_and_no_arrays():
    envs, state, obs = situation()
    run = lambda: rollout(envs, lambda key, obs: jnp.tanh(obs[:, :1]), KEY, state, obs, STEPS, kept)  # noqa: E731
    run()
    programs, arrays = jaxenvs_programs(), len(jax.live_arrays())
    for _ in range(20):
        run()
    assert (jaxenvs_programs(), len(jax.live_arrays())) == (programs, arrays)


def jaxenvs_programs():
    return sys.modules["jaxenvs.rollout"]._program.cache_info().currsize


@pytest.mark.parametrize("change", ["method", "partial", "array", "number in a list"])
def test_a_policy_whose_parameters_change_acts_on_the_new_ones(change):
    envs, state, obs = situation()
    agent, box, array = Gain(0.5), [0.5], np.full((1, 1), 0.5, np.float32)
    policies = {
        "method": agent.act,
        "partial": functools.partial(lambda agent, key, obs: agent.act(key, obs), agent),
        "array": lambda key, obs: jnp.clip(jnp.asarray(array) * obs[:, :1], -1.0, 1.0),
        "number in a list": lambda key, obs: jnp.clip(box[0] * obs[:, :1], -1.0, 1.0),
    }
    roll_out = lambda: rollout(envs, policies[change], KEY, state, obs, 2, kept)[2][0]  # noqa: E731
    np.testing.assert_allclose(roll_out(), np.clip(0.5 * obs[:, :1], -1, 1), rtol=1e-6)
    agent.gain, box[0], array[0] = 0.25, 0.25, 0.25
    np.testing.assert_allclose(roll_out(), np.clip(0.25 * obs[:, :1], -1, 1), rtol=1e-6)


def test_a_jitted_function_inside_the_policy_keeps_its_own_arrays():
    envs, state, obs = situation()
    for weight in (0.5, 0.25):
        closed_over = jnp.full((2, 1), weight)
        inner = jax.jit(lambda obs, closed_over=closed_over: jnp.tanh(obs @ closed_over))
        action = rollout(envs, lambda key, obs, inner=inner: inner(obs), KEY, state, obs, 1, kept)[2][0]
        np.testing.assert_allclose(action, np.tanh(obs @ closed_over), rtol=1e-6)


def test_gradients_reach_the_parameters_that_a_policy_closes_over():
    envs, state, obs = situation()

    def score(weight):
        return rollout(envs, tilted(weight), KEY, state, obs, STEPS)[2].reward.sum()

    weight = jnp.full((2, 1), 0.1)
    gradient = jax.grad(score)(weight)
    assert np.abs(gradient).min() > 0
    np.testing.assert_allclose(gradient, jax.jit(jax.grad(score))(weight), rtol=1e-3)


def test_policies_that_a_vmap_maps_over_act_each_on_its_own():
    envs, state, obs = situation()
    weights = jnp.stack([jnp.full((2, 1), weight) for weight in (0.5, 1.0)])
    actions = jax.vmap(lambda weight: rollout(envs, tilted(weight), KEY, state, obs, 2, kept)[2])(weights)
    for weight, action in zip(weights, actions, strict=True):
        np.testing.assert_allclose(action[0], tilted(weight)(KEY, obs), rtol=1e-6)


def test_what_is_no_array_reaches_collect_as_it_is():
    envs, state, obs = situation()
    for name in ("left", "right"):
        named = lambda key, obs, name=name: (policy(key, obs), name)  # noqa: E731
        kept = rollout(envs, named, KEY, state, obs, 2, lambda obs, action, extra, step: {extra: step.reward})[2]
        assert list(kept) == [name]


def test_a_fold_may_begin_with_numbers_of_python():
    envs, state, obs = situation()
    add = lambda total, reward: total + reward.sum()  # noqa: E731
    reward = lambda obs, action, step: step.reward  # noqa: E731
    total = rollout(envs, policy, KEY, state, obs, STEPS, reward, fold=(add, 0.0))[2]
    np.testing.assert_allclose(total, scanned()[2].reward.sum(), rtol=1e-5)


class Hidden(jaxenvs.SimpleRocket):
    """The same rocket, whose velocity nobody sees."""

    def reset(self, key):
        state, obs = super().reset(key)
        return state, obs[:1]

    def step(self, key, state, action):
        state, step = super().step(key, state, action)
        return state, step._replace(obs=step.obs[:1])


class Shifted(jaxenvs.SimpleRocket):
    """The same rocket, observed with an offset in its transitions."""

    def transition(self, state, action, draws):
        state, step = super().transition(state, action, draws)
        return state, step._replace(obs=step.obs + 1.0)


class Slower(Shifted):
    """Changes nothing of the methods that its parent has changed."""

    max_episode_steps = 3


@pytest.mark.parametrize("cls", [Hidden, Shifted, Slower])
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_the_policy_is_shown_the_observations_of_a_subclass_that_changes_steps(cls, jitted):
    envs = jaxenvs.make_vec(cls(), ENVS, max_episode_steps=4)
    state, obs = envs.reset(KEY)
    run = lambda state, obs: rollout(envs, policy, KEY, state, obs, 6)  # noqa: E731
    _, last, steps = (jax.jit(run) if jitted else run)(state, obs)
    going_on = ~steps.truncated[:-1]
    np.testing.assert_array_equal(steps.obs[1:][going_on], steps.final_obs[:-1][going_on])
    assert not steps.truncated[-1].any() and (last == steps.final_obs[-1]).all()


@pytest.mark.parametrize(
    ("num_steps", "error"), [(-1, ValueError), (2.0, TypeError), (None, TypeError), (True, TypeError)]
)
def test_a_number_of_steps_that_is_none_is_refused(num_steps, error):
    envs, state, obs = situation()
    with pytest.raises(error, match=rf"rollout: num_steps must be .*at least 0, got {num_steps}"):
        rollout(envs, policy, KEY, state, obs, num_steps)
