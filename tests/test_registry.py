"""`register`, `make` and `make_vec`."""

# Spaces may be plain class attributes, and what is no environment is given on purpose.
# pyright: reportArgumentType=false, reportAssignmentType=false

import copy
import pickle
import subprocess
import sys
from typing import Any

import cloudpickle
import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs
from jaxenvs import Environment, HeartPole, SimpleRocket, make, make_vec, register
from jaxenvs.ids import IDS
from jaxenvs.registry import registry


class Coin(Environment):
    """Registered by the tests."""

    max_episode_steps = 7
    weight: float = 1.0
    shade: float = 0.0

    observation_space = spaces.Discrete(2)
    action_space = spaces.Discrete(2)


@pytest.fixture(autouse=True)
def clean_registry():
    """Whatever a test registers is forgotten after it."""
    known: list[Any] = [registry, gymnasium.registry]
    before = [dict(entries) for entries in known]
    yield
    for entries, earlier in zip(known, before, strict=True):
        entries.clear()
        entries.update(earlier)


@pytest.mark.parametrize(("id", "cls"), [("HeartPole-v0", HeartPole), ("SimpleRocket-v0", SimpleRocket)])
def test_ours_are_registered(id, cls):
    assert type(make(id)) is cls and make(id) == cls()


def test_make_passes_constants():
    assert make("HeartPole-v0", heart_attack_proclivity=0.3) == HeartPole(heart_attack_proclivity=0.3)


def test_a_class_can_be_registered():
    register("Coin-v0", Coin)
    assert make("Coin-v0", weight=2.0) == Coin(weight=2.0)


def test_an_entry_point_can_be_registered_by_name():
    register("OtherPole-v3", "jaxenvs.envs.heartpole:HeartPole")
    assert type(make("OtherPole-v3")) is HeartPole


def test_an_entry_point_by_name_is_imported_at_the_first_use_only():
    register("Absent-v0", "module_that_is_nowhere:Coin")
    with pytest.raises(ValueError, match="module_that_is_nowhere"):
        make("Absent-v0")


def test_an_id_may_have_a_namespace():
    register("casino/Coin-v12", Coin)
    assert type(make("casino/Coin-v12")) is Coin


def test_registered_constants_are_defaults():
    register("HeavyCoin-v0", Coin, weight=5.0)
    assert make("HeavyCoin-v0", shade=1.0) == Coin(weight=5.0, shade=1.0)


def test_registered_constants_can_be_overridden():
    register("HeavyCoin-v0", Coin, weight=5.0)
    assert make("HeavyCoin-v0", weight=6.0) == Coin(weight=6.0)


@pytest.mark.parametrize(
    "id", ["Coin", "Coin-0", "Coin-v", "Coin-vx", "", "a/b/Coin-v0", "Coin v0", "Coin-v0 ", "/Coin-v0"]
)
def test_a_malformed_id_is_refused(id):
    with pytest.raises(ValueError, match="an id must look like 'Name-v0' or 'namespace/Name-v0', got"):
        register(id, Coin)


def test_a_taken_id_is_refused():
    with pytest.raises(ValueError, match="'HeartPole-v0' already names"):
        register("HeartPole-v0", Coin)
    assert type(make("HeartPole-v0")) is HeartPole


@pytest.mark.parametrize("weight", [2.0, 3.0], ids=["the same", "another"])
def test_an_id_is_registered_twice_by_force_only(weight):
    register("Coin-v0", Coin, weight=2.0, max_episode_steps=3)
    with pytest.raises(ValueError, match=r"'Coin-v0' already names .*force=True"):
        register("Coin-v0", Coin, weight=weight)
    register("Coin-v0", Coin, weight=weight, max_episode_steps=4, force=True)
    assert make("Coin-v0") == make("Coin-v0", weight=weight)
    assert make_vec("Coin-v0", 1).max_episode_steps == gymnasium.spec("jaxenvs/Coin-v0").max_episode_steps == 4


def test_a_constant_called_force_can_be_registered():
    register("Steep-v0", jaxenvs.MountainCar, force=0.002)
    assert make("Steep-v0") == jaxenvs.MountainCar(force=0.002)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_episode_steps": -1}, ValueError, "Coin-v0: max_episode_steps must be at least 1, got -1"),
        ({"max_episode_steps": 0}, ValueError, "max_episode_steps must be at least 1, got 0"),
        ({"max_episode_steps": float("nan")}, TypeError, "max_episode_steps must be an integer of at least 1, got nan"),
        ({"max_episode_steps": True}, TypeError, "max_episode_steps must be an integer of at least 1, got True"),
        ({"weight": float("nan")}, ValueError, "Coin: weight must be a finite number, got nan"),
        ({"weight": "2"}, TypeError, "Coin: weight must be a number or an array of numbers, got '2'"),
        ({"wait": 2.0}, TypeError, r"Coin has no constant 'wait'\. Did you mean 'weight'"),
    ],
)
def test_a_registration_that_is_refused_leaves_the_id_free(options, error, message):
    with pytest.raises(error, match=message):
        register("Coin-v0", Coin, **options)
    register("Coin-v0", Coin)
    assert make("Coin-v0") == Coin()


def test_a_location_with_an_unknown_constant_can_be_replaced():
    register("OtherPole-v3", "jaxenvs.envs.heartpole:HeartPole", weight=2.0)
    with pytest.raises(TypeError, match="HeartPole has no constant 'weight'"):
        make("OtherPole-v3")
    register("OtherPole-v3", "jaxenvs.envs.heartpole:HeartPole", force=True)
    assert make("OtherPole-v3") == HeartPole()


@pytest.mark.parametrize("entry_point", [int, "jaxenvs.envs.heartpole", None, Coin()])
def test_an_entry_point_that_is_no_environment_is_refused(entry_point):
    with pytest.raises(TypeError, match="entry_point must be an Environment class or 'module:Class'"):
        register("Coin-v0", entry_point)


@pytest.mark.parametrize(
    ("id", "near"),
    [("HartPole-v0", "HeartPole-v0"), ("Rocket-v0", "SimpleRocket-v0"), ("heartpole-v1", "HeartPole-v0")],
)
def test_an_unknown_id_is_refused_with_the_nearest(id, near):
    with pytest.raises(ValueError, match=f"unknown environment id '{id}'; nearest: .*{near}"):
        make(id)


def test_an_id_like_no_other_is_refused_with_all_that_are_known():
    with pytest.raises(ValueError, match=r"unknown environment id 'qqq'; known: .*HeartPole-v0.*SimpleRocket-v0"):
        make("qqq")


@pytest.mark.parametrize("call", [lambda env: make(env), lambda env: make_vec(env, 2)], ids=["make", "make_vec"])
def test_a_class_in_place_of_an_environment_is_refused_with_its_call(call):
    with pytest.raises(TypeError, match=r"an environment is an instance, not the class: write CartPole\(\)"):
        call(jaxenvs.CartPole)


def test_make_vec_refuses_unknown_ids_alike():
    with pytest.raises(ValueError, match=r"unknown environment id 'HartPole-v0'; nearest: HeartPole-v0"):
        make_vec("HartPole-v0", 2)


def test_an_unknown_constant_is_refused_with_the_nearest():
    with pytest.raises(
        TypeError, match=r"HeartPole has no constant 'hart_attack_proclivity'\. Did you mean 'heart_attack_proclivity'"
    ):
        make("HeartPole-v0", hart_attack_proclivity=0.5)


def test_a_constant_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"heart_attack_proclivity must be at least 0\.0 and at most 1\.0, got 1\.5"):
        make_vec("HeartPole-v0", 2, heart_attack_proclivity=np.array([0.5, 1.5]))


def test_the_time_limit_is_that_of_the_class():
    register("Coin-v0", Coin)
    assert make_vec("Coin-v0", 2).max_episode_steps == 7


@pytest.mark.parametrize("limit", [3, None])
def test_a_registered_time_limit_overrides_the_classs(limit):
    register("ShortCoin-v0", Coin, max_episode_steps=limit)
    assert make_vec("ShortCoin-v0", 2).max_episode_steps == limit


@pytest.mark.parametrize("limit", [9, None])
def test_make_vecs_time_limit_overrides_the_registered(limit):
    register("ShortCoin-v0", Coin, max_episode_steps=3)
    assert make_vec("ShortCoin-v0", 2, max_episode_steps=limit).max_episode_steps == limit


def test_make_vec_takes_an_environment():
    envs = make_vec(Coin(weight=3.0), 2, shade=1.0)
    assert (envs.env, envs.num_envs, envs.max_episode_steps) == (Coin(weight=3.0, shade=1.0), 2, 7)


def test_make_vec_takes_a_batch_and_its_time_limit():
    envs = make_vec(make_vec(Coin(weight=3.0), 2, max_episode_steps=4), 5, shade=1.0)
    assert (envs.env, envs.num_envs, envs.max_episode_steps) == (Coin(weight=3.0, shade=1.0), 5, 4)


def test_registry_lists_what_is_known():
    assert {"HeartPole-v0", "SimpleRocket-v0"} <= set(jaxenvs.registry)


@pytest.mark.parametrize("id", IDS)
def test_the_time_limit_of_an_id_is_that_of_its_environment(id):
    env = make(id)
    assert IDS[id][1] == env.max_episode_steps == gymnasium.spec(f"jaxenvs/{id}").max_episode_steps
    assert make_vec(env, 2).max_episode_steps == make_vec(id, 2).max_episode_steps == IDS[id][1]


@pytest.fixture
def variants():
    """Environments of ids with a time limit of their own, and what makes the same one."""
    register("EndlessCoin-v0", Coin, max_episode_steps=None, weight=2.0)
    return [
        (make("CartPole-v0", gravity=5.0), "make('CartPole-v0', gravity=5.0)", 200),
        (make("EndlessCoin-v0"), "make('EndlessCoin-v0', weight=2.0)", None),
    ]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, "pickle", "cloudpickle", "tree", "replace", "repr"])
def test_an_ids_time_limit_stays_with_its_environment(variants, again):
    for env, shown, limit in variants:
        same = {
            "pickle": lambda env: pickle.loads(pickle.dumps(env)),
            "cloudpickle": lambda env: cloudpickle.loads(cloudpickle.dumps(env)),
            "tree": lambda env: jax.tree.map(lambda leaf: leaf, env),
            "replace": lambda env: env.replace(),
            "repr": lambda env: eval(repr(env)),
        }.get(again, again)(env)
        assert (same, hash(same), repr(same), same.max_episode_steps) == (env, hash(env), shown, limit)
        assert type(same) is type(env)


def test_an_environment_with_another_time_limit_is_another(variants):
    assert variants[0][0] != jaxenvs.CartPole(gravity=5.0)
    assert isinstance(variants[0][0], jaxenvs.CartPole)
    assert make("CartPole-v1") == jaxenvs.CartPole()


def test_a_variant_that_is_pickled_has_its_time_limit_in_another_process():
    code = "import sys, pickle; env = pickle.load(sys.stdin.buffer); print(repr(env), env.max_episode_steps)"
    pickled = pickle.dumps(make("CartPole-v0", gravity=5.0))
    done = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=True)
    assert done.stdout == b"make('CartPole-v0', gravity=5.0) 200\n"


def test_names_that_are_a_submodules_too_are_the_public_ones():
    code = "import jaxenvs.rollout, jaxenvs.registry, jaxenvs; print(type(jaxenvs.registry), callable(jaxenvs.rollout))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<class 'dict'> True\n"


def test_every_public_name_is_what_type_checkers_see():
    from jaxenvs import public

    assert all(getattr(jaxenvs, name) is getattr(public, name) for name in public.__all__)
    assert set(vars(jaxenvs)["_MODULES"]) | {"random", "spaces"} == set(public.__all__)


def test_a_name_loads_its_own_module_and_no_other_environment():
    code = "import sys, jaxenvs; jaxenvs.make('CartPole-v1'); print([m for m in sys.modules if 'jaxenvs.envs.' in m])"
    code += "; print('jaxenvs.check' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['jaxenvs.envs.cartpole']\nFalse\n"


def test_a_name_that_is_not_public_is_missed_in_pythons_words():
    with pytest.raises(AttributeError, match="module 'jaxenvs' has no attribute 'nothing'"):
        jaxenvs.nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert "make" in dir(jaxenvs)
