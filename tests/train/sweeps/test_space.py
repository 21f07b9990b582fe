"""The space of a sweep: distributions, their texts, and the settings that a search makes of them."""

import collections
import dataclasses
import itertools

import numpy as np
import pytest

from train import ppo
from train.runs.plan import Plan, RunError
from train.sweeps.distributions import choice, grid, integer, loguniform, parsed, uniform
from train.sweeps.explore import exploited, explored
from train.sweeps.ladder import ladder
from train.sweeps.lineage import Interval, read_lineage, schedule_of, write_lineage
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
        ({"search": "best"}, "--search must be one of random, sobol, grid, asha, pbt"),
        ({"search": "grid"}, r"gamma=uniform\(0.9, 1.0\) is continuous, and --search grid needs a list"),
        ({"trials": 0}, "--trials must be at least 1"),
        ({"episodes": 10**9, "chunk": 64}, "64 runs trained together would need at least"),
        ({"metric": "least"}, "--metric must be"),
        ({"eta": 3}, "--eta is an option of --search asha, got --search random"),
        ({"search": "asha", "resample": 0.1}, "--resample is an option of --search pbt, got --search asha"),
        ({"search": "asha", "eta": 1}, "--eta must be an integer of at least 2, got 1"),
        ({"search": "asha", "rungs": 0}, "--rungs must be an integer of at least 1, got 0"),
        ({"search": "asha", "rungs": 3, "eta": 3}, "need runs of at least 27 updates, and a run has 8: train longer"),
        ({"search": "asha", "evaluations": 5}, "--search asha takes no --evaluations: .* got 5"),
        ({"search": "asha", "seeds": 4, "chunk": 3, "rungs": 1}, "must train at least 4 runs together, got --chunk 3"),
        ({"search": "pbt", "quantile": 0.6}, "--quantile must be above 0 and at most 0.5, got 0.6"),
        ({"search": "pbt", "resample": -0.1}, "--resample must be from 0 to 1, got -0.1"),
        ({"search": "pbt", "trials": 1}, "--search pbt needs --trials of at least 2, got 1"),
        ({"search": "pbt", "evaluations": 1}, "--search pbt needs --evaluations of at least 2, got 1"),
        ({"search": "pbt", "chunk": 8}, "must train at least 64 runs together, got --chunk 8"),
        ({"search": "pbt", "episodes": 10**9}, "64 runs trained together would need at least"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plan_sweep(RUNS, {"gamma": uniform(0.9, 1.0)}, **{"trials": 64, "seeds": 1, **options})


def test_a_population_has_no_static_parameters():
    space = {"gamma": uniform(0.9, 1.0), "hidden": choice(32, 64)}
    with pytest.raises(ValueError, match="--search pbt changes values while it trains, and hidden is static"):
        plan_sweep(RUNS, space, trials=4, search="pbt")
    with pytest.raises(TypeError, match="a sweep has no option 'brackets'; searches have eta, rungs"):
        plan_sweep(RUNS, space, trials=4, search="asha", brackets=2)


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("rungs", [1, 2, 3])
def test_rungs_are_about_eta_times_later_each(eta, rungs):
    for updates in {eta**rungs, eta**rungs + 1, 2 * eta**rungs - 1, 1000}:
        found = ladder(updates, eta, rungs)
        assert updates <= found.num_updates < updates * (1 + 1 / eta**rungs)
        ends = [*found.rungs, found.looks]
        assert ends == sorted(set(ends))
        for early, late in itertools.pairwise(ends):
            assert eta <= late / early < eta + eta / early
        assert [found.rung_of(look) for look in ends] == [*range(rungs), rungs]


def test_a_run_of_successive_halving_ends_at_a_look_and_other_runs_as_before():
    space = {"num_steps": grid(16, 32), "gamma": uniform(0.9, 1.0)}
    runs = dataclasses.replace(RUNS, total_steps=128 * 33)
    halved = plan_sweep(runs, space, trials=2, seeds=1, search="asha", eta=4, rungs=2)
    assert [halved.plan_of(one, 0).num_updates for one in halved.settings] == [34, 17]
    assert [halved.plan_of(one, 0).total_steps for one in halved.settings] == [128 * 34, 256 * 17]
    assert halved.full_steps == 128 * 34 + 256 * 17
    assert plan_sweep(runs, space, trials=2, seeds=1).full_steps == 128 * 33 + 256 * 17


def test_the_worst_and_those_that_diverged_get_one_of_the_best():
    rng = np.random.default_rng(0)
    keys, sound = [3, 0, 7, 1, 6, 2, 5, 4], [True] * 8
    for _ in range(20):
        source = exploited(keys, sound, 0.25, rng).tolist()
        assert [trial for trial in range(8) if source[trial] != trial] == [2, 4]
        assert {source[2], source[4]} <= {1, 3}
    # Trial 1 ranks first here and diverged: it is replaced, and not copied.
    source = exploited(keys, [trial != 1 for trial in range(8)], 0.25, rng).tolist()
    assert source[1] in (3, 5)
    assert {source[2], source[4]} <= {3, 5}
    assert exploited([0, 1], [False, False], 0.5, rng).tolist() == [0, 1]


def test_explored_values_are_near_and_in_the_range():
    space = {"a": loguniform(1e-4, 1e-2), "b": uniform(0.5, 1.0), "c": choice(8, 2, 5), "d": integer(1, 3)}
    values = {"a": 1e-3, "b": 0.7, "c": 2, "d": 3}
    rng = np.random.default_rng(0)
    found = [explored(space, values, 0.0, rng) for _ in range(40)]
    assert {one["a"] for one in found} == {8e-4, 1.2e-3}
    assert {one["b"] for one in found} == {0.65, 0.75}
    assert {one["c"] for one in found} == {8, 5}
    assert {one["d"] for one in found} == {2, 3}
    ends = explored(space, {"a": 1e-2, "b": 1.0, "c": 5, "d": 1}, 0.0, np.random.default_rng(3))
    for name, distribution in space.items():
        low, high = min(distribution.arguments), max(distribution.arguments)
        assert low <= ends[name] <= high
    assert len({explored(space, values, 1.0, rng)["a"] for _ in range(10)}) == 10


def test_a_schedule_has_the_values_of_those_it_comes_from(tmp_path):
    intervals = [
        Interval(10, [0, 1], [{"a": 1.5, "b": True}, {"a": (2.0, 3.0), "b": False}], [0.25, None], [0, 2]),
        Interval(20, [0, 0], [{"a": 3.5, "b": True}, {"a": 4.5, "b": False}], [1 / 3, 2.0], [1, 0]),
        Interval(30, [1, 1], [{"a": 5.5, "b": True}, {"a": 6.5, "b": False}], [1.0, 2.0], [0, 0]),
    ]
    assert [one["a"] for one in schedule_of(intervals, 1)] == [1.5, 4.5, 6.5]
    assert [one["a"] for one in schedule_of(intervals, 0)] == [1.5, 4.5, 5.5]
    write_lineage(tmp_path, intervals, ["a", "b"])
    assert read_lineage(tmp_path, ["a", "b"]) == intervals
    (tmp_path / "lineage.csv").write_text("interval,steps\n0,x\n")
    with pytest.raises(RunError, match=r"lineage.csv is missing or damaged .* start the sweep again"):
        read_lineage(tmp_path, ["a", "b"])


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
