"""Sweeps of every algorithm, and the command itself: they compile for long."""

import json

import jax
import numpy as np
import pytest

import train
from train.__main__ import main
from train.presets import ALGORITHMS
from train.runs.plan import Plan
from train.sweeps import sweep as driver
from train.sweeps.distributions import grid, loguniform
from train.sweeps.plan import plan_sweep

pytestmark = pytest.mark.slow
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
