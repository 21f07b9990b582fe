"""`Environment`: a frozen dataclass, a pytree of its constants, and two jitted pure methods."""

# Constants may be arrays, spaces may be plain class attributes, and the wrong kinds of either are given on purpose.
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

import copy
import dataclasses
import inspect
import pickle
from typing import Any, NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs
from jaxenvs import Environment, HeartPole, Step, constant, static

TRACES: list[str] = []


class Counter(Environment):
    """An integer without limits."""

    steps: int = 1


class Drift(Environment):
    """Split where chance ends: every method that is traced says so in `TRACES`."""

    speed: float = constant(1.0, low=0.0, high=10.0)
    noise: float = 0.1
    drag: float = constant(0.5, above=0.0, below=1.0)
    lag: int = constant(2, low=0)
    icy: bool = False
    wind: tuple = constant((0.25, -0.5))
    axes: int = static(2)

    class State(NamedTuple):
        position: Any

    @property
    def observation_space(self):
        return spaces.Box(-np.inf, np.inf, (self.axes,), np.float32)

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def draw_start(self, key, shape=()):
        return jax.random.normal(key, (*shape, self.axes))

    def start(self, draws):
        TRACES.append("start")
        return self.State(draws), draws

    def draw(self, key, shape=()):
        return jax.random.normal(key, (*shape, self.axes))

    def transition(self, state, action, draws):
        TRACES.append("transition")
        wind = jnp.asarray(self.wind, jnp.float32)
        push = (action - 1).astype(jnp.float32) * self.speed * self.drag + wind.sum()
        after = self.State(state.position + push + self.noise * draws)
        return after, Step(after.position, -jnp.abs(after.position).sum(), jnp.bool_(False))


class Plain(Environment):
    """The least that an environment can be: `reset` and `step`."""

    speed: float = 2.0

    observation_space = spaces.Box(-np.inf, np.inf, (), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, key):
        TRACES.append("reset")
        position = jax.random.uniform(key)
        return (position,), position

    def step(self, key, state, action):
        TRACES.append("step")
        position = state[0] + self.speed * action.sum() + jax.random.uniform(key)
        return (position,), Step(position, position, position > 3)


KEY = jax.random.key(0)


@pytest.fixture
def traces():
    TRACES.clear()
    return TRACES


# A dataclass.


def test_constants_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Drift().speed = 2.0


def test_new_attributes_are_refused():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Drift().other = 2.0


def test_constants_are_keyword_only():
    with pytest.raises(TypeError, match="by name"):
        Drift(2.0)


def test_fields_are_the_constants_in_their_order():
    assert [f.name for f in dataclasses.fields(Drift)] == ["speed", "noise", "drag", "lag", "icy", "wind", "axes"]


def test_dataclasses_replace_works():
    assert dataclasses.replace(Drift(), speed=3.0).speed == 3.0


def test_a_subclass_inherits_constants_and_adds_its_own():
    class Storm(Drift):
        gusts: float = 3.0

    assert Storm(speed=2.0, gusts=1.0).speed == 2.0
    assert len(jax.tree.leaves(Storm())) == len(jax.tree.leaves(Drift())) + 1


def test_a_constant_without_default_must_be_given():
    class Bare(Environment):
        mass: float

    with pytest.raises(TypeError, match="Bare needs a value for mass"):
        Bare()


@pytest.mark.parametrize(
    "decorator",
    [dataclasses.dataclass, dataclasses.dataclass(frozen=True), chex.dataclass, flax.struct.dataclass],
    ids=["dataclass", "frozen dataclass", "chex", "flax"],
)
def test_the_decorator_of_a_dataclass_is_refused_by_the_name_of_the_class(decorator):
    with pytest.raises(TypeError, match=r"Cart is a dataclass already, .*: remove the decorator"):

        @decorator
        class Cart(Environment):
            mass: float = 1.0


def test_other_dataclasses_of_a_user_and_searches_of_members_work():
    @dataclasses.dataclass
    class Pair:
        env: Environment

    assert Pair(Drift()).env == Drift()
    assert dict(inspect.getmembers(Drift))["speed"] == 1.0 and not hasattr(Drift(), "__post_init__")


def test_max_episode_steps_is_no_constant():
    assert "max_episode_steps" not in {f.name for f in dataclasses.fields(HeartPole)}
    assert HeartPole.max_episode_steps == 1000


# A pytree.


def test_leaves_are_exactly_the_constants_that_are_not_static():
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(Drift())[0]]
    assert names == [".speed", ".noise", ".drag", ".lag", ".icy", ".wind"]


def test_a_static_field_is_part_of_the_structure():
    assert jax.tree.structure(Drift(axes=2)) != jax.tree.structure(Drift(axes=3))


def test_unflattening_does_not_validate():
    assert jax.tree.map(lambda _: None, Drift()).speed is None


def test_jit_takes_and_returns_an_environment():
    env = jax.jit(lambda env: env.replace(speed=env.speed * 2))(Drift(speed=1.5))
    assert type(env) is Drift and float(env.speed) == 3.0


def test_constants_can_be_set_from_tracers():
    assert float(jax.jit(lambda speed: Drift(speed=speed).speed)(4.0)) == 4.0


def test_grad_by_the_constants_is_an_environment():
    def distance(env):
        return env.transition(env.State(jnp.zeros(2)), jnp.int32(2), jnp.zeros(2))[0].position.sum()

    gradient = jax.grad(distance, allow_int=True)(Drift(speed=3.0, drag=0.5))
    assert type(gradient) is Drift and float(gradient.speed) == 1.0 and float(gradient.drag) == 6.0


def test_scan_carries_an_environment():
    def advance(env, _):
        return env.replace(speed=env.speed + 1), env.speed

    env = jax.tree.map(jnp.asarray, Drift(speed=0.0))
    assert jax.lax.scan(advance, env, length=3)[1].tolist() == [0.0, 1.0, 2.0]


def test_vmap_over_a_batch_of_environments_gives_each_its_constants():
    speeds = jnp.array([0.0, 1.0, 2.0])
    envs = Drift(speed=speeds, noise=0.0, wind=(0.0, 0.0))
    axes = jax.tree.unflatten(jax.tree.structure(Drift()), [0, None, None, None, None, None])
    state = Drift.State(jnp.zeros((3, 2)))
    after = jax.vmap(Drift.step, (axes, None, 0, None))(envs, KEY, state, jnp.int32(2))[0]
    np.testing.assert_array_equal(after.position, jnp.stack([speeds, speeds], axis=1) / 2)


def test_methods_of_the_class_are_the_methods_of_the_instance():
    env = HeartPole(heart_attack_proclivity=0.3)
    state, obs = HeartPole.reset(env, KEY)
    np.testing.assert_array_equal(obs, env.reset(KEY)[1])
    by_class, by_instance = HeartPole.step(env, KEY, state, 1), env.step(KEY, state, 1)
    jax.tree.map(np.testing.assert_array_equal, by_class, by_instance)


def test_step_is_transition_after_draw():
    env = Drift()
    state, _ = env.reset(KEY)
    jax.tree.map(
        np.testing.assert_array_equal, env.step(KEY, state, 2), env.transition(state, jnp.int32(2), env.draw(KEY))
    )


def test_reset_is_start_after_draw_start():
    jax.tree.map(np.testing.assert_array_equal, Drift().reset(KEY), Drift().start(Drift().draw_start(KEY)))


@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
@pytest.mark.parametrize("method", ["reset", "step", "draw", "draw_start", "start", "transition"])
@pytest.mark.parametrize("cls", [Drift, Plain])
def test_jit_of_a_method_can_be_lowered_as_jit_of_a_lambda(cls, method):
    if cls is Plain and method not in ("reset", "step"):
        pytest.skip("the class does not define it")
    env = cls()
    state, _ = env.reset(KEY)
    draws = {"start": "draw_start", "transition": "draw"}.get(method)
    key = KEY if draws is None else getattr(env, draws)(KEY)
    action = jaxenvs.spaces.sample(env.action_space, KEY)
    arguments = {"step": (key, state, action), "transition": (state, action, key)}.get(method, (key,))
    by_method = jax.jit(getattr(env, method), donate_argnums=0).lower(*arguments)
    by_lambda = jax.jit(lambda *given: getattr(env, method)(*given), donate_argnums=0).lower(*arguments)
    assert by_method.donate_argnums == by_lambda.donate_argnums != ()
    assert by_method.out_info == by_lambda.out_info


def test_jit_of_a_vmapped_method_can_be_lowered():
    lowered = jax.jit(jax.vmap(Drift().reset)).lower(jax.random.split(KEY, 3))
    assert lowered.out_info[1].shape == (3, 2)


# Traces.


def test_a_hundred_steps_are_traced_once(traces):
    class Counted(Drift):
        pass

    env = Counted()
    state, _ = env.reset(KEY)
    for index in range(100):
        state, _ = env.step(jax.random.key(index), state, index % 3)
    assert traces.count("transition") == 1


def test_changed_constants_do_not_trace_again(traces):
    class Counted(Drift):
        pass

    env = Counted()
    state, _ = env.reset(KEY)
    for index in range(5):
        changed = env.replace(speed=index, noise=np.float32(0.1 * index), lag=index, icy=index > 2, wind=(index, 1.0))
        changed.step(KEY, state, 1)
    assert traces.count("transition") == 1


def test_a_changed_static_field_traces_again(traces):
    class Counted(Drift):
        pass

    for axes in (2, 3, 2):
        env = Counted(axes=axes)
        env.step(KEY, env.reset(KEY)[0], 1)
    assert traces.count("transition") == 2


def test_python_numpy_and_jax_actions_share_one_trace(traces):
    class Counted(Drift):
        pass

    env = Counted()
    state, _ = env.reset(KEY)
    for action in (1, np.int64(1), np.int32(1), np.array(1), jnp.int32(1), jnp.uint8(1)):
        env.step(KEY, state, action)
    assert traces.count("transition") == 1


# Constants, validated.


def test_an_unknown_constant_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"Drift has no constant 'sped'\. Did you mean 'speed'"):
        Drift(sped=1.0)


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"speed": -0.5}, "speed must be at least 0.0 and at most 10.0, got -0.5"),
        ({"speed": 10.5}, "speed must be at least 0.0 and at most 10.0, got 10.5"),
        ({"drag": 0.0}, "drag must be above 0.0 and below 1.0, got 0.0"),
        ({"drag": 1}, "drag must be above 0.0 and below 1.0, got 1.0"),
        ({"lag": -1}, "lag must be at least 0, got -1"),
        ({"speed": np.nan}, "speed must be at least 0.0 and at most 10.0, got nan"),
        ({"noise": np.nan}, "noise must be a finite number, got nan"),
        ({"noise": np.inf}, "noise must be a finite number, got inf"),
        ({"noise": -np.inf}, "noise must be a finite number, got -inf"),
        ({"speed": [1.0, 2.0, -3.0]}, "speed must be at least 0.0 and at most 10.0, got -3.0"),
        ({"speed": jnp.array([1.0, 20.0])}, "speed must be at least 0.0 and at most 10.0, got 20.0"),
        ({"wind": (0.0, np.nan)}, "wind must be a finite number, got nan"),
    ],
)
def test_a_constant_out_of_range_is_refused_with_value_and_range(constants, words):
    with pytest.raises(ValueError, match=f"Drift: {words}"):
        Drift(**constants)


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"speed": "fast"}, "speed must be a number or an array of numbers, got 'fast'"),
        ({"speed": None}, "speed must be a number or an array of numbers, got None"),
        ({"speed": 1j}, "speed must be a number or an array of numbers, got 1j"),
        ({"speed": [[1.0], [1.0, 2.0]]}, "speed must be a number or an array of numbers"),
        ({"speed": True}, "speed must be a number, got True"),
        ({"lag": 1.5}, "lag must be an integer, got 1.5"),
        ({"lag": 1.0}, "lag must be an integer, got 1.0"),
        ({"icy": 1}, "icy must be True or False, got 1"),
    ],
)
def test_a_constant_of_the_wrong_kind_is_refused(constants, words):
    with pytest.raises(TypeError, match=f"Drift: {words}"):
        Drift(**constants)


def test_the_bounds_themselves_are_allowed():
    assert (Drift(speed=0.0).speed, Drift(speed=10).speed) == (0.0, 10.0)


@pytest.mark.parametrize("value", [3, np.int64(3), np.float64(3), np.float32(3), np.uint8(3)])
def test_scalars_are_stored_as_python_floats(value):
    assert type(Drift(speed=value).speed) is float and Drift(speed=value).speed == 3.0


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0])])
def test_arrays_are_stored_as_float32(value):
    assert Drift(speed=value).speed.dtype == np.float32


def test_jax_arrays_stay_jax_arrays():
    assert isinstance(Drift(speed=jnp.array([1, 2])).speed, jax.Array)
    assert Drift(speed=jnp.array([1, 2])).speed.dtype == jnp.float32


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_a_constant_beyond_float32_is_refused(value):
    with pytest.raises(ValueError, match="noise"):
        Drift(noise=value)


def test_a_constant_that_float32_rounds_out_of_its_range_is_refused():
    with pytest.raises(ValueError, match=r"drag must be above 0\.0"):
        Drift(drag=1e-50)


@pytest.mark.parametrize("value", [2.5, "two", np.arange(2), True])
def test_a_static_field_of_the_wrong_kind_is_refused(value):
    with pytest.raises(TypeError, match="axes must be an integer"):
        Drift(axes=value)


@pytest.mark.parametrize("value", [2**40, -(2**40), np.array([1, 2**31])])
def test_an_integer_beyond_32_bits_is_refused(value):
    with pytest.raises(ValueError, match=r"Counter: steps must fit in 32 bits, .* got -?\d{10}"):
        Counter(steps=value)


def test_the_integers_at_the_ends_of_32_bits_are_accepted():
    assert (Counter(steps=2**31 - 1).steps, Counter(steps=-(2**31)).steps) == (2**31 - 1, -(2**31))


def test_a_constant_without_its_name_is_refused_with_one():
    with pytest.raises(TypeError, match=r"HeartPole takes its constants by name, such as \w+=0\.5; got 0\.5"):
        HeartPole(0.5)


def test_a_sleep_of_negative_length_is_refused():
    with pytest.raises(ValueError, match="sleep_half_hours must be at least 0"):
        HeartPole(sleep_half_hours=-1)


# replace, repr, eq, hash, copies.


def test_replace_changes_only_what_it_is_given():
    env = Drift(speed=3.0, axes=4).replace(noise=0.7)
    assert (env.speed, env.noise, env.axes) == (3.0, 0.7, 4)


def test_replace_validates():
    with pytest.raises(ValueError, match="speed must be"):
        Drift().replace(speed=-1.0)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(Drift(speed=3, axes=4)) == "Drift(speed=3.0, axes=4)"


def test_environments_of_equal_constants_are_equal():
    assert Drift(speed=2) == Drift(speed=2.0) != Drift(speed=3.0)
    assert Drift(wind=(1.0, 2.0)) == Drift(wind=np.array([1.0, 2.0])) != Drift()
    assert Drift(axes=2) != Drift(axes=3)


def test_environments_of_different_classes_are_unequal():
    class Other(Drift):
        pass

    assert Drift() != Other() and Drift() != 3


def test_equal_environments_have_equal_hashes():
    assert hash(Drift(speed=2)) == hash(Drift(speed=2.0)) and len({Drift(), Drift(), Drift(speed=3.0)}) == 2
    assert hash(Drift(wind=(1.0, 2.0))) == hash(Drift(wind=np.array([1.0, 2.0])))


def test_equal_environments_of_floats_and_arrays_have_equal_hashes():
    assert Drift(speed=jnp.float32(2.0)) == Drift(speed=2.0)
    assert hash(Drift(speed=jnp.float32(2.0))) == hash(Drift(speed=2.0))


COPIES = {"pickle": lambda env: pickle.loads(pickle.dumps(env)), "deepcopy": copy.deepcopy, "copy": copy.copy}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("env", [HeartPole(), HeartPole(decay_rate=jnp.array([0.5, 0.6]), sleep_half_hours=4)])
def test_a_copy_is_equal_and_steps_alike(copied, env):
    twin = copied(env)
    assert twin == env and type(twin) is type(env)
    assert jax.tree.structure(twin) == jax.tree.structure(env)


# What authors may leave out.


def test_reset_and_step_alone_make_an_environment(traces):
    class Counted(Plain):
        pass

    env = Counted()
    state, _ = env.reset(KEY)
    for index in range(3):
        state, step = env.step(jax.random.key(index), state, np.array([0.5, -0.5]))
    assert traces.count("step") == 1 and step.obs == state[0]


@pytest.mark.parametrize("env", [Plain(), Drift()])
def test_a_vector_env_takes_either_form(env):
    envs = jaxenvs.make_vec(env, 3)
    state, obs = envs.reset(KEY)
    state, step = envs.step(KEY, state, envs.sample_actions(KEY))
    assert obs.shape == step.obs.shape == (3, *env.observation_space.shape)


@pytest.mark.parametrize(
    "use",
    [
        lambda env: env.reset(KEY),
        lambda env: env.step(KEY, (), 0),
        lambda env: env.observation_space,
        lambda env: env.action_space,
        lambda env: env.draw(KEY),
        lambda env: env.render(()),
    ],
)
def test_what_an_author_left_out_is_named(use):
    class Empty(Environment):
        pass

    with pytest.raises(NotImplementedError, match="Empty"):
        use(Empty())


# Actions.


@pytest.mark.parametrize("action", [-1, 3, np.int64(7), np.array(-5)])
def test_a_discrete_action_outside_the_space_is_refused_by_value(action):
    env = Drift()
    with pytest.raises(ValueError, match=r"Drift.step: action must be in Discrete\(3\), got .*-?\d"):
        env.step(KEY, env.reset(KEY)[0], action)


@pytest.mark.parametrize("action", [[1.5, 0.0], np.array([0.0, -1.1]), np.array([np.nan, 0.0])])
def test_a_continuous_action_outside_the_space_is_refused_by_value(action):
    env = Plain()
    with pytest.raises(ValueError, match=r"Plain\.step: action must be in Box"):
        env.step(KEY, env.reset(KEY)[0], action)


@pytest.mark.parametrize("action", [0, 2, np.int64(1), np.array(2, np.uint8)])
def test_python_and_numpy_actions_inside_the_space_are_taken(action):
    env = Drift()
    state, _ = env.reset(KEY)
    jax.tree.map(np.testing.assert_array_equal, env.step(KEY, state, action), env.step(KEY, state, jnp.int32(action)))


@pytest.mark.parametrize("action", [1.0, True, np.float32(1), jnp.float32(1), jnp.bool_(True)])
def test_a_discrete_action_of_another_kind_is_refused(action):
    env = Drift()
    with pytest.raises(TypeError, match=r"Drift\.step: action must have a dtype like int32"):
        env.step(KEY, env.reset(KEY)[0], action)


@pytest.mark.parametrize("action", [np.array([1]), jnp.zeros(3, int), [1, 2]])
def test_an_action_of_another_shape_is_refused(action):
    env = Drift()
    with pytest.raises((ValueError, TypeError), match=r"Drift\.step: action must"):
        env.step(KEY, env.reset(KEY)[0], action)


def test_inside_jit_an_action_of_another_kind_is_refused_at_trace_time():
    env = Drift()
    state, _ = env.reset(KEY)
    with pytest.raises(TypeError, match="dtype like int32"):
        jax.eval_shape(lambda action: env.step(KEY, state, action), jnp.float32(1))


def test_inside_jit_an_action_of_another_shape_is_refused_at_trace_time():
    env = Drift()
    state, _ = env.reset(KEY)
    with pytest.raises(ValueError, match=r"the shape \(\)"):
        jax.eval_shape(lambda action: env.step(KEY, state, action), jnp.zeros(2, jnp.int32))


def test_a_composite_action_outside_the_space_is_refused_by_value():
    class Pair(Plain):
        action_space = spaces.Tuple((spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,), np.float32)))

        def step(self, key, state, action):
            return state, Step(state[0], action[1].sum(), jnp.bool_(False))

    env = Pair()
    with pytest.raises(ValueError, match=r"Pair\.step: action\[0\] must be in Discrete\(3\), got 5"):
        env.step(KEY, env.reset(KEY)[0], (5, np.array([9.0, 0.0], np.float32)))


# Keys.


def test_raw_keys_are_taken():
    np.testing.assert_array_equal(HeartPole().reset(jax.random.PRNGKey(0))[1], HeartPole().reset(KEY)[1])


@pytest.mark.parametrize("key", [0, None, np.zeros(2), jnp.zeros(2)])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(TypeError, match="key must be a JAX key"):
        HeartPole().reset(key)


@pytest.mark.parametrize("method", ["reset", "draw_start", "draw"])
def test_a_number_in_place_of_a_key_is_named(method):
    with pytest.raises(TypeError, match=r"key must be a JAX key.* got 0 \(int\)"):
        getattr(HeartPole(), method)(0)


def test_a_number_in_place_of_the_key_of_a_step_is_named():
    state, _ = HeartPole().reset(KEY)
    with pytest.raises(TypeError, match=r"key must be a JAX key.* got 7 \(int\)"):
        HeartPole().step(7, state, 0)
