"""Sweeps of every algorithm, and the command itself: they compile for long."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

import train
from train.__main__ import main
from train.presets import ALGORITHMS
from train.runs.plan import Plan
from train.sweeps import sweep as driver
from train.sweeps import trainer
from train.sweeps.distributions import grid, loguniform, uniform
from train.sweeps.plan import plan_sweep

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[3]
REPLAY = {"capacity": 64, "learning_starts": 32, "batch_size": 8, "gradient_steps": 2}
SMALL = {
    "ppo": ("CartPole-v1", {"num_steps": 8, "segment": 4, "epochs": 1, "minibatches": 2}),
    "dqn": ("CartPole-v1", {"num_steps": 2, **REPLAY}),
    "pqn": ("CartPole-v1", {"num_steps": 8, "epochs": 1, "minibatches": 2}),
    "td3": ("Pendulum-v1", {"num_steps": 2, **REPLAY}),
    "sac": ("Pendulum-v1", {"num_steps": 2, **REPLAY}),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_algorithm_can_be_swept_on_every_number_of_devices(name, tmp_path):
    env, config = SMALL[name]
    assert SMALL.keys() == ALGORITHMS.keys()
    runs = Plan(
        algorithm=name, env=env, constants={}, training={}, curve_as_trained=False,
        config=ALGORITHMS[name].Config(num_envs=4, hidden=(4,), **config), total_steps=96, seed=1,
    )  # fmt: skip
    space = {"learning_rate": loguniform(1e-4, 1e-3), "gamma": grid(0.9, 0.99)}
    plan = plan_sweep(runs, space, trials=3, seeds=1, evaluations=2, episodes=2, confirm=1)
    found = {}
    for devices in {1, min(2, jax.device_count())}:
        found[devices] = driver.begin(plan, tmp_path / str(devices), devices=devices, quiet=True)
        assert not found[devices].diverged
    first, *others = [{row.trial: row.values for row in result.table} for result in found.values()]
    for other in others:
        np.testing.assert_allclose([other[trial] for trial in first], list(first.values()), rtol=1e-3)
    agent = train.load(tmp_path / "1", member=2)
    assert agent.plan.config.gamma == plan.settings[2]["gamma"]
    assert np.isfinite(agent.evaluate(2)["mean"])


@pytest.mark.parametrize("name", SMALL)
def test_every_algorithm_can_be_halved_and_bred(name, tmp_path):
    env, config = SMALL[name]
    runs = Plan(
        algorithm=name, env=env, constants={}, training={}, curve_as_trained=False,
        config=ALGORITHMS[name].Config(num_envs=4, hidden=(4,), **config), total_steps=96, seed=1,
    )  # fmt: skip
    space = {"learning_rate": loguniform(1e-4, 1e-3), "gamma": uniform(0.9, 0.99)}
    common: dict[str, Any] = {"seeds": 1, "episodes": 2, "confirm": 3, "chunk": 3}
    halved = plan_sweep(runs, space, search="asha", trials=5, eta=2, rungs=1, **common)
    bred = plan_sweep(runs, space, search="pbt", trials=3, evaluations=2, quantile=0.4, **common)
    with trainer.shared_programs(ignoring=("total_steps",)) as programs:
        results = {plan.search: driver.begin(plan, tmp_path / plan.search, quiet=True) for plan in (halved, bred)}
    assert len(programs) == 1
    for plan in (halved, bred):
        folder = tmp_path / plan.search
        found = results[plan.search]
        assert not found.diverged
        assert {row.trial for row in found.table} == set(range(len(plan.settings)))
        # Some trials stop halfway; all of a population end.
        assert len({row.steps for row in found.table}) == (2 if plan is halved else 1)
        best = found.table[0]
        agent = train.load(folder, member=best.trial)
        assert (agent.steps, agent.plan.config.gamma) == (best.steps, found.setting["gamma"])
        assert np.isfinite(agent.evaluate(2)["mean"])
    lines = (tmp_path / "pbt" / "lineage.csv").read_text().splitlines()
    assert [line.split(",")[3] != "" for line in lines[1:]].count(True) == 1


TWO_DEVICES = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import numpy as np
from train import ppo
from train.runs.plan import Plan
from train.sweeps import search_file, sweep
from train.sweeps.distributions import loguniform
from train.sweeps.plan import plan_sweep

search_file.EVERY = 0.0
config = ppo.Config(num_envs=4, hidden=(4,), num_steps=8, segment=4, epochs=1, minibatches=2)
runs = Plan(algorithm="ppo", env="CartPole-v1", constants={}, training={}, curve_as_trained=False, config=config,
            total_steps=128, seed=1)
space = {"learning_rate": loguniform(1e-4, 1e-2)}
for search, options in (("asha", {"eta": 2, "rungs": 2}), ("pbt", {"evaluations": 4})):
    plan = plan_sweep(runs, space, search=search, trials=5, seeds=1, episodes=4, confirm=0, chunk=5, **options)
    found = [sweep.begin(plan, f"{sys.argv[1]}/{search}{devices}", devices=devices, quiet=True) for devices in (1, 2)]
    one, two = ({row.trial: (row.steps, row.score.score) for row in result.table} for result in found)
    for trial in one:
        np.testing.assert_allclose(one[trial], two[trial], rtol=1e-3)
    assert found[0].schedule == found[1].schedule
"""


def test_searches_on_two_devices_with_a_lane_left_over_are_those_on_one(tmp_path):
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_sweeps_reports_and_resumes(tmp_path, capsys):
    folder = tmp_path / "sweep"
    arguments = [
        "sweep", "ppo", "--env", "FiveChoices-v0", "--space", "learning_rate=loguniform(1e-4,1e-2)",
        "--space", "activation=grid(tanh,linear)", "--trials", "4", "--seeds", "2", "--total-steps", "256",
        "--num-envs", "8", "--num-steps", "16", "--hidden", "4", "--episodes", "4", "--evaluations", "2",
        "--confirm", "2", "--out", str(folder),
    ]  # fmt: skip
    assert main(arguments, "jaxenvs") == 0
    shown = capsys.readouterr()
    assert "4 trials x 2 seeds = 8 runs, 2 groups to compile, 2 chunks of at most 4 runs together" in shown.err
    assert "4/4 trials" in shown.err
    assert "fresh seeds" in shown.out
    assert {path.name for path in (folder / "plots").iterdir()} == {
        "learning_rate.png", "activation.png", "parallel.png",
    }  # fmt: skip
    before = json.loads((folder / "winner.json").read_text())
    for again in (arguments, ["resume", str(folder)]):
        assert main(again, "jaxenvs") == 0
        assert json.loads((folder / "winner.json").read_text()) == before
    assert main(["resume", str(folder), "--total-steps", "512"], "jaxenvs") == 1
    assert "cannot prolong a sweep" in capsys.readouterr().err
    assert main(["evaluate", str(folder)], "jaxenvs") == 1
    assert "holds a sweep, not a run" in capsys.readouterr().err
