"""Values that change along a run."""

import dataclasses
import json

import pytest
from tiny_sweeps import RUNS

from train import presets
from train.runs.plan import plan_from, stored_form
from train.runs.schedule import check_schedule, plan_at, updates_until_change

# An update makes 32 steps: the first part ends in the middle of the second update.
PARTS = [
    {"from_step": 0, "to_step": 48, "values": {"learning_rate": 0.1, "env.payment": 2.0}},
    {"from_step": 48, "to_step": 96, "values": {"learning_rate": 0.2, "env.payment": 2.5}},
    {"from_step": 96, "to_step": 128, "values": {"learning_rate": 0.3, "env.payment": 3.0}},
]
PLAN = dataclasses.replace(RUNS, total_steps=160, schedule=PARTS)


def test_each_update_has_the_values_of_the_step_at_which_it_begins():
    found = [plan_at(PLAN, updates) for updates in range(5)]
    assert [one.config.learning_rate for one in found] == [0.1, 0.1, 0.2, 0.3, 0.3]
    assert [one.constants["payment"] for one in found] == [2.0, 2.0, 2.5, 3.0, 3.0]
    assert [updates_until_change(PLAN, updates) for updates in range(5)] == [2, 1, 1, 2, 1]


def test_a_run_without_a_schedule_never_changes():
    assert plan_at(RUNS, 3) is RUNS
    assert [updates_until_change(RUNS, updates) for updates in (0, 3)] == [4, 1]


def test_a_stored_plan_keeps_its_schedule():
    assert plan_from(json.loads(json.dumps(stored_form(PLAN))), "config.json").schedule == PARTS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": [8]}, "hidden is static: it cannot change while a run trains"),
        ({"learning_rat": 0.1}, "ppo has no hyperparameter 'learning_rat'; did you mean learning_rate"),
        ({"gamma": 1.5}, "gamma must be .*got 1.5"),
    ],
)
def test_values_that_cannot_be_are_refused(values, message):
    plan = dataclasses.replace(RUNS, schedule=[{"from_step": 0, "to_step": 128, "values": values}])
    with pytest.raises(ValueError, match=message):
        check_schedule(plan)


@pytest.mark.parametrize("schedule", [{}, [{"from_step": 0, "to_step": 1}], [{"to_step": 1, "values": {}}], [3]])
def test_a_file_with_a_schedule_that_is_none_is_refused(schedule, tmp_path):
    stored = {"algorithm": "ppo", "env": "FiveChoices-v0", "total_steps": 128, "config": {}, "constants": {}}
    path = tmp_path / "1.json"
    path.write_text(json.dumps({**stored, "training": {}, "schedule": schedule}))
    with pytest.raises(
        ValueError, match=r"the schedule of .*1.json must be a list of parts with from_step, to_step and values"
    ):
        presets.preset("ppo", "FiveChoices-v0", str(path))
