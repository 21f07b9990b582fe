"""What ties a run's folder together: changes are named, and code that it names is executed only if it may be."""

import json
import shutil

import jax
import jax.numpy as jnp
import pytest

from train import ppo
from train.__main__ import main
from train.runs import checkpoint, run, states
from train.runs.identity import differences, identity
from train.runs.plan import Plan, RunError, read_plan, write_plan

OWN = """
import gymnasium
import jax.numpy as jnp
import numpy as np

import jaxenvs


class Own(jaxenvs.Environment):
    max_episode_steps = 5

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    @property
    def action_space(self):
        return gymnasium.spaces.Discrete(2)

    def reset(self, key):
        return jnp.float32(0.0), jnp.zeros(1)

    def step(self, key, state, action):
        return state, jaxenvs.Step(jnp.zeros(1), 1.0, jnp.bool_(False))
"""
CONFIG = ppo.Config(num_envs=2, num_steps=4, segment=4, minibatches=1, epochs=1, hidden=(4,))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    (folder / "own.py").write_text(OWN)
    plan = Plan(
        algorithm="ppo", env=f"{folder / 'own.py'}:Own", constants={}, training={}, curve_as_trained=False,
        config=CONFIG, total_steps=64, seed=0,
    )  # fmt: skip
    (folder / "run").mkdir()
    write_plan(plan, folder / "run")
    state = ppo.init(plan.config, plan.training_envs(), plan.key(0))
    checkpoint.save(folder / "run" / run.STATE, state, about=identity(plan))
    return folder


@pytest.fixture
def folder(original, tmp_path, monkeypatch):
    """A working directory with own.py and a run of it."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    change(tmp_path / "run", env=f"{tmp_path / 'own.py'}:Own")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(folder, **values):
    stored = json.loads((folder / "config.json").read_text())
    stored["config"] |= values.pop("config", {})
    (folder / "config.json").write_text(json.dumps({**stored, **values}))


def found(folder):
    """The differences between a run's checkpoint and its folder: {text: whether it is refused}."""
    kept = checkpoint.about(folder / run.STATE)
    return {difference.text: difference.refused for difference in differences(kept, identity(read_plan(folder)))}


def test_a_run_that_was_moved_with_its_file_differs_in_nothing(folder):
    assert found(folder / "run") == {}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seed": 7}, "seed was 0 and is 7"),
        ({"keys": "fast"}, 'keys was "ordinary" and is "fast"'),
        ({"env": "CartPole-v1"}, 'env was "Own" and is "CartPole-v1"'),
        ({"config": {"gamma": 0.5}}, "gamma was 0.99 and is 0.5"),
        ({"config": {"num_steps": 8}}, "num_steps was 4 and is 8"),
    ],
)
def test_what_makes_another_experiment_is_refused_by_name(folder, changes, text):
    change(folder / "run", **changes)
    assert found(folder / "run")[text] is True


@pytest.mark.parametrize(
    ("name", "value"), [("jax", "0.1"), ("jaxenvs", "99"), ("python", "3.0"), ("device", "TPU"), ("devices", 8)]
)
def test_versions_and_devices_are_only_said(folder, name, value):
    kept = checkpoint.about(folder / "run" / run.STATE)
    (difference,) = differences({**kept, name: value}, kept)
    assert not difference.refused and difference.text.startswith(f"{name} was {json.dumps(value)} and is ")


def test_a_longer_run_is_only_said(folder):
    change(folder / "run", total_steps=128)
    assert found(folder / "run") == {"total_steps was 64 and is 128": False}


def test_a_changed_file_is_refused_and_goes_on_if_it_is_accepted(folder, capsys):
    (folder / "own.py").write_text(OWN.replace("1.0, jnp.bool_", "2.0, jnp.bool_"))
    before = (folder / "run" / run.STATE).read_bytes()
    with pytest.raises(RunError, match=r"own.py has changed. Change it back, or accept it with --accept-changes"):
        run.resume(folder / "run", quiet=True)
    assert (folder / "run" / run.STATE).read_bytes() == before
    assert run.resume(folder / "run", quiet=True, accept_changes=True)
    assert "since the checkpoint was saved, own.py has changed" in capsys.readouterr().err
    # From now on that is the run's file.
    assert found(folder / "run") == {}


def test_a_checkpoint_of_before_there_were_identities_differs_in_nothing(folder):
    assert differences({}, identity(read_plan(folder / "run"))) == []


def test_a_folder_of_a_later_form_is_refused(folder):
    change(folder / "run", schema=99)
    with pytest.raises(RunError, match=r"has schema 99, and this version of jaxenvs reads 1 to 2$"):
        run.read(folder / "run")


@pytest.mark.parametrize(("updates", "said"), [(-5, "updates must be at least 0, got -5"), (1, None)])
def test_a_state_of_negative_updates_is_refused(folder, updates, said):
    _, state, path = states.read(folder / "run")
    checkpoint.save(path, state._replace(updates=jnp.int32(updates)))
    if said is None:
        assert run.read(folder / "run")[1].updates == updates
    else:
        with pytest.raises(RunError, match=said):
            run.read(folder / "run")


def test_a_state_that_is_not_finite_is_refused(folder):
    _, state, path = states.read(folder / "run")
    checkpoint.save(path, state._replace(params=jax.tree.map(lambda x: x * jnp.nan, state.params)))
    with pytest.raises(RunError, match="is not finite"):
        run.read(folder / "run")


@pytest.mark.parametrize("command", [["resume"], ["evaluate"], ["record", "--to", "film.gif"], ["watch"]])
def test_code_outside_the_working_directory_is_not_executed_without_trust(folder, monkeypatch, capsys, command):
    (folder / "own.py").write_text("raise SystemExit('it was executed')")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    verb, *options = command
    assert main([verb, "../run", *options]) == 1
    said = capsys.readouterr().err
    assert f"would execute {folder / 'own.py'}, which is outside the working directory" in said
    assert "it was executed" not in said
    assert main([verb, "../run", "--trust", *options]) == 1
    said = capsys.readouterr().err
    assert f"loading {folder / 'own.py'}" in said and "it was executed" in said


def test_code_that_is_executed_is_named(folder, capsys):
    (folder / "own.py").write_text("raise SystemExit")
    assert main(["evaluate", "run"]) == 1
    assert capsys.readouterr().err.startswith(f"loading {folder / 'own.py'}\n")


@pytest.mark.parametrize("verb", ["resume", "evaluate", "record", "watch"])
def test_help_says_that_code_is_executed(verb, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert "code is executed: see --trust" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"env": 5}, "env must be a registered id, or where a class is, got 5"),
        ({"algorithm": []}, "algorithm must be one of ppo, dqn, pqn, td3, sac, got []"),
        ({"constants": None}, "constants must be an object of constants, got null"),
        ({"training": [1]}, "training must be an object of constants, got [1]"),
        ({"curve_as_trained": "yes"}, 'curve_as_trained must be true or false, got "yes"'),
        ({"total_steps": True}, "total_steps must be an integer of at least 1, got true"),
        ({"total_steps": -5}, "total_steps must be an integer of at least 1, got -5"),
        ({"seed": 10**30}, f"seed must be an integer from 0 to 4,294,967,294, got {10**30}"),
        ({"until": float("nan")}, "until must be a finite number, or null, got NaN"),
        ({"keys": []}, "keys must be one of ordinary, fast, got []"),
        ({"config": {"gamma": []}}, "gamma must be a number, got []"),
        ({"config": {"gamma": None}}, "gamma must be a number, got null"),
        ({"config": {"learning_rate": "0.001"}}, 'learning_rate must be a number, got "0.001"'),
        ({"config": {"num_envs": 2.5}}, "num_envs must be an integer, got 2.5"),
        ({"config": {"hidden": {}}}, "hidden must be a list of integers, got {}"),
        ({"config": {"speed": 1}}, "there is no hyperparameter 'speed'"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:40],
)
def test_a_value_of_another_kind_is_named(folder, changes, said):
    change(folder / "run", **changes)
    with pytest.raises(RunError) as caught:
        read_plan(folder / "run")
    assert str(caught.value) == f"{folder / 'run' / 'config.json'} is damaged, or of another version: {said}"


def test_a_value_that_is_missing_is_named(folder):
    path = folder / "run" / "config.json"
    stored = json.loads(path.read_text())
    del stored["env"]
    path.write_text(json.dumps(stored))
    with pytest.raises(RunError, match="env is missing"):
        read_plan(folder / "run")
