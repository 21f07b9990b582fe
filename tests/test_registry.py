"""`register`, `make` and `make_vec`."""

# Spaces may be plain class attributes, and what is no environment is given on purpose.
# pyright: reportArgumentType=false, reportAssignmentType=false

import subprocess
import sys
from typing import Any

import gymnasium
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


def test_an_id_taken_with_other_constants_is_refused():
    register("Coin-v0", Coin, weight=2.0)
    with pytest.raises(ValueError, match="'Coin-v0' already names"):
        register("Coin-v0", Coin, weight=3.0)


def test_the_same_registration_again_is_allowed():
    register("Coin-v0", Coin, weight=2.0)
    register("Coin-v0", Coin, weight=2.0)


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


@pytest.mark.parametrize("id", [id for id in IDS if id != "CartPole-v0"])
def test_the_time_limit_of_an_id_is_that_of_its_class(id):
    assert IDS[id][1] == type(make(id)).max_episode_steps == gymnasium.spec(f"jaxenvs/{id}").max_episode_steps


def test_names_that_are_a_submodules_too_are_the_public_ones():
    code = "import jaxenvs.rollout, jaxenvs.registry, jaxenvs; print(type(jaxenvs.registry), callable(jaxenvs.rollout))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<class 'dict'> True\n"


def test_a_name_that_is_not_public_is_missed_in_pythons_words():
    with pytest.raises(AttributeError, match="module 'jaxenvs' has no attribute 'nothing'"):
        jaxenvs.nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert "make" in dir(jaxenvs)
