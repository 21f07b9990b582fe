"""`VectorEnv`: time limit, autoreset and episode statistics of a batch."""

# Constants may be arrays, and spaces may be plain class attributes.
# pyright: reportArgumentType=false, reportAssignmentType=false, reportCallIssue=false

import dataclasses
import pickle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from gymnasium import spaces

import jaxenvs
from jaxenvs import Environment, HeartPole, SimpleRocket, Step, constant
from jaxenvs.random import as_key

KEY = jax.random.key(0)
LEFT, STAY, QUIT = range(3)


class Walk(Environment):
    """Walks on a line with noise; the action `QUIT` ends the episode."""

    max_episode_steps = 5

    stride: float = 1.0
    noise: float = 0.1
    wind: tuple = constant((0.25, -0.5, 0.125))

    class State(NamedTuple):
        position: Any
        trace: Any

    @property
    def observation_space(self):
        line = spaces.Box(-np.inf, np.inf, (), np.float32)
        return spaces.Dict(position=line, trace=spaces.Box(-np.inf, np.inf, (2, 2), np.float32))

    action_space = spaces.Discrete(3)

    def observation(self, state):
        return {"position": state.position, "trace": state.trace}

    def draw_start(self, key, shape=()):
        return jax.random.uniform(key, shape)

    def start(self, draws):
        state = self.State(draws, jnp.zeros((2, 2)))
        return state, self.observation(state)

    def draw(self, key, shape=()):
        return jax.random.normal(key, shape)

    def transition(self, state, action, draws):
        wind = jnp.asarray(self.wind, jnp.float32).sum()
        position = state.position + self.stride * (action - 1).astype(jnp.float32) + wind + self.noise * draws
        after = self.State(position, state.trace + position)
        return after, Step(self.observation(after), position, action == QUIT)


class WholeWalk(Walk):
    """The same without the split."""

    def reset(self, key):
        return self.start(jax.random.uniform(key))

    def step(self, key, state, action):
        return self.transition(state, action, jax.random.normal(key))


def drive(envs, actions, key=KEY):
    """(first obs, VectorStep of every step, stacked) under a table of actions, [steps, num_envs]."""
    state, obs = envs.reset(key)
    steps = []
    for index, action in enumerate(actions):
        state, step = envs.step(jax.random.fold_in(key, index), state, jnp.asarray(action))
        steps.append(step)
    return obs, jax.device_get(jax.tree.map(lambda *leaves: jnp.stack(leaves), *steps))


def assert_same(left, right, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 0, "atol": 0, **tolerance}), left, right)


def at(tree, *index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


@pytest.fixture(scope="module")
def one_quits():
    """Three walkers, six steps, no limit: the second one quits at step 2, and only then."""
    actions = np.full((6, 3), STAY)
    actions[2, 1] = QUIT
    return drive(jaxenvs.make_vec(Walk(), 3, max_episode_steps=None), actions)


@pytest.fixture(scope="module")
def none_quits():
    return drive(jaxenvs.make_vec(Walk(), 3, max_episode_steps=None), np.full((6, 3), STAY))


# Ends of episodes.


def test_an_episode_terminates_where_the_environment_says(one_quits):
    assert np.argwhere(one_quits[1].terminated).tolist() == [[2, 1]]


def test_final_obs_is_the_true_successor(one_quits, none_quits):
    # One stride further than the twin that stayed; nobody starts a new episode so far out.
    twin = at(none_quits[1].final_obs, 2, 1)["position"]
    assert at(one_quits[1].final_obs, 2, 1)["position"] == pytest.approx(twin + 1.0)


def test_obs_is_the_first_of_the_next_episode(one_quits):
    obs = at(one_quits[1].obs, 2, 1)
    assert 0 <= obs["position"] < 1 and not obs["trace"].any()


def test_the_next_episode_goes_on_from_its_first_obs(one_quits):
    first, second = at(one_quits[1].obs, 2, 1), at(one_quits[1].final_obs, 3, 1)
    assert abs(second["position"] - first["position"] + 0.125) < 0.6
    np.testing.assert_allclose(second["trace"], np.full((2, 2), second["position"]))


def test_obs_is_final_obs_where_no_episode_ends(one_quits):
    going_on = ~one_quits[1].terminated
    assert_same(at(one_quits[1].obs, going_on), at(one_quits[1].final_obs, going_on))


def test_the_end_of_one_episode_leaves_the_other_members_alone(one_quits, none_quits):
    assert_same(at(one_quits[1], slice(None), [0, 2]), at(none_quits[1], slice(None), [0, 2]))


def test_the_reward_of_the_last_step_is_that_of_the_old_episode(one_quits):
    step = at(one_quits[1], 2, 1)
    assert step.reward == step.final_obs["position"]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_truncation_comes_exactly_at_the_limit(limit):
    step = drive(jaxenvs.make_vec(Walk(), 2, max_episode_steps=limit), np.full((11, 2), STAY))[1]
    expected = (np.arange(1, 12) % limit == 0)[:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(step.truncated, expected)
    assert not step.terminated.any()


def test_a_truncated_episode_is_reset():
    step = drive(jaxenvs.make_vec(Walk(), 2, max_episode_steps=3), np.full((3, 2), STAY))[1]
    assert not step.obs["trace"][2].any() and step.final_obs["trace"][2].all()


def test_both_flags_are_set_where_both_hold():
    step = drive(jaxenvs.make_vec(Walk(), 2, max_episode_steps=2), [[STAY, STAY], [QUIT, STAY]])[1]
    assert step.terminated[1].tolist() == [True, False] and step.truncated[1].tolist() == [True, True]


def test_an_early_end_restarts_the_limit():
    actions = np.full((7, 1), STAY)
    actions[1] = QUIT
    step = drive(jaxenvs.make_vec(Walk(), 1, max_episode_steps=4), actions)[1]
    assert np.flatnonzero(step.truncated).tolist() == [5]


def test_without_a_limit_nothing_is_truncated():
    step = drive(jaxenvs.make_vec(Walk(), 1, max_episode_steps=None), np.full((8, 1), STAY))[1]
    assert not step.truncated.any() and step.episode_length[-1] == 8


def test_the_limit_is_the_classs_unless_overridden():
    assert jaxenvs.make_vec(Walk(), 1).max_episode_steps == 5
    assert jaxenvs.make_vec(Walk(), 1, max_episode_steps=7).max_episode_steps == 7
    assert jaxenvs.make_vec("HeartPole-v0", 1).max_episode_steps == 1000
    assert jaxenvs.make_vec("SimpleRocket-v0", 1).max_episode_steps == 500


# Statistics.


def test_episode_length_counts_from_1_and_restarts(one_quits):
    assert one_quits[1].episode_length[:, 1].tolist() == [1, 2, 3, 1, 2, 3]
    assert one_quits[1].episode_length[:, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_episode_return_is_complete_at_the_end_and_restarts(one_quits):
    rewards = one_quits[1].reward[:, 1]
    expected = np.concatenate([np.cumsum(rewards[:3]), np.cumsum(rewards[3:])])
    np.testing.assert_allclose(one_quits[1].episode_return[:, 1], expected, rtol=1e-6)


def test_statistics_restart_after_a_truncation():
    step = drive(jaxenvs.make_vec(Walk(), 1, max_episode_steps=2), np.full((5, 1), STAY))[1]
    assert step.episode_length.ravel().tolist() == [1, 2, 1, 2, 1]
    np.testing.assert_allclose(step.episode_return[2], step.reward[2])


# Starts.


@pytest.fixture(scope="module", params=[Walk, WholeWalk])
def starts(request):
    """First positions of 40 consecutive episodes of 64 walkers, f32[40, 64]."""
    envs = jaxenvs.make_vec(request.param(), 64, max_episode_steps=1)
    obs, step = drive(envs, np.full((39, 64), STAY))
    return np.concatenate([obs["position"][None], step.obs["position"]])


def test_no_two_episodes_start_alike(starts):
    # 2560 draws of 2**23 values: about 0.4 pairs are expected to coincide, hundreds if any start were replayed.
    assert len(np.unique(starts)) > starts.size - 6


def test_starts_are_spread_as_at_reset(starts):
    assert scipy.stats.kstest(starts.ravel(), "uniform").pvalue > 1e-3


def test_consecutive_starts_of_a_member_are_unrelated(starts):
    assert abs(np.corrcoef(starts[:-1].ravel(), starts[1:].ravel())[0, 1]) < 4.5 / np.sqrt(starts.size)


def test_starts_of_neighbours_are_unrelated(starts):
    assert abs(np.corrcoef(starts[:, :-1].ravel(), starts[:, 1:].ravel())[0, 1]) < 4.5 / np.sqrt(starts.size)


def test_starts_are_unrelated_to_the_noise_of_the_step():
    envs = jaxenvs.make_vec(Walk(), 4096, max_episode_steps=1)
    step = drive(envs, np.full((1, 4096), STAY))[1]
    noise = step.final_obs["position"][0] - envs.reset(KEY)[1]["position"]
    assert abs(np.corrcoef(noise, step.obs["position"][0])[0, 1]) < 4.5 / np.sqrt(4096)


# Against loops without batches.


def lone_walks(env, num_envs, actions, limit, key=KEY):
    """What `drive` should give, by one unbatched transition after the other, from the same draws."""
    members = [env.start(at(env.draw_start(key, (num_envs,)), i)) for i in range(num_envs)]
    states, first_obs = [state for state, _ in members], [obs for _, obs in members]
    lengths, returns, rows = [0] * num_envs, [0.0] * num_envs, []
    for index, action in enumerate(actions):
        step_key, start_key = jax.random.split(as_key(jax.random.fold_in(key, index)))
        draws, start_draws = env.draw(step_key, (num_envs,)), env.draw_start(start_key, (num_envs,))
        row = []
        for i in range(num_envs):
            states[i], step = env.transition(states[i], jnp.asarray(action[i]), at(draws, i))
            lengths[i], returns[i], final_obs = lengths[i] + 1, returns[i] + float(step.reward), step.obs
            truncated = lengths[i] == limit
            statistics = np.float32(returns[i]), lengths[i]
            if step.terminated or truncated:
                states[i], obs = env.start(at(start_draws, i))
                lengths[i], returns[i] = 0, 0.0
                row.append((obs, step.reward, step.terminated, truncated, final_obs, *statistics))
            else:
                row.append((final_obs, step.reward, step.terminated, truncated, final_obs, *statistics))
        rows.append(jax.tree.map(lambda *leaves: np.stack(leaves), *row))
    first_obs = jax.tree.map(lambda *leaves: np.stack(leaves), *first_obs)
    return first_obs, jaxenvs.VectorStep(*jax.tree.map(lambda *leaves: np.stack(leaves), *rows))


def random_actions(env, steps, num_envs):
    space, rng = env.action_space, np.random.default_rng(0)
    if isinstance(space, spaces.Discrete):
        return rng.integers(space.n, size=(steps, num_envs)).astype(np.int32)
    return rng.uniform(space.low, space.high, (steps, num_envs, *space.shape)).astype(np.float32)


@pytest.mark.parametrize("env", [Walk(), HeartPole(heart_attack_midpoint=0.0), SimpleRocket(bound=1.0)], ids=repr)
def test_a_batch_is_what_its_members_are_alone(env):
    actions = random_actions(env, 10, 3)
    batch = drive(jaxenvs.make_vec(env, 3, max_episode_steps=4), actions)
    assert batch[1].truncated.any() and (batch[1].terminated.any() or type(env) is HeartPole)
    assert_same(batch, lone_walks(env, 3, actions, limit=4), rtol=1e-5, atol=1e-6)


def test_each_member_keeps_its_own_constants():
    strides, winds = np.array([0.5, 1.0, 2.0]), np.arange(9.0).reshape(3, 3)
    actions = random_actions(Walk(), 8, 3)
    batch = drive(jaxenvs.make_vec(Walk(stride=strides, wind=winds), 3, max_episode_steps=3), actions)
    for i in range(3):
        env = Walk(stride=strides[i], wind=tuple(winds[i]))
        alone = lone_walks(env, 3, actions, limit=3)
        assert_same(at(batch[1], slice(None), i), at(alone[1], slice(None), i), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("env", [Walk(), WholeWalk()], ids=repr)
def test_a_batch_of_equal_constants_is_a_batch_of_one_constant(env):
    actions = random_actions(env, 6, 3)
    one = drive(jaxenvs.make_vec(env, 3), actions)
    three = drive(jaxenvs.make_vec(env.replace(stride=jnp.ones(3), noise=np.full(3, 0.1)), 3), actions)
    assert_same(one, three, rtol=1e-6)


def test_without_the_split_each_member_has_a_key_of_its_own():
    env, actions = WholeWalk(), random_actions(Walk(), 1, 3)
    step_key, _ = jax.random.split(jax.random.fold_in(KEY, 0))
    state, first_obs = jax.vmap(env.reset)(jax.random.split(KEY, 3))
    step = jax.vmap(env.step)(jax.random.split(step_key, 3), state, jnp.asarray(actions[0]))[1]
    obs, batch = drive(jaxenvs.make_vec(env, 3, max_episode_steps=None), actions)
    assert_same(obs, first_obs)
    assert_same(at(batch.final_obs, 0), step.obs, rtol=1e-6)


# Pure functions of one key.


def test_one_key_gives_one_trajectory():
    envs, actions = jaxenvs.make_vec(Walk(), 3), random_actions(Walk(), 6, 3)
    assert_same(drive(envs, actions), drive(envs, actions))


def test_two_keys_give_two_trajectories():
    envs, actions = jaxenvs.make_vec(Walk(), 3), random_actions(Walk(), 1, 3)
    first, second = (drive(envs, actions, jax.random.key(seed)) for seed in (0, 1))
    assert not np.isclose(first[0]["position"], second[0]["position"]).any()
    assert not np.isclose(first[1].reward, second[1].reward).any()


def test_members_of_a_batch_differ():
    assert len(np.unique(jaxenvs.make_vec(Walk(), 50).reset(KEY)[1]["position"])) == 50


@pytest.mark.parametrize("env", [Walk(), HeartPole()], ids=repr)
def test_a_step_inside_jit_is_the_step_outside(env):
    envs = jaxenvs.make_vec(env, 4, max_episode_steps=1)
    state, _ = envs.reset(KEY)
    action = envs.sample_actions(KEY)
    inside = jax.jit(lambda envs, key, state, action: envs.step(key, state, action))(envs, KEY, state, action)
    assert_same(envs.step(KEY, state, action), inside, rtol=1e-6)


@pytest.mark.parametrize("env", [Walk(), WholeWalk(), HeartPole(), SimpleRocket()], ids=repr)
def test_reset_and_step_give_states_of_one_type(env):
    envs = jaxenvs.make_vec(env, 2)
    state, obs = jax.eval_shape(envs.reset, KEY)
    after, step = jax.eval_shape(envs.step, KEY, state, jax.eval_shape(envs.sample_actions, KEY))
    assert types_of(state) == types_of(after)
    assert types_of(obs) == types_of(step.obs) == types_of(step.final_obs)


def types_of(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), tree)


def test_batches_vmap_over_keys():
    envs = jaxenvs.make_vec(Walk(), 3)
    together = jax.vmap(envs.reset)(jax.random.split(KEY, 2))[1]
    assert_same(at(together, 1), envs.reset(jax.random.split(KEY, 2)[1])[1])


def test_changed_constants_do_not_compile_again():
    traces = []

    @jax.jit
    def first(envs, key):
        traces.append(1)
        return envs.reset(key)

    for stride in (1.0, 2.0, 3.0):
        first(jaxenvs.make_vec(Walk(stride=stride), 2), KEY)
    assert len(traces) == 1


def test_raw_keys_step_as_typed_ones():
    envs = jaxenvs.make_vec(Walk(), 2)
    state, obs = envs.reset(jax.random.PRNGKey(0))
    assert_same(obs, envs.reset(KEY)[1])
    action = jnp.zeros(2, jnp.int32)
    assert_same(envs.step(jax.random.PRNGKey(0), state, action), envs.step(KEY, state, action))


# Spaces and sizes.


def test_batched_spaces_hold_what_is_returned():
    envs = jaxenvs.make_vec("SimpleRocket-v0", 3)
    assert envs.observation_space.contains(np.asarray(envs.reset(KEY)[1]))
    assert envs.action_space.contains(np.asarray(envs.sample_actions(KEY)))
    assert envs.single_observation_space.shape == (2,) and envs.single_action_space.shape == (1,)


def test_sampled_actions_differ_between_members():
    assert len(np.unique(jaxenvs.make_vec("SimpleRocket-v0", 50).sample_actions(KEY))) == 50


@pytest.mark.parametrize("num_envs", [0, -1, np.int64(0)])
def test_a_batch_below_1_is_refused(num_envs):
    with pytest.raises(ValueError, match=f"num_envs must be at least 1, got {num_envs}"):
        jaxenvs.make_vec("HeartPole-v0", num_envs)


@pytest.mark.parametrize("num_envs", [2.0, True, "2", None])
def test_a_batch_size_that_is_not_an_integer_is_refused(num_envs):
    with pytest.raises(TypeError, match="num_envs must be an integer of at least 1, got"):
        jaxenvs.make_vec("HeartPole-v0", num_envs)


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-3, ValueError), (2.5, TypeError), (True, TypeError)])
def test_a_limit_below_1_or_not_an_integer_is_refused(limit, error):
    with pytest.raises(error, match="max_episode_steps must be"):
        jaxenvs.make_vec("HeartPole-v0", 2, max_episode_steps=limit)


def test_numpy_sizes_are_taken():
    envs = jaxenvs.make_vec("HeartPole-v0", np.int64(3), max_episode_steps=np.int32(7))
    assert (type(envs.num_envs), type(envs.max_episode_steps)) == (int, int)


@pytest.mark.parametrize("constants", [{"stride": np.ones(3)}, {"stride": np.ones((4, 1))}, {"wind": np.ones((3, 3))}])
def test_constants_of_another_batch_size_are_refused_at_reset(constants):
    with pytest.raises(ValueError, match=rf"Walk: {next(iter(constants))} must have the shape .* for num_envs=4, got"):
        jaxenvs.make_vec(Walk(**constants), 4).reset(KEY)


def test_constants_of_another_batch_size_are_refused_by_make_vec():
    with pytest.raises(ValueError, match="heart_attack_proclivity must have the shape"):
        jaxenvs.make_vec("HeartPole-v0", 4, heart_attack_proclivity=np.full(3, 0.5))


def step_with(action, env="HeartPole-v0", num_envs=3):
    envs = jaxenvs.make_vec(env, num_envs)
    return envs.step(KEY, envs.reset(KEY)[0], action)


@pytest.mark.parametrize("action", [np.zeros(2, int), jnp.zeros(4, jnp.int32), np.zeros((1, 3), int), np.int32(0)])
def test_actions_of_another_batch_size_are_refused(action):
    with pytest.raises(ValueError, match=r"VectorEnv\(HeartPole\).step: actions must have a leading axis of 3"):
        step_with(action)


def test_actions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"VectorEnv\(SimpleRocket\).step: actions must have the shape \(1,\)"):
        step_with(jnp.zeros((3,)), "SimpleRocket-v0")


def test_actions_of_another_kind_are_refused():
    with pytest.raises(TypeError, match=r"VectorEnv\(HeartPole\).step: actions must have a dtype like int32"):
        step_with(jnp.zeros(3))


@pytest.mark.parametrize("action", [np.array([0, 4, 1]), np.array([-1, 0, 0])])
def test_numpy_actions_outside_the_space_are_refused_by_value(action):
    with pytest.raises(ValueError, match=r"VectorEnv\(HeartPole\).step: actions must be in MultiDiscrete.*, got array"):
        step_with(action)


def test_numpy_actions_inside_the_space_are_taken():
    action = np.array([0, 3, 1])
    assert_same(step_with(action), step_with(jnp.asarray(action, jnp.int32)))


def test_a_list_of_actions_is_taken():
    assert_same(step_with([0, 3, 1]), step_with(np.array([0, 3, 1])))


def test_a_batch_that_was_stepped_can_be_pickled_and_stays_equal():
    envs = jaxenvs.make_vec("CartPole-v1", 3)
    state, _ = envs.reset(KEY)
    envs.step(KEY, state, jnp.zeros(3, jnp.int32))
    again = pickle.loads(pickle.dumps(envs))
    assert again == jaxenvs.make_vec("CartPole-v1", 3)
    assert "_placed" not in vars(again)


def test_changed_constants_are_stepped_with_and_compile_nothing():
    from jaxenvs.vector import _step_by_parts

    envs = jaxenvs.make_vec("CartPole-v1", 3)
    state, _ = envs.reset(KEY)
    action = jnp.ones(3, jnp.int32)
    _, step = envs.step(KEY, state, action)
    cache_size = getattr(_step_by_parts, "_cache_size")  # noqa: B009
    traced = cache_size()
    stronger = dataclasses.replace(envs, env=envs.env.replace(force=20.0))
    _, pushed = stronger.step(KEY, state, action)
    assert cache_size() == traced
    assert (pushed.obs[:, 1] > step.obs[:, 1] + 0.1).all()


@pytest.mark.parametrize("id", ["HeartPole-v0", "SimpleRocket-v0"])
def test_states_of_numpy_arrays_are_stepped_as_those_of_jax(id):
    envs = jaxenvs.make_vec(id, 2)
    state, _ = envs.reset(jax.random.key(0))
    action = np.asarray(envs.sample_actions(jax.random.key(1)))
    ours = envs.step(jax.random.key(2), state, action)
    theirs = envs.step(jax.random.key(2), jax.device_get(state), action)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
