"""The table of a sweep as Parquet; `make interop-ray` runs this where pyarrow is installed."""

import csv
import math

import numpy as np
import pytest

parquet = pytest.importorskip("pyarrow.parquet")

from train import ppo
from train.runs.plan import Plan
from train.sweeps import results
from train.sweeps.distributions import choice, uniform
from train.sweeps.plan import plan_sweep
from train.sweeps.statistics import score_of

RUNS = Plan(
    algorithm="ppo", env="FiveChoices-v0", constants={}, training={}, curve_as_trained=False,
    config=ppo.Config(num_envs=4, num_steps=8, segment=4, minibatches=2), total_steps=64, seed=0,
)  # fmt: skip


def test_its_columns_are_those_of_the_csv_with_their_types(tmp_path):
    # Numbers of a choice may be integers and not.
    norms = choice(1, 0.5)
    space = {"gamma": uniform(0.9, 1.0), "hidden": choice((4,), (4, 4)), "epochs": choice(1, 2), "max_grad_norm": norms}
    plan = plan_sweep(RUNS, space, trials=3, seeds=2)
    values = [np.array([1.5, 2.5]), np.array([0.5, np.nan]), np.array([np.nan, np.nan])]
    table = [
        results.Row(trial, plan.settings[trial], score_of(found, np.isnan(found)), found, 64)
        for trial, found in enumerate(values)
    ]
    results.write(plan, tmp_path, table, top=0)
    found = parquet.read_table(tmp_path / "trials.parquet").to_pydict()
    header, *rows = list(csv.reader((tmp_path / "trials.csv").read_text().splitlines()))
    assert list(found) == header
    assert found["rank"] == [1, 2, 3] and found["trial"] == [0, 1, 2]
    assert found["gamma"] == [setting["gamma"] for setting in plan.settings]
    assert found["hidden"] == [str(setting["hidden"]) for setting in plan.settings]
    assert found["epochs"] == [setting["epochs"] for setting in plan.settings]
    assert found["max_grad_norm"] == [setting["max_grad_norm"] for setting in plan.settings]
    assert found["diverged"] == [0, 1, 2] and found["seed_0"][:2] == [1.5, 0.5]
    assert math.isnan(found["score"][2]) and found["score"][0] == 2.0
    for name, *column in zip(header, *rows):
        assert [str(value) if name == "hidden" else float(value) for value in found[name]] == pytest.approx(
            column if name == "hidden" else list(map(float, column)), nan_ok=True
        )
