"""What people do with the Gymnasium bridges: constants as attributes, given states, windows, play, processes."""

# pyright: reportAssignmentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false, reportOperatorIssue=false

import copy
import pickle
import subprocess
import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded

import jaxenvs
from jaxenvs.bridges import gymnasium_checks
from jaxenvs.bridges.gymnasium import GymnasiumEnv
from jaxenvs.bridges.gymnasium_program import Program
from jaxenvs.bridges.gymnasium_vector import GymnasiumVectorEnv

# Gymnasium's remark on what its own Pendulum does as well.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*symmetric and normalized space.*"),
    pytest.mark.usefixtures("quick_compiles"),
]


@pytest.fixture
def compilations(monkeypatch):
    """The programs that are made."""
    made, init = [], Program.__init__
    monkeypatch.setattr(Program, "__init__", lambda self, *args: (made.append(args), init(self, *args))[1])
    return made


def stepped(env, action):
    env.reset(seed=0)
    return env.step(action)[0]


def test_a_changed_constant_does_not_compile_again(compilations):
    first = gymnasium.make("jaxenvs/Pendulum-v1", gravity=3.0)
    action = np.zeros(1, np.float32)
    obs = stepped(first, action)
    compiled = first.unwrapped._program.step._cache_size()
    for gravity in (4.0, 5.0, 6.0):
        other = stepped(gymnasium.make("jaxenvs/Pendulum-v1", gravity=gravity, mass=gravity), action)
        assert not np.array_equal(obs, other)
    assert len(compilations) <= 1 and first.unwrapped._program.step._cache_size() == compiled


@pytest.mark.parametrize("id", ["CartPole-v1", "PointInterceptRandom-v0", "HeartPole-v0"])
def test_constants_given_to_the_step_act_as_those_that_are_fixed_in_it(id):
    fixed, given = GymnasiumEnv(id), GymnasiumEnv(id)
    given._now.program = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxenvs.bridges.gymnasium_program._has_defaults", lambda env: False)
        given._build()
    assert given._program is not fixed._program or id == "PointInterceptRandom-v0"
    fixed.action_space.seed(1)
    for env in (fixed, given):
        env.reset(seed=4)
    for _ in range(30):
        action = fixed.action_space.sample()
        (obs, *rest), (other, *others) = fixed.step(action), given.step(action)
        np.testing.assert_allclose(obs, other, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(rest[0], others[0], rtol=1e-5, atol=1e-6)
        assert rest[1:] == others[1:]
        if rest[1]:
            break


@pytest.mark.parametrize("write", ["attribute", "wrapper"])
def test_a_constant_that_is_written_acts_from_the_next_step_on(write):
    env, made = gymnasium.make("jaxenvs/CartPole-v1"), gymnasium.make("jaxenvs/CartPole-v1", force=1000.0)
    plain = stepped(env, 1)
    assert env.unwrapped.force == env.get_wrapper_attr("force") == 10.0
    if write == "attribute":
        env.unwrapped.force = 1000.0
    else:
        assert env.set_wrapper_attr("force", 1000.0)
    assert env.get_wrapper_attr("force") == env.unwrapped.env.force == 1000.0
    changed = stepped(env, 1)
    np.testing.assert_allclose(changed, stepped(made, 1), rtol=1e-6)
    assert not np.array_equal(changed, plain)


def test_a_constant_that_is_written_keeps_the_running_episode_and_a_static_one_ends_it():
    env = GymnasiumEnv("HeartPole-v0")
    env.reset(seed=0)
    env.step(0)
    env.decay_rate = 0.5
    obs = env.step(1)[0]
    assert obs[4] == 2 and env.decay_rate == 0.5
    env.sleep_half_hours = 4
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    assert env.step(3)[0][4] == 5


def test_a_bad_value_is_refused_as_at_construction_and_changes_nothing():
    env = GymnasiumEnv("CartPole-v1")
    for value, error in ((-1.0, ValueError), ("1", TypeError), (np.nan, ValueError)):
        with pytest.raises(error, match="CartPole: cart_mass must be"):
            env.cart_mass = value
    assert env.cart_mass == 1.0


def test_spaces_follow_a_constant_that_is_written():
    env = GymnasiumEnv("CartPole-v1")
    env.position_limit = 5.0
    assert env.observation_space.high[0] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("id", "name", "meant"),
    [("CartPole-v1", "force_mag", "force"), ("CartPole-v1", "length", "half_length"), ("Pendulum-v1", "g", "gravity"),
     ("Acrobot-v1", "LINK_MASS_1", "link_mass_1")],
)  # fmt: skip
def test_gymnasiums_names_get_ours_in_the_message(id, name, meant):
    env = gymnasium.make(f"jaxenvs/{id}")
    said = rf"no constant '{name}': Gymnasium's {name} is set by {meant} here"
    for act in (
        lambda: setattr(env.unwrapped, name, 1.0),
        lambda: getattr(env.unwrapped, name),
        lambda: env.set_wrapper_attr(name, 1.0),
    ):
        with pytest.raises(AttributeError, match=said):
            act()
    envs = GymnasiumVectorEnv(id, 2)
    for act in (lambda: setattr(envs, name, 1.0), lambda: envs.set_attr(name, 1.0), lambda: envs.get_attr(name)):
        with pytest.raises(AttributeError, match=said):
            act()


def test_other_attributes_are_anyones():
    env = GymnasiumEnv("CartPole-v1")
    env.note = 3
    assert env.note == 3 and not hasattr(env, "nothing")
    assert env.has_wrapper_attr("gravity") and not env.has_wrapper_attr("nothing")


def test_a_batch_reads_writes_and_calls_as_gymnasiums_does():
    ours = GymnasiumVectorEnv("CartPole-v1", 2)
    theirs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("jaxenvs/CartPole-v1")] * 2)
    for envs in (ours, theirs):
        assert envs.get_attr("gravity") == envs.call("gravity") == pytest.approx((9.8, 9.8))
        envs.set_attr("gravity", [1.0, 2.0])
        assert envs.call("gravity") == (1.0, 2.0)
        envs.set_attr("gravity", 3.0)
        assert envs.get_attr("gravity") == (3.0, 3.0) and envs.call("render_mode") == (None, None)
        with pytest.raises(ValueError, match="cart_mass must be above"):
            envs.set_attr("cart_mass", -1.0)
        with pytest.raises(ValueError, match="values"):
            envs.set_attr("gravity", [1.0, 2.0, 3.0])
    with pytest.raises(AttributeError, match="no constant 'colour' that could be set"):
        ours.set_attr("colour", 1)


def test_a_batch_steps_with_the_constants_that_were_set():
    envs = GymnasiumVectorEnv("HeartPole-v0", 2, heart_attack_midpoint=-50.0)
    envs.reset(seed=0)
    envs.step(np.zeros(2, int))
    envs.set_attr("heart_attack_proclivity", [0.0, 1.0])
    _, rewards, _, _, info = envs.step(np.zeros(2, int))
    assert rewards[0] > -1 and rewards[1] < -90
    assert info["heart_attack"].tolist() == [False, True] and info["_heart_attack"].tolist() == [True, True]
    assert envs.heart_attack_proclivity.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [("work_done", np.nan, ValueError), ("work_done", None, TypeError), ("work_done", "3", TypeError),
     ("work_done", True, TypeError), ("work_done", 1e300, ValueError), ("work_done", [1.0], ValueError),
     ("work_done", np.inf, ValueError), ("work_done", {}, TypeError), ("work_done", [[1.0], [1.0, 2.0]], TypeError),
     ("last_action", 1.7, TypeError), ("last_action", "3", TypeError), ("last_action", None, TypeError),
     ("last_action", 2**40, ValueError), ("heart_attack", 2, TypeError), ("heart_attack", None, TypeError)],
    ids=str,
)  # fmt: skip
def test_a_value_that_does_not_fit_the_state_is_refused_by_name(field, value, error):
    env = GymnasiumEnv("HeartPole-v0")
    with pytest.raises(error, match=f"state.{field} must"):
        env.reset(options={"state": {field: value}})
    envs = GymnasiumVectorEnv("HeartPole-v0", 2)
    with pytest.raises(error, match=f"state.{field} must"):
        envs.reset(options={"state": {field: [value, value]}})


def test_a_state_is_given_back_as_it_was_and_other_things_are_refused():
    for env in (GymnasiumEnv("HeartPole-v0"), GymnasiumVectorEnv("HeartPole-v0", 2)):
        obs, _ = env.reset(seed=3)
        state = env.state
        np.testing.assert_array_equal(env.reset(options={"state": state})[0], obs)
        for wrong in (None, 3, "state", [1.0]):
            with pytest.raises(TypeError, match=r"options\['state'\] must map names of fields"):
                env.reset(options={"state": wrong})


@pytest.mark.parametrize("make", [GymnasiumEnv, lambda id: GymnasiumVectorEnv(id, 2)], ids=["one", "batch"])
def test_seeds_may_be_numpys_and_others_are_refused(make):
    env = make("SimpleRocket-v0")
    np.testing.assert_array_equal(env.reset(seed=np.int64(5))[0], env.reset(seed=5)[0])
    for seed, error in ((-1, ValueError), (1.5, TypeError), ("1", TypeError), (True, TypeError), ([1, 2], TypeError)):
        with pytest.raises(error, match="seed must be"):
            env.reset(seed=seed)


def test_the_state_before_a_reset_is_refused():
    with pytest.raises(ResetNeeded, match="no state before the first reset"):
        _ = GymnasiumEnv("SimpleRocket-v0").state


BOXES = ["Pendulum-v1", "SimpleRocket-v0", "MountainCarContinuous-v0", "PointInterceptContinuous-v0"]


@pytest.mark.parametrize("id", BOXES)
def test_an_action_just_outside_is_clipped_and_one_far_outside_refused(id):
    env = GymnasiumEnv(id)
    high, low = env.action_space.high, env.action_space.low
    inside, near = (stepped(env, action) for action in (high, np.nextafter(high, np.float32(np.inf))))
    np.testing.assert_array_equal(inside, near)
    np.testing.assert_array_equal(inside, stepped(env, high + 5e-4 * (high - low)))
    for action in (high + 2e-3 * (high - low), high + 100, np.full_like(high, np.nan)):
        with pytest.raises(InvalidAction):
            env.step(action)


def test_a_batch_clips_what_is_just_outside_too():
    envs = GymnasiumVectorEnv("SimpleRocket-v0", 2)
    envs.reset(seed=0)
    obs = envs.step(np.array([[1.0], [-1.0]], np.float32))[0]
    envs.reset(seed=0)
    np.testing.assert_array_equal(envs.step(np.array([[1.0000005], [-1.0005]]))[0], obs)
    with pytest.raises(InvalidAction, match=r"got -1.01 at \[1, 0\]"):
        envs.step(np.array([[0.0], [-1.01]]))


@pytest.mark.parametrize("id", ["HeartPole-v0", "HeartPole-v1"])
def test_the_log_begins_with_the_state_of_the_start(id):
    env = gymnasium.make(f"jaxenvs/{id}", render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    assert text.startswith("{'alertness': ") and "Chosen" not in text
    env.step(1)
    assert env.render().startswith("Chosen action: drink_coffee\n{'alertness': ")


def test_info_says_whether_a_heart_attack_struck():
    env = gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=1.0, heart_attack_midpoint=-50.0)
    assert env.reset(seed=0)[1] == {} and env.step(0)[4] == {"heart_attack": True}
    calm = gymnasium.make("jaxenvs/HeartPole-v0", heart_attack_proclivity=0.0)
    calm.reset(seed=0)
    assert calm.step(0)[4] == {"heart_attack": False}
    rocket = GymnasiumEnv("RocketLanding-v0")
    rocket.reset(seed=0)
    assert rocket.step(np.zeros(2, np.float32))[4] == {"outcome": 0}


@pytest.mark.parametrize("mode", list(gymnasium.vector.AutoresetMode))
def test_info_of_a_batch_is_that_of_gymnasiums_own(mode):
    options = {"heart_attack_proclivity": 1.0, "heart_attack_midpoint": -50.0, "max_episode_steps": 2}
    ours = GymnasiumVectorEnv("HeartPole-v0", 2, autoreset_mode=mode, **options)
    theirs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make("jaxenvs/HeartPole-v0", **options)] * 2, autoreset_mode=mode
    )
    ours.reset(seed=0), theirs.reset(seed=0)
    for _ in range(2 if mode is gymnasium.vector.AutoresetMode.DISABLED else 5):
        left, right = ours.step(np.zeros(2, int))[4], theirs.step(np.zeros(2, int))[4]
        for name in ("heart_attack", "_heart_attack"):
            np.testing.assert_array_equal(left[name], right.get(name, np.zeros(2, bool)))
            if "final_info" in right:
                np.testing.assert_array_equal(left["final_info"][name], right["final_info"][name])


@pytest.mark.parametrize("id", ["RocketLanding-v0", "HeartPole-v0", "CartPole-v1"])
def test_each_member_is_drawn_with_its_own_constants(id):
    names = {"RocketLanding-v0": "start_fuel", "HeartPole-v0": "heart_attack_proclivity", "CartPole-v1": "half_length"}
    name = names[id]
    values = np.array([0.2, 0.4], np.float32) * (1000 if name == "start_fuel" else 1)
    envs = gymnasium.make_vec(f"jaxenvs/{id}", num_envs=2, render_mode="rgb_array", constants={name: values})
    envs.reset(seed=0)
    pictures = envs.render()
    states = jax.device_get(envs.unwrapped.state)
    for index, picture in enumerate(pictures):
        env = jaxenvs.make(id, **{name: values[index]})
        np.testing.assert_array_equal(picture, env.render(jax.tree.map(lambda x, i=index: x[i], states)))
    np.testing.assert_array_equal(envs.unwrapped.call("render"), pictures)


def test_given_states_are_observed_with_each_members_own_constants():
    fuel = np.array([100.0, 200.0], np.float32)
    envs = gymnasium.make_vec("jaxenvs/RocketLanding-v0", num_envs=2, constants={"start_fuel": fuel})
    envs.reset(seed=0)
    obs, _ = envs.reset(options={"state": {"fuel": [50.0, 50.0], "height": np.full(2, 50.0)}})
    singles = [jaxenvs.RocketLanding(start_fuel=float(each)) for each in fuel]
    states = jax.tree.map(np.asarray, envs.unwrapped.state)
    for index, env in enumerate(singles):
        np.testing.assert_allclose(obs[index], env.observe(jax.tree.map(lambda x, i=index: x[i], states)), rtol=1e-6)


@pytest.mark.parametrize("arrays", ["numpy", "jax"])
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_of_a_batch_goes_on_alike(arrays, copied):
    envs = gymnasium.make_vec("jaxenvs/HeartPole-v0", num_envs=2, arrays=arrays)
    envs.reset(seed=0)
    envs.step(jnp.ones(2, int))
    twin = copied(envs)
    for _ in range(3):
        np.testing.assert_array_equal(envs.step(jnp.ones(2, int))[0], twin.step(jnp.ones(2, int))[0])


@pytest.mark.parametrize("id", ["CartPole-v0", "HeartPole-v0"])
def test_nobody_is_told_that_an_id_is_out_of_date(id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gymnasium.make(f"jaxenvs/{id}").spec.id == f"jaxenvs/{id}"
        gymnasium.make_vec(f"jaxenvs/{id}", num_envs=1)
        assert pickle.loads(pickle.dumps(gymnasium.spec(f"jaxenvs/{id}"))).version == 0
    with pytest.warns(UserWarning, match="Using the latest versioned environment"):
        assert gymnasium.make(f"jaxenvs/{id[:-3]}").spec.id == f"jaxenvs/{id[:-1]}1"


def test_a_window_shows_the_states_of_human_mode(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown = []
    monkeypatch.setattr("jaxenvs.render.window.Window.show", lambda self, picture: shown.append(picture))
    env = gymnasium.make("jaxenvs/SimpleRocket-v0", render_mode="human")
    env.reset(seed=0)
    env.step(np.zeros(1, np.float32))
    assert len(shown) == 2 and env.render() is None
    assert len(pickle.dumps(env)) > 0
    env.close()
    assert not pygame.display.get_init()


def test_human_mode_without_a_display_says_so(monkeypatch):
    pygame = pytest.importorskip("pygame")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    pygame.display.quit()
    with pytest.warns(UserWarning, match="shows nothing: there is no display"):
        env = gymnasium.make("jaxenvs/SimpleRocket-v0", render_mode="human")
    env.reset(seed=0)
    env.step(np.zeros(1, np.float32))


@pytest.mark.parametrize("id", sorted(jaxenvs.registry))
def test_modes_and_metadata_agree(id):
    env = GymnasiumEnv(id)
    modes = env.metadata["render_modes"]
    assert modes == ["human", "rgb_array", "ansi"] if id.startswith("HeartPole") else ["human", "rgb_array"]
    for mode in modes[1:]:
        assert GymnasiumEnv(id, render_mode=mode).render_mode == mode


@pytest.mark.parametrize("id", ["Pendulum-v1", "PointIntercept-v0", "MountainCar-v0", "CartPole-v1"])
def test_gymnasiums_play_takes_no_key_one_and_several(monkeypatch, id):
    pygame = pytest.importorskip("pygame")
    # Gymnasium's play would load a window system for its plots.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with warnings.catch_warnings(action="ignore"):
        from gymnasium.utils.play import play

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(pygame.time, "Clock", lambda: clock)
    seen = []

    class Clock:
        """Presses one key, then two, and closes the window."""

        count = 0

        def tick(self, fps):
            self.count += 1
            keys = sorted(env.unwrapped.env.keys_to_action)
            event = {2: (pygame.KEYDOWN, keys[0]), 4: (pygame.KEYDOWN, keys[-1]), 6: (pygame.QUIT, None)}
            if kind := event.get(self.count):
                pygame.event.post(pygame.event.Event(kind[0], {"key": ord(kind[1])} if kind[1] else {}))

    clock = Clock()
    env = gymnasium.make(f"jaxenvs/{id}", render_mode="rgb_array", max_episode_steps=100)
    play(env, callback=lambda before, after, action, *rest: seen.append(action))
    assert len(seen) >= 3 and all(
        env.action_space.contains(np.asarray(action, env.action_space.dtype)) for action in seen
    )
    if id == "Pendulum-v1":
        assert (seen[0] == 0).all() and (seen[2] != 0).any()
    if id == "MountainCar-v0":
        assert seen[0] == 1


def test_a_process_forked_after_jax_began_is_told_to_be_spawned():
    code = """
import gymnasium, jaxenvs, numpy as np
envs = gymnasium.make_vec("jaxenvs/SimpleRocket-v0", num_envs=2, vectorization_mode="async")
try:
    envs.reset(seed=0)
except RuntimeError as error:
    print(error)
envs.close(terminate=True)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert 'gymnasium.vector.AsyncVectorEnv(..., context="spawn")' in done.stdout


def test_both_bridges_and_running_episodes_refuse_a_forked_process(monkeypatch):
    env, envs = GymnasiumEnv("SimpleRocket-v0"), GymnasiumVectorEnv("SimpleRocket-v0", 2)
    envs.reset(seed=0)
    monkeypatch.setitem(gymnasium_checks._FORKED, "here", True)
    for act in (env.reset, envs.reset, lambda: envs.step(np.zeros((2, 1), np.float32))):
        with pytest.raises(RuntimeError, match="was forked after JAX had started"):
            act()


WRAPPERS = {
    "NormalizeReward": (), "TransformReward": (lambda reward: 2 * reward,), "RescaleAction": (-1, 1), "ClipAction": (),
    "RecordEpisodeStatistics": (), "DictInfoToList": (), "NormalizeObservation": (), "FlattenObservation": (),
    "ClipReward": (-1, 1),
}  # fmt: skip
FAIL = {
    ("numpy", "NextStep"): set(),
    ("numpy", "SameStep"): {"NormalizeObservation", "FlattenObservation"},
    ("jax", "NextStep"): {"FlattenObservation", "ClipReward"},
    ("jax", "SameStep"): {
        "NormalizeObservation", "FlattenObservation", "ClipReward", "RecordEpisodeStatistics", "DictInfoToList"
    },
}  # fmt: skip


@pytest.mark.parametrize(("arrays", "mode"), FAIL)
def test_the_pages_table_of_wrappers_is_right(arrays, mode):
    failed = set()
    for name, arguments in WRAPPERS.items():
        envs = gymnasium.make_vec(
            "jaxenvs/SimpleRocket-v0", num_envs=2, arrays=arrays, autoreset_mode=mode, max_episode_steps=2
        )
        try:
            with jax.numpy_rank_promotion("allow"):
                envs = getattr(gymnasium.wrappers.vector, name)(envs, *arguments)
                envs.reset(seed=0)
                for _ in range(3):
                    envs.step(np.zeros((2, 1), np.float32))
        except (TypeError, ValueError, AssertionError):
            failed.add(name)
    assert failed == FAIL[arrays, mode]
