"""A batch of environments behind Gymnasium's vector interface."""

# pyright: reportAssignmentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportOptionalSubscript=false

from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode

import jaxenvs
from jaxenvs.bridges.gymnasium import GymnasiumEnv
from jaxenvs.bridges.gymnasium_vector import GymnasiumVectorEnv

N = 5


class Countdown(jaxenvs.Environment):
    """Ends by itself after some steps that the start decides; nothing else is random."""

    max_episode_steps = 6
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def draw_start(self, key, shape=()):
        return jax.random.uniform(key, shape)

    def start(self, draws):
        state = jnp.stack([jnp.floor(2 + 8 * draws), draws])
        return state, state

    def draw(self, key, shape=()):
        return ()

    def transition(self, state, action, draws):
        after = state.at[0].add(-1.0)
        return after, jaxenvs.Step(after, action.astype(jnp.float32) + after[1], after[0] <= 0)


class ScaledState(NamedTuple):
    x: jax.Array


class Scaled(jaxenvs.Environment):
    """Shows its state times a constant."""

    max_episode_steps = 6
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    scale: float = 1.0

    def reset(self, key):
        state = ScaledState(jnp.zeros(2))
        return state, self.observe(state)

    def step(self, key, state, action):
        after = ScaledState(state.x + 1.0)
        return after, jaxenvs.Step(self.observe(after), jnp.float32(0.0), jnp.bool_(False))

    def observe(self, state):
        return self.scale * state.x


class Scripted(GymnasiumEnv):
    """The single bridge with given start draws, one for each reset."""

    def __init__(self, starts):
        super().__init__(Countdown())
        self.given = list(starts)

    def _next_start(self):
        rows = np.array([[self.given.pop(0)]], np.float32).view(np.uint32)
        return np.asarray(self._program.starts(rows, self._program.packed_constants(self.env)))[0]


def draws_of(ours, steps):
    """The start draws that a batch will use at reset and at each step, from its own key: [1 + steps, N]."""
    carry = ours._carry
    env = ours.envs.env
    rows = [np.asarray(ours._carry.obs)[:, 1]]
    for t in range(steps):
        _, start_key = jax.random.split(jax.random.fold_in(carry.key, t))
        rows.append(np.asarray(env.draw_start(start_key, (N,))))
    return np.stack(rows)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_batch_is_gymnasiums_own_over_the_single_bridge(mode):
    steps = 40
    ours = GymnasiumVectorEnv(Countdown(), N, autoreset_mode=mode)
    obs, _ = ours.reset(seed=1)
    starts = draws_of(ours, steps)
    theirs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.wrappers.TimeLimit(Scripted([]), 6) for _ in range(N)], autoreset_mode=mode
    )
    for i, env in enumerate(theirs.envs):
        env.unwrapped.given = [starts[0][i]]
    np.testing.assert_array_equal(obs, theirs.reset()[0])
    for t in range(steps):
        for i, env in enumerate(theirs.envs):
            env.unwrapped.given = [starts[t + 1][i]]
        actions = np.random.default_rng(t).integers(0, 3, N)
        left, right = ours.step(actions), theirs.step(actions)
        for a, b in zip(left[:4], right[:4], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        assert_same_info(left[4], right[4])
        if mode is AutoresetMode.DISABLED and (over := left[2] | left[3]).any():
            carry = ours._carry
            ours.reset(options={"reset_mask": over})
            fresh = np.asarray(ours._carry.obs)[:, 1]
            assert (np.asarray(ours._carry.obs)[~over] == np.asarray(carry.obs)[~over]).all()
            for i, env in enumerate(theirs.envs):
                env.unwrapped.given = [fresh[i]]
            theirs.reset(options={"reset_mask": over})


def assert_same_info(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name == "final_obs":
            assert [x is None for x in ours[name]] == [x is None for x in theirs[name]]
            for a, b in zip(ours[name], theirs[name], strict=True):
                assert a is None or np.allclose(a, b)
        elif isinstance(ours[name], dict):
            assert ours[name] == theirs[name]
        else:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_random_masked_resets_lose_no_other_transition():
    envs = GymnasiumVectorEnv(Countdown(), 64, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=None)
    obs, _ = envs.reset(seed=0)
    rng, resets = np.random.default_rng(0), 0
    while resets < 10_000:
        expected = obs[:, 0] - 1
        obs, _, terminated, _, _ = envs.step(rng.integers(0, 3, 64))
        np.testing.assert_array_equal(obs[:, 0], expected)
        mask = terminated | (rng.random(64) < 0.3)
        resets += mask.sum()
        if mask.any():
            after, _ = envs.reset(options={"reset_mask": mask})
            np.testing.assert_array_equal(after[~mask], obs[~mask])
            obs = after


def test_make_vec_finds_it_with_its_time_limit_and_mode():
    envs = gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=3, autoreset_mode="SameStep", max_episode_steps=2)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP and envs.num_envs == 3
    envs.reset(seed=0)
    assert [envs.step(np.zeros(3, int))[3].tolist() for _ in range(2)] == [[False] * 3, [True] * 3]


def test_each_environment_has_its_own_constant():
    risk = np.array([0.0, 1.0], np.float32)
    envs = gymnasium.make_vec(
        "jaxenvs/HeartPole-v0", num_envs=2, constants={"heart_attack_proclivity": risk, "heart_attack_midpoint": -50.0}
    )
    envs.reset(seed=0)
    rewards = envs.step(np.zeros(2, int))[1]
    assert rewards[0] > 0 and rewards[1] < -90


def test_arrays_may_stay_on_the_device():
    envs = GymnasiumVectorEnv("SimpleRocket-v0", 3, arrays="jax")
    obs, _ = envs.reset(seed=0)
    out = envs.step(jnp.zeros((3, 1)))
    assert all(isinstance(x, jax.Array) for x in (obs, *out[:4]))


def test_last_observations_on_the_device_are_those_of_the_host_in_one_array():
    actions = np.ones((7, 1), np.float32)
    host, device = (
        GymnasiumVectorEnv("SimpleRocket-v0", 7, arrays=arrays, autoreset_mode="SameStep", bound=1.2)
        for arrays in ("numpy", "jax")
    )
    host.reset(seed=0), device.reset(seed=0)
    ended = 0
    for _ in range(200):
        seen, there = host.step(actions)[4], device.step(jnp.asarray(actions))[4]
        assert isinstance(there["final_obs"], jax.Array) and there["final_obs"].shape == (7, 2)
        mask = seen.get("_final_obs", np.zeros(7, bool))
        np.testing.assert_array_equal(there["_final_obs"], mask)
        for index in np.flatnonzero(mask):
            np.testing.assert_array_equal(there["final_obs"][index], seen["final_obs"][index])
        ended += mask.sum()
    assert ended > 7


def test_last_observations_of_a_composite_space_are_its_elements():
    class Pair(Countdown):
        observation_space = gymnasium.spaces.Dict(
            left=gymnasium.spaces.Box(-np.inf, np.inf, (), np.float32),
            all=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
        )

        def start(self, draws):
            state, _ = super().start(draws)
            return state, {"left": state[0], "all": state}

        def transition(self, state, action, draws):
            after, step = super().transition(state, action, draws)
            return after, step._replace(obs={"left": after[0], "all": after})

    envs = GymnasiumVectorEnv(Pair(), N, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    info = {}
    while not info:
        info = envs.step(np.zeros(N, int))[4]
    last = info["final_obs"][info["_final_obs"].argmax()]
    assert last.keys() == {"left", "all"} and last["left"] == last["all"][0] <= 0


def test_numpy_arrays_are_the_callers_own():
    envs = GymnasiumVectorEnv("SimpleRocket-v0", 3)
    obs, _ = envs.reset(seed=0)
    obs[:] = 7
    assert (np.asarray(envs._carry.obs) != 7).all()


@pytest.mark.parametrize("actions", [np.array([0, 1]), np.array([0, 1, 4]), np.zeros(3), np.array([[0], [1], [2]])])
def test_wrong_actions_are_refused_before_anything_moves(actions):
    envs = GymnasiumVectorEnv("HeartPole-v0", 3)
    envs.reset(seed=0)
    before = envs._carry
    with pytest.raises(InvalidAction):
        envs.step(actions)
    assert envs._carry is before


def test_nan_is_refused_with_its_place():
    envs = GymnasiumVectorEnv("SimpleRocket-v0", 2)
    envs.reset(seed=0)
    with pytest.raises(InvalidAction, match=r"got nan at \[1, 0\]"):
        envs.step(np.array([[0.0], [np.nan]], np.float32))


def test_an_ended_episode_must_be_reset_where_autoreset_is_disabled():
    envs = GymnasiumVectorEnv("SimpleRocket-v0", 2, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0, options={"state": {"position": [0.0, 1.99], "velocity": [0.1, 1.99]}})
    envs.step(np.zeros((2, 1), np.float32))
    with pytest.raises(ResetNeeded, match="environment 1 has ended"):
        envs.step(np.zeros((2, 1), np.float32))


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False], TypeError),
        (np.array([1, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.zeros(2, bool), ValueError),
    ],
)
def test_a_wrong_mask_is_refused(mask, error):
    envs = GymnasiumVectorEnv("HeartPole-v0", 2)
    envs.reset(seed=0)
    with pytest.raises(error, match="reset_mask"):
        envs.reset(options={"reset_mask": mask})


def test_seeds_reproduce_and_differ():
    envs = GymnasiumVectorEnv("HeartPole-v0", 4)
    first, again, other = (envs.reset(seed=seed)[0] for seed in (1, 1, 2))
    assert (first == again).all() and (first[:, 0] != other[:, 0]).all()
    assert (envs.reset()[0][:, 0] != other[:, 0]).all()


def test_gymnasiums_vector_wrappers_work():
    envs = gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=2, max_episode_steps=3)
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    envs = gymnasium.wrappers.vector.NormalizeReward(gymnasium.wrappers.vector.NormalizeObservation(envs))
    envs.reset(seed=0)
    infos = [envs.step(envs.action_space.sample())[4] for _ in range(3)]
    assert infos[-1]["episode"]["l"].tolist() == [3, 3]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_recorded_episodes_are_as_long_and_worth_as_much_as_those_of_the_batch_layer(mode):
    envs = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=6, autoreset_mode=mode, bound=1.2)
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(envs)
    envs.reset(seed=0)
    total, seen = np.zeros(6), 0
    begun = np.zeros(6, bool)
    for _ in range(150):
        _, reward, terminated, truncated, info = envs.step(np.ones((6, 1), np.float32))
        total = np.where(begun, 0.0, total) + np.where(begun & (mode is AutoresetMode.NEXT_STEP), 0.0, reward)
        begun = terminated | truncated
        for index in np.flatnonzero(begun):
            assert info["episode"]["r"][index] == pytest.approx(total[index], rel=1e-4)
            seen += 1
    assert seen >= 3


def test_gymnasiums_synchronous_vector_env_takes_the_single_bridge():
    """As CleanRL makes its environments."""

    def thunk():
        return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("jaxenvs/HeartPole-v0", max_episode_steps=4))

    envs = gymnasium.vector.SyncVectorEnv([thunk] * 3)
    obs, _ = envs.reset(seed=1)
    assert obs.shape == (3, 6) and len(np.unique(obs[:, 0])) == 3
    infos = [envs.step(envs.action_space.sample())[4] for _ in range(4)]
    assert infos[-1]["episode"]["l"].tolist() == [4, 4, 4]


def test_a_state_that_is_set_is_observed_with_each_members_own_constants():
    envs = GymnasiumVectorEnv(Scaled(), 3, scale=np.array([1.0, 2.0, 3.0], np.float32))
    obs, _ = envs.reset(seed=0, options={"state": {"x": np.ones((3, 2), np.float32)}})
    assert obs.tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
