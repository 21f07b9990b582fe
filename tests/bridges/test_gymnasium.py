"""One environment behind Gymnasium's interface."""

# pyright: reportAssignmentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportOptionalSubscript=false

import copy
import pickle
import subprocess
import sys

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env

import jaxenvs
from jaxenvs.bridges.gymnasium import GymnasiumEnv

IDS = sorted(jaxenvs.registry)

# Gymnasium's remark on what its own Pendulum does as well.
pytestmark = pytest.mark.filterwarnings("ignore:.*symmetric and normalized space.*")


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Windows open, and nobody sees them."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def episode(env, seed, steps=60):
    """Observations, rewards and flags of a seeded start and a number of seeded random actions."""
    env.action_space.seed(seed)
    rows = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for _ in range(steps):
        obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        rows.append((obs, reward, terminated, truncated))
        if terminated or truncated:
            break
    return rows


def assert_same(left, right):
    assert len(left) == len(right)
    for (obs, *rest), (other_obs, *other_rest) in zip(left, right, strict=True):
        jax.tree.map(np.testing.assert_array_equal, obs, other_obs)
        assert rest == other_rest


@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_own_checker_passes(id):
    check_env(gymnasium.make(f"jaxenvs/{id}", render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("id", IDS)
def test_values_have_gymnasiums_types(id):
    env = gymnasium.make(f"jaxenvs/{id}")
    kind = np.int64 if isinstance(env.observation_space, gymnasium.spaces.Discrete) else np.ndarray
    obs, info = env.reset(seed=0)
    assert type(obs) is kind and obs.dtype == env.observation_space.dtype and info == {}
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    assert [type(x) for x in (obs, reward, terminated, truncated, info)] == [kind, float, bool, bool, dict]


# RocketLanding's reward is what a step takes off a speed of about 100 m/s: float32 knows that to 1e-5. LunarLander's is
# a hundred times what a step adds to the observations, which are known to 1e-7 or 2e-7 each.
ROUNDING = {"RocketLanding-v0": 1e-5, "LunarLander-v3": 4e-5, "LunarLanderContinuous-v3": 4e-5}


@pytest.mark.parametrize("id", IDS)
def test_steps_are_transitions_of_the_environment_with_the_draws_ahead(id):
    env = GymnasiumEnv(id)
    pure = jaxenvs.make(id)
    env.reset(seed=3)
    program = env._program
    env._key = lambda: np.uint32(7)
    draws = program._ahead(np.uint32(7), pure, "step", 256)
    env.action_space.seed(0)
    for t in range(40):
        state, action = jax.tree.map(jax.numpy.asarray, env.state), env.action_space.sample()
        obs, reward, terminated, _, _ = env.step(action)
        _, step = pure.transition(state, jax.numpy.asarray(action), jax.tree.map(lambda d, t=t: d[t], draws))
        np.testing.assert_allclose(obs, step.obs, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(reward, step.reward, rtol=1e-5, atol=ROUNDING.get(id, 1e-6))
        assert terminated == bool(step.terminated)
        if terminated:
            break


def test_time_limit_is_gymnasiums_wrapper_and_keeps_the_last_observation():
    env = gymnasium.make("jaxenvs/HeartPole-v0", max_episode_steps=3)
    env.reset(seed=0)
    rows = [env.step(3) for _ in range(3)]
    assert [row[3] for row in rows] == [False, False, True]
    assert rows[-1][0][4] == 3 * 17


def test_ids_can_be_made_without_importing_jaxenvs_first():
    code = "import gymnasium; print(gymnasium.make('jaxenvs:jaxenvs/SimpleRocket-v0').reset(seed=1)[0].shape)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2,)"


def test_seeds_reproduce_across_processes():
    code = (
        "import gymnasium, jaxenvs; e = gymnasium.make('jaxenvs/HeartPole-v0'); e.reset(seed=5); "
        "print([e.step(1)[1] for _ in range(5)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    env = gymnasium.make("jaxenvs/HeartPole-v0")
    env.reset(seed=5)
    assert done.stdout.strip() == str([env.step(1)[1] for _ in range(5)])


def test_two_seeds_and_two_episodes_differ():
    env = GymnasiumEnv("HeartPole-v0")
    starts = [env.reset(seed=0)[0][0], env.reset()[0][0], env.reset(seed=1)[0][0], env.reset(seed=0)[0][0]]
    assert len(set(starts[:3])) == 3 and starts[0] == starts[3]


def test_draws_do_not_repeat_when_they_are_drawn_again():
    env = GymnasiumEnv("HeartPole-v0")
    env.reset(seed=0)
    gains = [float(env.step(1)[0][1]) for _ in range(600)]
    assert len(set(np.diff(gains).round(6))) > 550


def test_constants_are_passed_on_and_checked():
    assert (
        gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=0.3).unwrapped.env.heart_attack_proclivity == 0.3
    )
    with pytest.raises(ValueError, match="heart_attack_proclivity must be at least"):
        gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=3)


def test_a_given_state_is_the_start():
    env = GymnasiumEnv("SimpleRocket-v0")
    obs, _ = env.reset(seed=0, options={"state": {"position": 1.0, "velocity": 0.0}})
    assert obs.tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="a state has the fields position, velocity, thrust; got 'speed'"):
        env.reset(options={"state": {"speed": 1.0}})
    with pytest.raises(ValueError, match="accepts only 'state', got 'initial'"):
        env.reset(options={"initial": 1})


@pytest.mark.parametrize("action", [4, -1, 1.5, "1", None, np.array([1]), True])
def test_a_wrong_choice_is_refused_before_anything_moves(action):
    env = GymnasiumEnv("HeartPole-v0")
    env.reset(seed=0)
    before = env.state
    with pytest.raises(InvalidAction, match=r"must be in Discrete\(4\)"):
        env.step(action)
    assert before == env.state


@pytest.mark.parametrize("action", [np.zeros(2), np.float32(0.5), np.array([1.5]), np.array([np.nan]), np.array(["a"])])
def test_a_wrong_number_is_refused(action):
    env = GymnasiumEnv("SimpleRocket-v0")
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match="must be in Box"):
        env.step(action)


def test_stepping_before_a_reset_and_after_the_end_is_refused():
    env = GymnasiumEnv("SimpleRocket-v0")
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1))
    env.reset(seed=0, options={"state": {"position": 1.99, "velocity": 1.99}})
    assert env.step(np.ones(1, np.float32))[2]
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(1))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@pytest.mark.parametrize("id", IDS)
def test_a_copy_goes_on_alike(id, copied):
    env = GymnasiumEnv(id)
    env.reset(seed=2)
    twin = copied(env)
    env.action_space.seed(0)
    for _ in range(20):
        action = env.action_space.sample()
        (obs, _, terminated, _, _), (other, *_) = env.step(action), twin.step(action)
        np.testing.assert_array_equal(obs, other)
        if terminated:
            break


def test_equal_environments_share_their_compiled_functions():
    assert GymnasiumEnv("HeartPole-v0")._program is GymnasiumEnv("HeartPole-v0")._program
    assert GymnasiumEnv("HeartPole-v0", sleep_half_hours=4)._program is not GymnasiumEnv("HeartPole-v0")._program


def test_ansi_is_the_tutorials_log_since_the_last_render():
    env = gymnasium.make("jaxenvs/HeartPole-v0", render_mode="ansi")
    env.reset(seed=0)
    env.step(1)
    env.step(3)
    text = env.render()
    assert [line for line in text.splitlines() if "Chosen" in line] == [
        "Chosen action: drink_coffee",
        "Chosen action: sleep",
    ]
    assert env.render() == ""


def test_ansi_reports_heart_attacks_and_its_log_is_bounded():
    env = GymnasiumEnv("HeartPole-v0", render_mode="ansi", heart_attack_proclivity=1.0, heart_attack_midpoint=-50.0)
    env.reset(seed=0)
    env.step(0)
    assert "HEART ATTACK" in env.render()
    assert env._now.log.maxlen is not None


def test_a_mode_that_the_environment_lacks_is_refused():
    with pytest.raises(ValueError, match="SimpleRocket: render_mode must be one of"):
        GymnasiumEnv("SimpleRocket-v0", render_mode="ansi")


def test_a_list_of_pictures_is_collected():
    env = gymnasium.make("jaxenvs/SimpleRocket-v0", render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(np.zeros(1, np.float32))
    frames = env.render()
    assert len(frames) == 2 and frames[0].dtype == np.uint8


@pytest.mark.parametrize("id", IDS)
def test_keys_play_actions_of_the_space(id):
    env = GymnasiumEnv(id)
    assert env.get_keys_to_action() and all(env.action_space.contains(a) for a in env.get_keys_to_action().values())


class Whole(jaxenvs.Environment):
    """Random steps, without the split."""

    max_episode_steps = 5
    observation_space = gymnasium.spaces.Dict(
        {"at": gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32), "side": gymnasium.spaces.Discrete(2)}
    )
    action_space = gymnasium.spaces.MultiDiscrete([2, 3])

    def reset(self, key):
        at = jax.random.normal(key, (2,))
        return at, {"at": at, "side": (at[0] > 0).astype(jax.numpy.int32)}

    def step(self, key, state, action):
        at = state + jax.random.normal(key, (2,)) + action.astype(jax.numpy.float32)
        obs = {"at": at, "side": (at[0] > 0).astype(jax.numpy.int32)}
        return at, jaxenvs.Step(obs, at[0], at[1] > 100)


@pytest.mark.filterwarnings("ignore:.*Box observation space.*")
def test_an_environment_without_the_split_and_with_composite_spaces_works():
    env = GymnasiumEnv(Whole())
    check_env(env, skip_render_check=True)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    with pytest.raises(InvalidAction):
        env.step(np.array([2, 0]))


def test_a_registered_environment_of_ones_own_is_a_gymnasium_one():
    jaxenvs.register("Whole-v3", Whole)
    env = gymnasium.make("jaxenvs/Whole-v3")
    assert len(episode(env, 0)) == 6
    assert_same(episode(env, 4), episode(env, 4))


@pytest.mark.parametrize("device", ["cpu", jax.devices("cpu")[0]], ids=["name", "device"])
def test_it_runs_on_the_chosen_device(device):
    env = gymnasium.make("jaxenvs/SimpleRocket-v0", device=device).unwrapped
    env.reset(seed=0)
    assert env._program.step(np.zeros(env._program.words, np.uint32)).devices() == {jax.devices("cpu")[0]}


def test_a_device_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="got 'tpu'"):
        gymnasium.make("jaxenvs/SimpleRocket-v0", device="tpu")


def test_one_environment_stays_on_the_first_cpu_where_there_are_more():
    code = """
import jax; jax.config.update("jax_num_cpu_devices", 2)
import gymnasium, jaxenvs, jax.numpy as jnp
with jax.default_device(jax.devices()[1]):
    assert jnp.zeros(1).devices() == {jax.devices()[1]}
    env = gymnasium.make("jaxenvs/SimpleRocket-v0").unwrapped
    env.reset(seed=0)
    print(env._program.step(env._more_rows()[0]).devices() == {jax.devices()[0]})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
