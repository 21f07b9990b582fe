"""`python -m jaxenvs new | check | list`."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import pytest

import jaxenvs
from jaxenvs.__main__ import main
from jaxenvs.check import _RULES as RULES
from jaxenvs.check import rules
from jaxenvs.check.engine import examine
from jaxenvs.check.probe import Probe

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def folder(empty_folder):
    return empty_folder


def test_what_new_writes_keeps_the_contract(capsys, quick_compiles):
    assert main(["new", "my_env.py"]) == 0
    assert "python -m jaxenvs check my_env.py:MyEnv" in capsys.readouterr().out
    with jax.numpy_dtype_promotion("standard"):
        assert main(["check", "my_env.py:MyEnv"]) == 0
    table = capsys.readouterr().out
    assert all(f"ok    {name}" in table for name in set(rules()) - {"describe"})
    assert "-     describe" in table
    assert "MyEnv(): keeps the whole contract" in table
    assert isinstance(jaxenvs.make("my_env.py:MyEnv").action_space, gymnasium.spaces.Discrete)


def test_the_continuous_one_keeps_the_forms_of_the_contract():
    assert main(["new", "my_env.py", "--continuous"]) == 0
    env = jaxenvs.make("my_env.py:MyEnv")
    names = [rule.name for rule in RULES]
    assert examine(RULES[: names.index("terminated") + 1], Probe(env)).ok
    assert isinstance(env.action_space, gymnasium.spaces.Box)


def test_new_names_the_class_and_the_file(folder):
    assert main(["new", "bath_tub.py"]) == 0
    assert main(["new", "other.py", "--name", "Sauna"]) == 0
    assert "class BathTub(jaxenvs.Environment)" in (folder / "bath_tub.py").read_text()
    text = (folder / "other.py").read_text()
    assert "check other.py:Sauna" in text
    assert "MyEnv" not in text
    assert "my_env" not in text


def refused(arguments, capsys):
    """The one line that a refused command prints."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def test_new_overwrites_nothing(folder, capsys):
    (folder / "my_env.py").write_text("mine")
    assert "my_env.py exists already, and is left as it is" in refused(["new", "my_env.py"], capsys)
    assert (folder / "my_env.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "my_env.txt"], "must end in .py"),
        (["new", "jax.py"], "would hide Python's module 'jax'"),
        (["new", "random.py"], "would hide Python's module 'random'"),
        (["new", "2nd.py"], "'2nd' cannot name the class: give another, such as --name MyEnv"),
        (["new", "ok.py", "--name", "my env"], "'my env' cannot name the class"),
        (["new", "state.py"], "'State' cannot name the class"),
        (["new", "no/folder.py"], "no/folder.py cannot be written: No such file or directory"),
        (["check", "absent.py:MyEnv"], "absent.py: no such file"),
        (["check", "HartPole-v0"], "nearest: HeartPole-v0"),
        (["check", "HartPole-v0"], "an environment in a file is named my_env.py:MyEnv"),
    ],
)
def test_a_refused_command_says_why_in_one_line(arguments, message, capsys):
    assert message in refused(arguments, capsys)


def test_check_tells_what_to_mend_and_fails(folder, capsys):
    main(["new", "my_env.py"])
    text = (folder / "my_env.py").read_text()
    (folder / "my_env.py").write_text(text.replace("max_episode_steps = 240", "max_episode_steps = 0").replace(
        "reward, frozen)", "reward, 1 if frozen else 0)"
    ))  # fmt: skip
    capsys.readouterr()
    assert main(["check", "my_env.py:MyEnv"]) == 1
    table = capsys.readouterr().out
    assert "MEND  time-limit" in table
    assert "found:    max_episode_steps is 0" in table
    assert "MEND  step-runs" in table
    assert "my_env.py:86, in transition" in table
    assert "-     one-trace            not checked: depends on step-runs" in table
    assert "MyEnv(): 2 rules to mend" in table


def test_check_takes_a_registered_id_and_a_class_that_cannot_be_made(folder, capsys):
    (folder / "bad.py").write_text("import jaxenvs\n\nclass Bad(jaxenvs.Environment):\n    size: float\n")
    assert main(["check", "bad.py:Bad"]) == 1
    assert "Bad() fails: TypeError: Bad needs a value for size" in capsys.readouterr().out


def test_list_shows_ids_spaces_and_limits(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:]}
    assert rows.keys() == jaxenvs.registry.keys()
    assert rows["CartPole-v0"].split()[1:] == ["Box(4)", "Discrete(2)", "200"]
    assert "Box(1) in [-2, 2]" in rows["Pendulum-v1"]
    column = lines[0].index("observation")
    assert all(line[column - 1] == " " and line[column] != " " for line in lines)


def test_the_command_runs_from_the_shell(folder):
    command = [sys.executable, "-m", "jaxenvs", "new", str(folder / "my_env.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "my_env.py").is_file()
