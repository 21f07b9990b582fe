"""`jaxenvs new | check | list | show`, and how it hands over to the trainers' command line."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium
import jax
import pytest

import jaxenvs
from jaxenvs.__main__ import TRAINERS_NEED, main
from jaxenvs.check import _RULES as RULES
from jaxenvs.check import rules
from jaxenvs.check.certificate import certificate
from jaxenvs.check.engine import examine
from jaxenvs.check.probe import Probe
from jaxenvs.ids import IDS
from jaxenvs.show import show
from train.__main__ import main as train_main

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
    assert "MyEnv(): keeps the full contract" in table
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


def test_the_commands_that_new_prints_run_in_a_folder_with_spaces(folder, capsys):
    (folder / "my envs").mkdir()
    assert main(["new", "my envs/bath tub.py"]) == 0
    check = capsys.readouterr().out.splitlines()[2]
    assert shlex.split(check) == ["python", "-m", "jaxenvs", "check", "my envs/bath tub.py:BathTub"]


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
    assert "my_env.py already exists and is not changed" in refused(["new", "my_env.py"], capsys)
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
        (["new", "ok.py", "--name", "np"], "'np' cannot name the class"),
        (["new", "ok.py", "--name", "property"], "'property' cannot name the class"),
        (["new", "no/folder.py"], "no/folder.py cannot be written: No such file or directory"),
        (["check", "absent.py:MyEnv"], "absent.py: no such file"),
        (["check", "HartPole-v0"], "nearest: HeartPole-v0"),
        (["check", "FiveChoices-v0", "--json", "no/a.json"], "no/a.json cannot be written: No such file or directory"),
        (["check", "HartPole-v0"], "name an environment in a file as my_env.py:MyEnv"),
    ],
)
def test_a_refused_command_says_why_in_one_line(arguments, message, capsys):
    assert message in refused(arguments, capsys)


def test_check_prints_what_to_fix_and_fails(folder, capsys):
    main(["new", "my_env.py"])
    text = (folder / "my_env.py").read_text()
    (folder / "my_env.py").write_text(text.replace("max_episode_steps = 240", "max_episode_steps = 0").replace(
        "reward, frozen)", "reward, 1 if frozen else 0)"
    ))  # fmt: skip
    capsys.readouterr()
    assert main(["check", "my_env.py:MyEnv"]) == 1
    table = capsys.readouterr().out
    assert "FIX   time-limit" in table
    assert "found:    max_episode_steps is 0" in table
    assert "FIX   step-runs" in table
    assert "my_env.py:86, in transition" in table
    assert "-     one-trace            not checked: depends on step-runs" in table
    assert "MyEnv(): 2 rules to fix" in table


@pytest.mark.parametrize(("limit", "noted"), [("None", True), ("5", False)])
def test_check_notes_that_training_needs_a_time_limit(limit, noted, folder, capsys):
    text = f"import jaxenvs\n\nclass Bad(jaxenvs.Environment):\n    max_episode_steps = {limit}\n"
    (folder / "bad.py").write_text(text)
    note = "note: Bad has no time limit: training and evaluation need max_episode_steps"
    assert main(["check", "bad.py:Bad"]) == 1
    assert (note in capsys.readouterr().out) is noted
    report = jaxenvs.check_env(jaxenvs.make("bad.py:Bad"), raise_on_failure=False)
    assert (note in str(report)) is noted


def test_check_writes_a_certificate(folder, capsys):
    (folder / "bad.py").write_text("import jaxenvs\n\nclass Bad(jaxenvs.Environment):\n    size: float = 2.0\n")
    assert main(["check", "bad.py:Bad", "--json", "bad.json"]) == 1
    written = json.loads((folder / "bad.json").read_text())
    assert (written["name"], written["ok"], written["constants"]) == ("bad.py:Bad", False, {"size": 2.0})
    assert written["versions"]["jax"] == jax.__version__ and written["seconds"] >= 0 and "T" in written["time"]
    results = {rule["name"]: rule["result"] for rule in written["rules"]}
    assert results.keys() == rules().keys()
    assert (results["environment"], results["methods"], results["jit"]) == ("holds", "broken", "not checked")
    methods = next(rule for rule in written["rules"] if rule["name"] == "methods")
    assert "the class defines none" in methods["findings"][0]["found"]


@pytest.mark.parametrize(
    "arguments", [["FiveChoices-v0", "--json", "my_env.py"], ["--json", "my_env.py", "my_env.py:MyEnv"]]
)
def test_a_certificate_overwrites_no_source_file(arguments, folder, capsys):
    (folder / "my_env.py").write_text("mine")
    message = "--json must name a file that ends in .json, got my_env.py"
    assert refused(["check", *arguments], capsys) == f"error: {message}"
    assert (folder / "my_env.py").read_text() == "mine"


def test_a_certificate_has_what_was_measured():
    env = jaxenvs.FiveChoices()
    report = examine([rule for rule in RULES if rule.name in ("environment", "one-trace")], Probe(env))
    written = certificate(env, report, name="FiveChoices-v0", seconds=1.0, version="1.2")
    measured = next(rule["measured"] for rule in written["rules"] if rule["name"] == "one-trace")
    expected = {"steps": 100, "environments": 32, "traces": {"reset": 1, "step": 1}}
    assert json.loads(json.dumps(measured)) == expected
    assert written["constants"] == {"paying_choice": 2, "payment": 1.0, "other_payment": -1.0}


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_standard_output_that_is_full_is_one_sentence():
    code = "import sys; from jaxenvs.__main__ import main; sys.exit(main(['list']))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.stderr.splitlines()[0] == "error: the standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_show_has_the_meaning_of_spaces_and_constants_the_limit_and_the_preset(capsys):
    assert main(["show", "HeartPole-v0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("HeartPole-v0: Work in steps of half an hour")
    found = [re.split(r" {2,}", line.strip()) for line in lines]
    assert ["3", "time since slept, half-hours", "[0, inf)"] in found
    assert ["2", "beer: less alertness, more hypertension, intoxication"] in found
    assert [
        "heart_attack_proclivity", "0.5", "at least 0.0 and at most 1.0",
        "Probability of an attack per half-hour at unbounded hypertension.",
    ] in found  # fmt: skip
    assert [
        "wake_alertness_high",
        "1.3",
        "a finite number",
        "Alertness after sleep is uniform between these two.",
    ] in found
    assert ["time limit: 1000 steps"] in found
    assert ["ppo: 6,000,000 steps"] in found
    assert ["constants while training: expected_penalty=True"] in found


@pytest.mark.parametrize("id", IDS)
def test_show_leaves_no_space_and_no_constant_of_ours_without_a_meaning(id):
    observation, action, constants = (part.splitlines() for part in show(id).split("\n\n")[1:4])
    assert observation[0].startswith("observation: ") and len(observation) > 1
    assert action[0].startswith("action: ") and len(action) > 1
    cells = [re.split(r" {2,}", line.strip()) for line in (*observation[1:], *action[1:], *constants[1:])]
    assert [row for row in cells if len(row) < 2 or not row[-1]] == []
    assert {len(row) for row in cells[-len(constants) + 1 :]} == {4}


def test_show_has_the_constants_that_an_id_changes_and_its_own_limit():
    assert re.search(r"random_target +True ", show("PointInterceptRandom-v0"))
    assert "time limit: 200 steps" in show("CartPole-v0")


def test_show_takes_an_environment_in_a_file(capsys):
    main(["new", "my_env.py"])
    capsys.readouterr()
    assert main(["show", "my_env.py:MyEnv"]) == 0
    assert "ppo: 1,000,000 steps (no preset: the defaults)" in capsys.readouterr().out
    assert "nearest: HeartPole-v0" in refused(["show", "HartPole-v0"], capsys)


HELP = [([], main), *(([name], main) for name in ("new", "check", "list", "show", "train", "evaluate", "resume"))]
HELP += [(["train", "ppo"], main), *((names, train_main) for names in ([], ["ppo"], ["evaluate"], ["resume"]))]


@pytest.mark.parametrize(("command", "run"), HELP, ids=lambda x: "-".join(x) if isinstance(x, list) else x.__module__)
def test_the_help_of_every_command_ends_with_two_examples_of_it(command, run, capsys):
    with pytest.raises(SystemExit) as ended:
        run([*command, "--help"])
    printed = capsys.readouterr().out
    program = "jaxenvs" if run is main else "python -m train"
    examples = printed.split("\nexamples:\n")[1].splitlines()
    assert ended.value.code == 0 and len(examples) == 2
    assert all(line.startswith("  " + " ".join([program, *command])) for line in examples)


@pytest.mark.parametrize(
    ("command", "usage", "error"),
    [
        ("", "jaxenvs COMMAND ...   (--help lists them)", "the following arguments are required: COMMAND"),
        ("--fast list", "jaxenvs COMMAND ...   (--help lists them)", "unrecognized arguments: --fast"),
        ("--fast train ppo", "jaxenvs COMMAND ...   (--help lists them)", "unrecognized arguments: --fast ppo"),
        ("show", "jaxenvs show ID", "the following arguments are required: ID"),
        ("list all", "jaxenvs list", "unrecognized arguments: all"),
        ("check a b", "jaxenvs check ENV [options]   (--help lists them)", "unrecognized arguments: b"),
        ("train", "jaxenvs train COMMAND ...   (--help lists them)", "the following arguments are required: COMMAND"),
        ("train ppo", "jaxenvs train ppo --env ID [options]   (--help lists them)", "arguments are required: --env"),
        (
            "train ppo --env a --fast 3",
            "jaxenvs train ppo --env ID [options]   (--help lists them)",
            "arguments: --fast 3",
        ),
        (
            "train sac --env a --lr 3",
            "jaxenvs train sac --env ID [options]   (--help lists them)",
            "mean --learning-rate?",
        ),
        ("train ppo --env a --seed x", "jaxenvs train ppo --env ID [options]   (--help lists them)", "got 'x'"),
        ("sweep ppo", "jaxenvs sweep ppo --env ID [options]   (--help lists them)", "arguments are required: --env"),
        ("record a", "jaxenvs record RUN|ID --to FILE [options]   (--help lists them)", "are required: --to"),
    ],
)
def test_a_wrong_command_is_answered_by_a_line_of_its_usage_and_the_error(command, usage, error, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and len(lines) == 2 and lines[0] == f"usage: {usage}" and lines[1].endswith(error)


def test_training_by_this_command_is_that_of_the_package_that_is_loaded(capsys):
    assert main(["evaluate", "nowhere"]) == 1
    assert "error: nowhere holds no run" in capsys.readouterr().err
    assert "train.runs.run" in sys.modules and "jaxenvs.train" not in sys.modules


def test_without_what_the_trainers_need_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("jaxenvs.__main__.TRAINERS_NEED", ("jax", "no_such_module", "nor_this_one"))
    needed = 'training needs no_such_module and nor_this_one: pip install "jaxenvs[train]"'
    assert refused(["train", "ppo", "--env", "CartPole-v1"], capsys) == f"error: {needed}"
    assert main(["show", "CartPole-v1"]) == 0
    assert "presets: unknown without no_such_module and nor_this_one" in capsys.readouterr().out


def test_what_the_trainers_need_is_what_their_extra_installs():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["train"]
    modules = {"pillow": "PIL", "imageio-ffmpeg": "imageio_ffmpeg"}
    names = {re.split("[>=]", line)[0] for line in extra}
    assert {modules.get(name, name) for name in names} == set(TRAINERS_NEED)


def loaded_after(command, *modules):
    """Which of some modules a command has loaded, in a separate process."""
    code = f"import sys; from jaxenvs.__main__ import main\ntry: main({command})\nexcept SystemExit: pass\n"
    code += f"print(*[m for m in {modules} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_help_loads_no_jax_and_list_no_more_than_that():
    assert loaded_after(["--help"], "jax", "gymnasium") == ["gymnasium"]
    assert loaded_after(["list"], "jax", "flax", "chex", "optax", "matplotlib", "train", "jaxenvs.train") == ["jax"]


@pytest.mark.parametrize("names", [("train", "jaxenvs.train"), ("jaxenvs.train", "train")])
def test_the_trainers_are_loaded_under_one_name_only(names):
    code = "; ".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert f"this process has the trainers as {names[0]} already" in done.stderr.splitlines()[-1]


def test_a_checkout_that_is_not_installed_has_the_command_too(folder):
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f)]\n"
    code += "from jaxenvs.__main__ import main; print(main(['evaluate', 'nowhere']), 'train' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=variables)
    assert done.stdout == "1 False\n" and "error: nowhere holds no run" in done.stderr


@pytest.mark.parametrize(
    ("algorithm", "env", "meant"),
    [("dqn", "Pendulum-v1", "ppo or sac or td3"), ("sac", "CartPole-v1", "dqn or ppo or pqn")],
)
def test_the_trainers_refuse_a_space_under_their_installed_name_too(algorithm, env, meant, folder):
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["train", algorithm, "--env", env, "--total-steps", "1e5"]
    code = f"from jaxenvs.__main__ import main; main({command})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=variables)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {algorithm} needs actions in ") and last.endswith(f"; use {meant}")
