"""Searches by other libraries, as far as they need none of them; `make interop-ray` runs the rest."""

import dataclasses
import importlib.util

import pytest

from train import ppo
from train.__main__ import main
from train.runs.plan import Plan
from train.runs.stored import LARGEST_SEED
from train.sweeps import ray_tune
from train.sweeps.distributions import choice, grid, integer, loguniform, uniform
from train.sweeps.elsewhere import examples_of, setting_of
from train.sweeps.plan import plan_sweep

RUNS = Plan(
    algorithm="ppo", env="FiveChoices-v0", constants={}, training={}, curve_as_trained=False,
    config=ppo.Config(num_envs=8, num_steps=16, minibatches=2), total_steps=1024, seed=0,
)  # fmt: skip
SPACE = {"hidden": choice((64, 64), (32,)), "gamma": uniform(0.9, 0.99), "epochs": integer(1, 4)}
RATES = {"learning_rate": loguniform(1e-5, 1e-2), "activation": choice("tanh", "relu")}


@pytest.fixture
def installed(monkeypatch):
    """Says of a library whether it is installed."""

    def set_to(there):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if there else None)

    return set_to


def test_a_tuple_is_kept_as_text_and_comes_back_as_a_tuple():
    found = setting_of(SPACE, {"hidden": "(32,)", "gamma": 0.95, "epochs": 2, "of_others": 1})
    assert found == {"hidden": (32,), "gamma": 0.95, "epochs": 2}


def test_numbers_outside_their_range_get_its_nearest_end():
    found = setting_of(SPACE, {"hidden": "(64, 64)", "gamma": 1.1, "epochs": 0.7})
    assert found == {"hidden": (64, 64), "gamma": 0.99, "epochs": 1}
    assert type(found["epochs"]) is int
    # As for integers that Ray has multiplied.
    assert setting_of({"epochs": integer(1, 4)}, {"epochs": 2.6}) == {"epochs": 3}


def test_values_that_are_none_of_the_space_are_refused():
    with pytest.raises(ValueError, match=r"hidden must be one of \(64, 64\), \(32,\), got '64'"):
        setting_of(SPACE, {"hidden": "64"})
    with pytest.raises(ValueError, match="gamma has no value; there are hidden"):
        setting_of(SPACE, {"hidden": "(32,)"})


def test_each_combination_of_static_choices_is_checked_beforehand():
    found = examples_of(RUNS, RATES | {"epochs": integer(1, 3), "gamma": choice(0.9, 0.99)})
    assert [(one["activation"], one["epochs"]) for one in found] == [
        ("tanh", 1), ("tanh", 2), ("tanh", 3), ("relu", 1), ("relu", 2), ("relu", 3),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="static choices have 2,000 combinations, and at most 1,000"):
        examples_of(RUNS, RATES | {"epochs": integer(1, 1000)})


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({"minibatches": choice(2, 3)}, {}, r"the setting minibatches=3: .*minibatches must divide"),
        ({"activation": grid("tanh", "relu")}, {}, r"activation=grid\('tanh', 'relu'\) asks for every value, but Opt"),
        (RATES, {"trials": 0}, "--trials must be at least 1, got 0"),
        (RATES, {"storage": "sqlite:///a.db"}, "--storage URL and --study NAME belong together"),
        (RATES, {"search": "random", "study": "mine"}, "--study is an option of --search optuna, got --search random"),
        (RATES, {"chunk": 64, "episodes": 10**9}, "64 runs trained together would need at least"),
    ],
)
def test_an_optuna_search_that_cannot_be_is_refused_before_it_begins(installed, space, options, message):
    installed(True)
    with pytest.raises(ValueError, match=message):
        plan_sweep(RUNS, space, **{"trials": 16, "search": "optuna", **options})


def test_a_library_that_is_missing_is_named_with_what_installs_it(installed, capsys, tmp_path):
    installed(False)
    with pytest.raises(ImportError, match=r'on Ray Tune needs ray, .* not installed: pip install "jaxenvs\[ray\]"'):
        ray_tune.tuner("ppo", "FiveChoices-v0", RATES)
    command = ["sweep", "ppo", "--env", "FiveChoices-v0", "--space", "gamma=uniform(0.9,0.99)", "--search", "optuna"]
    assert main([*command, "--out", str(tmp_path / "sweep")]) == 1
    said = '--search optuna needs optuna, which is not installed: pip install "jaxenvs[optuna]"'
    assert capsys.readouterr().err == f"error: {said}\n"
    assert not (tmp_path / "sweep").exists()


def test_a_batch_is_at_most_a_chunk_and_by_default_an_eighth_of_the_trials(installed):
    installed(True)
    plan = plan_sweep(RUNS, RATES, trials=20, seeds=2, search="optuna")
    assert (plan.settings, plan.num_members, plan.batch) == ([], 40, 3)
    assert plan_sweep(RUNS, RATES, trials=20, seeds=2, search="optuna", chunk=15).batch == 7
    assert plan_sweep(RUNS, RATES, trials=20, seeds=4, search="optuna", chunk=3).batch == 1


def test_more_settings_add_chunks_behind_the_others(installed):
    installed(True)
    plan = plan_sweep(RUNS, RATES, trials=9, seeds=2, search="optuna", chunk=8)
    kinds = ["tanh", "relu", "tanh", "tanh", "tanh", "tanh", "tanh", "tanh", "relu"]
    settings = [{"learning_rate": 1e-3, "activation": kind} for kind in kinds]
    before, after = (dataclasses.replace(plan, settings=settings[:count]).chunks() for count in (8, 9))
    assert [(chunk.static["activation"], chunk.members) for chunk in after] == [
        ("tanh", [0, 1, 4, 5, 6, 7]), ("relu", [2, 3]), ("tanh", [8, 9, 10, 11, 12, 13, 14, 15]), ("relu", [16, 17]),
    ]  # fmt: skip
    assert before == after[:3]
    # Six members and eight share a program.
    assert [plan.lanes_of(chunk, after) for chunk in after] == [8, 2, 8, 2]


def test_fresh_seeds_on_ray_are_those_of_no_trial():
    """Also of a sweep that has the next seed, and where seeds begin again at their end."""
    runs = [dataclasses.replace(RUNS, seed=seed) for seed in (7, 8, LARGEST_SEED)]
    sweeps = [plan_sweep(one, {"gamma": uniform(0.9, 0.99)}, trials=3, seeds=2) for one in runs]
    for base, wanted in ((sweeps[0], 9), (sweeps[2], 0)):
        seed = ray_tune.unused_seed(base, sweeps)
        assert seed == wanted
        fresh = dataclasses.replace(base, runs=dataclasses.replace(base.runs, seed=seed))
        taken = {sweep.seed_of(member) for sweep in sweeps for member in range(sweep.num_members)}
        assert taken.isdisjoint(fresh.seed_of(member) for member in range(fresh.num_members))
