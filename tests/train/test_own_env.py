"""Training an environment of one's own, named by its file."""

import json

import pytest

from jaxenvs.__main__ import main as jaxenvs_main
from train.__main__ import main
from train.run import Plan

TINY = ["--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2", "--hidden", "8"]
TINY += ["--total-steps", "128", "--film-steps", "2", "--episodes", "3", "--quiet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with my_env.py in it."""
    monkeypatch.chdir(tmp_path)
    assert jaxenvs_main(["new", "my_env.py"]) == 0
    return tmp_path


def test_a_file_is_trained_evaluated_and_resumed_from_anywhere(folder, monkeypatch, capsys):
    assert main(["ppo", "--env", "my_env.py:MyEnv", "--set", "loss=0.4", *TINY]) == 0
    run = folder / "runs" / "MyEnv-ppo-1"
    assert {"state.npz", "config.json", "film.gif", "curve.png"} <= {path.name for path in run.iterdir()}
    stored = json.loads((run / "config.json").read_text())
    assert (stored["env"], stored["constants"]) == (f"{(folder / 'my_env.py').resolve()}:MyEnv", {"loss": 0.4})

    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    capsys.readouterr()
    assert main(["evaluate", str(run), "--episodes", "3", "--set", "loss=0.3"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 3
    assert main(["resume", str(run), "--episodes", "3", "--film-steps", "0", "--quiet"]) == 0

    (folder / "my_env.py").rename(folder / "moved.py")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 1
    told = capsys.readouterr().err
    assert "was trained on an environment that cannot be loaded" in told
    assert "my_env.py: no such file; put it back, or write its new place" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", "my_env.py has no class Mine"),
        ("jnp.where(frozen, self.frost_penalty, 0.0)", "(5.0 if frozen else 0.0)", "my_env.py:85, in transition"),
        ("return after, jaxenvs.Step", "return jaxenvs.Step", "python -m jaxenvs check my_env.py:M"),
        ("max_episode_steps = 240", "max_episode_steps = None", "MyEnv has no time limit"),
        ("max_episode_steps = 240", "max_episode_steps = 0", "max_episode_steps must be at least 1, got 0"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(old, new, message, folder, capsys):
    name = "my_env.py:MyEnv" if old else "my_env.py:Mine"
    text = (folder / "my_env.py").read_text()
    assert old in text
    (folder / "my_env.py").write_text(text.replace(old, new))
    capsys.readouterr()
    assert main(["ppo", "--env", name, *TINY]) == 1
    told = capsys.readouterr().err.splitlines()
    assert message in told[-1]
    assert not (folder / "runs").exists()


def test_a_plans_name_is_short():
    plan = Plan(
        algorithm="ppo", env="/home/someone/my_env.py:MyEnv", constants={}, training={}, curve_as_trained=False,
        config=None, total_steps=1, seed=0,
    )  # fmt: skip
    assert plan.name == "MyEnv"
