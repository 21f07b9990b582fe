"""The space of a sweep: distributions, their texts, and the settings that a search makes of them."""

import collections

import numpy as np
import pytest

from train import ppo
from train.runs.plan import Plan
from train.sweeps.distributions import choice, grid, integer, loguniform, parsed, uniform
from train.sweeps.plan import plan_sweep
from train.sweeps.space import checked_space, member_plan, parse_space, settings_of

RUNS = Plan(
    algorithm="ppo", env="CartPole-v1", constants={}, training={"force": 5.0}, curve_as_trained=False,
    config=ppo.Config(num_envs=8, num_steps=16, minibatches=2), total_steps=1024, seed=0,
)  # fmt: skip


@pytest.mark.parametrize("one", [choice("tanh", (64, 64), True), grid(1, 2), integer(1, 3), uniform(0.5, 1)], ids=str)
def test_the_text_of_a_distribution_names_it(one):
    assert parsed(str(one)) == one


def test_values_stay_in_their_range_at_every_quantile():
    for one in (uniform(0.123456789, 0.2), loguniform(1.23456789e-5, 1e-2), integer(2, 5)):
        low, high = one.arguments
        values = [one.at(u) for u in np.linspace(0.0, 1 - 1e-12, 101)]
        assert low <= min(values) < max(values) <= high
        assert values == sorted(values)
    assert loguniform(1e-4, 1.0).at(0.5) == pytest.approx(1e-2)
    assert [integer(1, 4).at(u) for u in (0.0, 0.25, 0.5, 0.99)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uniform(1, 0)", "is empty: the first number must be below the second"),
        ("uniform(0, inf)", "must be finite numbers"),
        ("uniform(0)", "takes two numbers"),
        ("loguniform(0, 1)", "both numbers must be above 0"),
        ("integer(0.5, 2)", "must be integers"),
        ("choice()", "is empty: give it at least one value"),
        ("choice(1, 1)", "has 1 twice"),
        ("lognuiform(1, 2)", "did you mean loguniform"),
        ("3", "must be one of choice"),
    ],
)
def test_a_distribution_that_cannot_be_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parsed(text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "the space is empty"),
        (["learning_rat=uniform(0, 1)"], "ppo has no hyperparameter 'learning_rat'; did you mean learning_rate"),
        (["env.gravty=uniform(1, 2)"], "CartPole has no constant 'gravty'; did you mean gravity"),
        (["num_envs=uniform(1, 8)"], r"num_envs is static.* cannot have the continuous uniform\(1, 8\)"),
        (["gamma=uniform(0.9, 1.1)"], r"gamma=uniform\(0.9, 1.1\): Config: gamma must be .*got 1.1"),
        (["hidden=choice(0)"], "hidden"),
        (["minibatches=choice(2, 3)"], r"the setting minibatches=3: .*minibatches must divide"),
        (["env.cart_mass=uniform(-1, 1)"], "cart_mass must be above 0"),
        (["gamma"], "--space must be NAME=DISTRIBUTION"),
        (["gamma=uniform(0, 1)", "gamma=uniform(0, 1)"], "--space names gamma twice"),
    ],
)
def test_a_space_that_cannot_be_is_refused_in_a_sentence(texts, message):
    with pytest.raises((ValueError, TypeError), match=message):
        plan_sweep(RUNS, parse_space(texts), trials=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"search": "best"}, "--search must be one of random, sobol, grid"),
        ({"search": "grid"}, r"gamma=uniform\(0.9, 1.0\) has no finite number of values"),
        ({"trials": 0}, "--trials must be at least 1"),
        ({"episodes": 10**9, "chunk": 64}, "64 runs trained together would need at least"),
        ({"metric": "least"}, "--metric must be"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plan_sweep(RUNS, {"gamma": uniform(0.9, 1.0)}, **{"trials": 64, "seeds": 1, **options})


def test_names_have_their_stored_form():
    found = checked_space(RUNS, parse_space(["lambda=uniform(0.9, 1)", "hidden=grid(32, (64, 64))"]))
    assert found == {"lambda_": uniform(0.9, 1), "hidden": grid((32,), (64, 64))}


def test_grids_are_crossed_and_the_rest_is_sampled():
    space = {"hidden": grid((32,), (64,)), "activation": grid("linear", "relu"), "learning_rate": uniform(0.0, 1.0)}
    settings = settings_of(space, "random", 20, seed=0)
    counts = collections.Counter((one["hidden"], one["activation"]) for one in settings)
    assert len(counts) == 4
    assert set(counts.values()) == {5}
    assert len({one["learning_rate"] for one in settings}) == 20
    assert len(settings_of({"gamma": choice(0.9, 0.99), "epochs": integer(1, 3)}, "grid", None, seed=0)) == 6


def test_more_trials_begin_with_the_same_settings():
    space = {"learning_rate": loguniform(1e-5, 1e-2), "activation": choice("tanh", "relu")}
    assert settings_of(space, "random", 16, seed=1)[:8] == settings_of(space, "random", 8, seed=1)
    assert settings_of(space, "random", 8, seed=1) != settings_of(space, "random", 8, seed=2)


def test_sobol_numbers_fill_every_eighth_of_each_range():
    settings = settings_of({"gamma": uniform(0.0, 1.0), "clip": uniform(0.0, 1.0)}, "sobol", 8, seed=3)
    for name in ("gamma", "clip"):
        assert sorted(int(8 * one[name]) for one in settings) == list(range(8))


def test_a_constant_of_the_space_holds_for_training_too():
    found = member_plan(RUNS, {"env.force": 7.0, "training.gravity": 3.0, "gamma": 0.5})
    assert (found.constants, found.training, found.config.gamma) == ({"force": 7.0}, {"gravity": 3.0}, 0.5)
