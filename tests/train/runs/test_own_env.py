"""Training an environment of one's own, named by its file."""

import json

import jax
import pytest

from jaxenvs.__main__ import main as jaxenvs_main
from train import ppo
from train.__main__ import _parser, main
from train.commands import plan_of
from train.runs import checkpoint, run
from train.runs.plan import claim, write_plan

TINY = ["--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2", "--hidden", "8"]
TINY += ["--total-steps", "128", "--film-episodes", "1", "--episodes", "3", "--quiet"]


@pytest.fixture
def folder(empty_folder):
    """A current folder with my_env.py in it."""
    assert jaxenvs_main(["new", "my_env.py"]) == 0
    return empty_folder


@pytest.fixture
def begun(folder):
    """The folder of a run on my_env.py that has not learned anything yet."""
    plan, _ = plan_of(_parser().parse_args(["ppo", "--env", "my_env.py:MyEnv", "--set", "loss=0.4", *TINY]))
    path = folder / "runs" / "mine"
    claim(path)
    write_plan(plan, path)
    checkpoint.save(path / "state.npz", jax.jit(ppo.init)(plan.config, plan.training_envs(), jax.random.key(0)))
    return path


def test_a_run_finds_its_file_from_anywhere(begun, folder, monkeypatch):
    stored = json.loads((begun / "config.json").read_text())
    assert (stored["env"], stored["constants"]) == (f"{(folder / 'my_env.py').resolve()}:MyEnv", {"loss": 0.4})
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    plan, _ = run.read(begun)
    assert plan.training_envs().env.loss == 0.4  # pyright: ignore[reportAttributeAccessIssue]
    assert plan.name == "MyEnv"


@pytest.mark.parametrize("command", ["evaluate", "resume"])
def test_a_run_says_that_its_file_is_gone(command, begun, folder, capsys):
    (folder / "my_env.py").rename(folder / "moved.py")
    capsys.readouterr()
    assert main([command, str(begun)]) == 1
    said = capsys.readouterr().err
    assert "was trained on an environment that cannot be loaded" in said
    assert 'my_env.py: no such file; restore it, or set "env"' in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", "my_env.py has no class Mine"),
        ("jnp.where(frozen, self.frost_penalty, 0.0)", "(5.0 if frozen else 0.0)", "my_env.py:85, in transition"),
        ("return after, jaxenvs.Step", "return jaxenvs.Step", "python -m jaxenvs check my_env.py:M"),
        ("self.observe(state)\n", "self.observe(state), {}\n", "python -m jaxenvs check my_env.py:M"),
        ("uniform(key, (*shape, 2))", "uniform((*shape, 2))", "my_env.py:66, in draw_start"),
        ("temperature=10.0 + 20.0 * draws[0]", "temperature=10", "temperature of a batch is int32[8] after reset"),
        ("(2,), np.float32", "(3,), np.float32", "observation has the shape (2,), but observation_space declares (3,)"),
        ("def observation_space", "def observations", "MyEnv does not define observation_space"),
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
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]
    assert not (folder / "runs").exists()
