"""Each algorithm in the driver and on the command line."""

import dataclasses
import json
import signal

import numpy as np
import pytest
from reference import random_search
from reference.algorithms import CASES, each

import jaxenvs
from jaxenvs.registry import registry
from train.__main__ import main
from train.presets import ALGORITHMS
from train.runs import checkpoint, run, saver
from train.runs.plan import Plan


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "search", random_search)


@pytest.fixture(scope="module", autouse=True)
def brief():
    jaxenvs.register("Brief-v0", jaxenvs.CartPole, max_episode_steps=20, force=True)
    jaxenvs.register("BriefPush-v0", jaxenvs.Pendulum, max_episode_steps=20, force=True)
    yield
    del registry["Brief-v0"], registry["BriefPush-v0"]


def steps_after(name, updates):
    module, config = CASES[name].module, CASES[name].tiny
    return module.warmup_steps(config) + updates * module.steps_per_update(config)


def plan(name, updates=6):
    case = CASES[name]
    return Plan(
        algorithm=name, env=case.brief, constants={}, training={}, curve_as_trained=False, config=case.tiny,
        total_steps=steps_after(name, updates), seed=3,
    )  # fmt: skip


def stored(folder):
    with np.load(folder / "state.npz") as arrays:
        return {key: arrays[key].tobytes() for key in arrays.files}


@each
def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(name, tmp_path, monkeypatch):
    assert run.begin(plan(name), tmp_path / "entire", quiet=True)
    saves, save = [], checkpoint.save

    def stopping(path, tree, **options):
        save(path, tree, **options)
        saves.append(path)
        if len(saves) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(checkpoint, "save", stopping)
    monkeypatch.setattr(saver, "_WORTH", 0.0)  # a checkpoint at each point of the curve
    assert not run.begin(plan(name), tmp_path / "stopped", quiet=True)
    assert stored(tmp_path / "stopped") != stored(tmp_path / "entire")
    assert run.resume(tmp_path / "stopped", quiet=True)
    assert stored(tmp_path / "stopped") == stored(tmp_path / "entire")


@each
def test_the_command_line_trains_evaluates_films_and_resumes(name, tmp_path, capsys):
    case = CASES[name]
    options = []
    for field in dataclasses.fields(case.tiny):
        value = getattr(case.tiny, field.name)
        if value != field.default:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            options += [f"--{field.name.replace('_', '-')}", text]
    folder = tmp_path / "run"
    steps = str(steps_after(name, 4))
    command = [name, "--env", case.brief, "--total-steps", steps, "--out", str(folder), "--film-episodes", "1"]
    assert main([*command, "--episodes", "8", "--quiet", "--seed", "7", *options]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["episodes"] == 8 and 1 <= figures["mean_length"] <= 20
    assert {"config.json", "state.npz", "metrics.jsonl", "curve.png", "film.mp4", "film.gif", "evaluation.json"} <= {
        path.name for path in folder.iterdir()
    }
    rows = run.read_figures(folder)
    assert rows[-1]["steps"] == int(steps) and all("eval_mean" in row for row in rows)
    assert main(["evaluate", str(folder), "--episodes", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 4
    assert main(["resume", str(folder), "--film-episodes", "0", "--episodes", "4", "--quiet"]) == 0
