"""The commands of docs/sweeps.md: each is parsed and planned, and nothing is trained."""

import importlib.util
import pathlib
import re
import shlex

import pytest

from train import commands
from train.__main__ import _parser
from train.sweeps.plan import plan_sweep
from train.sweeps.space import parse_space

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "sweeps.md"
COMMANDS = re.findall(r"^\$ jaxenvs (sweep .*)$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_can_be_planned(command, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    options = _parser("jaxenvs").parse_args(shlex.split(command))
    runs, _ = commands.plan_of(options, lambda options, algorithm, config: 1)
    plan = plan_sweep(
        runs, parse_space(options.space), trials=options.trials, seeds=options.seeds, search=options.search,
        metric=options.metric, evaluations=options.evaluations, episodes=options.episodes, confirm=options.confirm,
    )  # fmt: skip
    assert plan.num_trials == options.trials


def test_the_page_has_commands():
    assert len(COMMANDS) >= 2
