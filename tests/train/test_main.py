import contextlib
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import types

import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxenvs
from jaxenvs.registry import registry
from train import commands, ppo, presets
from train.__main__ import _parser, main
from train.presets import PRESETS
from train.runs.plan import RunError

ROOT = pathlib.Path(__file__).parents[2]
COUNTS = ["--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2", "--hidden", "8,8"]
ROCKET = ["ppo", "--env", "SimpleRocket-v0", *COUNTS]
SHORT = ["--total-steps", "128", "--quiet"]
REPORT = ["--film-episodes", "0", "--episodes", "3", "--quiet"]
FIGURES = {"mean", "standard_error", "median", "quantiles", "mean_length", "episodes"}


class Flat(jaxenvs.Environment):
    """An environment of someone else's, which has no picture."""

    max_episode_steps = 5

    @property
    def observation_space(self):
        return spaces.Box(0.0, 1.0, (1,))

    @property
    def action_space(self):
        return spaces.Discrete(2)

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, key, state, action):
        return state, jaxenvs.Step(jnp.zeros(1), action.astype(jnp.float32), jnp.bool_(False))


@pytest.fixture(scope="module", autouse=True)
def others():
    jaxenvs.register("tests/Flat-v0", Flat)
    jaxenvs.register("tests/Endless-v0", Flat, max_episode_steps=None)
    yield
    del registry["tests/Flat-v0"], registry["tests/Endless-v0"]


@pytest.fixture(scope="module")
def environment(compiled):
    return {
        **os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"
    }  # fmt: skip


@pytest.fixture(scope="module")
def command(environment):
    def run(*arguments, **kwargs):
        return subprocess.run(
            [sys.executable, "-m", "train", *map(str, arguments)],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, **kwargs,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, command):
    """(folder, finished process) of a tiny run from the shell, pictures and all."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = ["--total-steps", "2_048", "--film-episodes", "1", "--episodes", "16", "--set", "retreat_cost=5"]
    return folder, command(*ROCKET, *options, "--out", folder)


@pytest.fixture
def folder(finished):
    return finished[0]


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def contents(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def strict(text):
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def evaluated(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return strict(line)


def refused(capsys, arguments):
    """The one sentence on the standard error with which a command is refused."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as error:
        status = error.code
    shown = capsys.readouterr()
    assert status not in (0, None) and shown.out == "" and "Traceback" not in shown.err
    (line,) = [line for line in shown.err.splitlines() if "error: " in line]
    return line


@pytest.fixture(scope="module")
def ppo_help():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as shown:
            main(["ppo", "--help"])
        return " ".join(shown.getvalue().split())


@pytest.mark.parametrize("field", dataclasses.fields(ppo.Config), ids=lambda field: field.name)
def test_help_shows_every_hyperparameter_with_its_sentence_and_default(ppo_help, field):
    flag = "--" + field.name.rstrip("_").replace("_", "-")
    assert re.search(rf" {flag} [A-Z_]+ [A-Z][^\[]+\. \[{re.escape(str(field.default))}\]", ppo_help)


def test_help_explains_the_other_options(ppo_help):
    for flag in (
        "--env",
        "--total-steps",
        "--until",
        "--devices",
        "--seed",
        "--out",
        "--set",
        "--episodes",
        "--film-episodes",
        "--quiet",
    ):
        assert re.search(rf" {flag}( \S+)? [a-z][\w ]+", ppo_help)


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{name} +\w+", shown, re.MULTILINE) for name in ("ppo", "evaluate", "resume"))


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e6", 1_000_000), ("1_000_000", 1_000_000), ("1000000", 1_000_000), ("2.5e3", 2500), ("+7", 7)],
)
def test_numbers_of_steps_are_written_in_any_way(text, number):
    assert _parser().parse_args(["ppo", "--env", "x", "--total-steps", text]).total_steps == number


WRONG = [
    pytest.param(["--env", "HeartPol-v0"], "'HeartPol-v0'; nearest: HeartPole-v0", id="id"),
    pytest.param(["--set", "thrust=1"], "SimpleRocket has no constant 'thrust'", id="unknown constant"),
    pytest.param(["--set", "dt=2"], "dt must be above 0.0 and at most 1.0, got 2", id="constant out of range"),
    pytest.param(["--set", "dt=True"], "dt must be a number, got True", id="constant of a wrong kind"),
    pytest.param(["--set", "dt=(1"], "must be NAME=VALUE with a number, True or False, got 'dt=(1'", id="half a value"),
    pytest.param(["--set", "dt"], "must be NAME=VALUE with a number, True or False, got 'dt'", id="no value"),
    pytest.param(["--set", "dt=fast"], "must be NAME=VALUE with a number, True or False, got 'dt=fast'", id="word"),
    pytest.param(["--minibatches", "3"], "minibatches must divide", id="minibatches"),
    pytest.param(["--num-envs", "0"], "num_envs must be at least 1, got 0", id="num_envs"),
    pytest.param(["--num-steps", "12"], "num_steps must be a multiple of segment=8, got 12", id="num_steps"),
    pytest.param(["--total-steps", "0"], "--total-steps must be at least 1, got 0", id="no steps"),
    pytest.param(["--total-steps", "-5"], "--total-steps must be at least 1, got -5", id="negative steps"),
    pytest.param(["--total-steps", "many"], "must be an integer, got 'many'", id="steps in words"),
    pytest.param(["--total-steps", "1.5"], "must be an integer, got '1.5'", id="half a step"),
    pytest.param(["--total-steps", "inf"], "must be an integer, got 'inf'", id="endless steps"),
    pytest.param(["--total-steps", "nan"], "must be an integer, got 'nan'", id="no number of steps"),
    pytest.param(["--total-steps", "1__0"], "must be an integer, got '1__0'", id="misplaced underscore"),
    pytest.param(["--until", "nan"], "must be a finite number, got 'nan'", id="no return"),
    pytest.param(["--until", "soon"], "must be a finite number, got 'soon'", id="return in words"),
    pytest.param(["--devices", "0"], "--devices must be at least 1, got 0", id="no devices"),
    pytest.param(["--devices", "3"], "devices must divide num_envs=8 and the 8 segments", id="devices"),
    pytest.param(["--devices", "two"], "must be an integer, got 'two'", id="devices in words"),
    pytest.param(["--episodes", "0"], "--episodes must be at least 1, got 0", id="no episodes"),
    pytest.param(["--film-episodes", "-1"], "--film-episodes must be at least 0, got -1", id="negative film"),
    pytest.param(["--learning-rate", "fast"], "invalid float value: 'fast'", id="rate in words"),
    pytest.param(["--stagger", "maybe"], "must be true or false, got 'maybe'", id="neither true nor false"),
    pytest.param(["--hidden", "8,wide"], "must be an integer, got 'wide'", id="hidden in words"),
    pytest.param(["--hidden", "8,0"], "hidden must be widths of at least 1, got (8, 0)", id="hidden of no width"),
    pytest.param(["--speed", "3"], "unrecognized arguments: --speed", id="unknown option"),
    pytest.param(["--learning-rate", "-1"], "learning_rate must be at least 0.0, got -1.0", id="negative rate"),
    pytest.param(["--gamma", "2"], "gamma must be at least 0.0 and at most 1.0, got 2.0", id="discount above 1"),
    pytest.param(["--clip", "0"], "clip must be above 0.0, got 0.0", id="no clipping range"),
    pytest.param(["--value-cost", "nan"], "value_cost must be at least 0.0, got nan", id="cost that is no number"),
    pytest.param(["--max-grad-norm", "inf"], "max_grad_norm must be above 0.0, got inf", id="infinite norm"),
    pytest.param(["--epochs", "1e8"], "epochs must be at least 1 and at most 10000, got 100000000", id="epochs"),
    pytest.param(["--num-envs", "1_000_000_000"], "num_envs=1000000000 and", id="more environments than memory"),
    pytest.param(["--num-envs", "1e12"], "num_envs must", id="more environments than integers"),
    pytest.param(["--total-steps", "1e15"], "--total-steps must be at most 274,877,906,816 for", id="too many steps"),
    pytest.param(["--hidden", "1000000,1000000"], "hidden=(1000000, 1000000) would need", id="wider than memory"),
    pytest.param(["--film-episodes", "1e9"], "--film-episodes must be at most 1,000 in a film, got", id="endless film"),
    pytest.param(["--episodes", "1e9"], "--episodes 1000000000 would need at least", id="more episodes than memory"),
    pytest.param(["--episodes", "1e12"], "--episodes must be at most 2,147,483,647", id="more episodes than integers"),
    pytest.param(["--lr", "1e-3"], "unrecognized arguments: --lr; did you mean --learning-rate?", id="lr"),
    pytest.param(["--steps", "9"], "unrecognized arguments: --steps; did you mean --total-steps?", id="steps"),
    pytest.param(["--n-envs=4"], "unrecognized arguments: --n-envs=4; did you mean --num-envs?", id="n-envs"),
    pytest.param(["--learning-rat3", "1"], "did you mean --learning-rate?", id="misspelt"),
    pytest.param(["--set", "num_envs=5"], "is not a constant of the environment but the size of the batch", id="batch"),
    pytest.param(["--set", "id=5"], "'id=5' is not a constant: name the environment by --env 5", id="constant id"),
    pytest.param(["--env", "tests/Endless-v0"], "tests/Endless-v0 has no time limit", id="no time limit"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_a_wrong_option_is_refused_and_nothing_is_made(capsys, tmp_path, wrong, said):
    assert said in refused(capsys, [*ROCKET, *SHORT, "--out", tmp_path / "run", *wrong])
    assert contents(tmp_path) == {"here": False}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--batch-size", "1e9"], "gradient_steps=16 with batch_size=1,000,000,000 would need at least"),
        (["--quantiles", "1e6"], "quantiles=1,000,000 with batch_size=128 would need at least 512 TB"),
    ],
    ids=["batch", "quantiles"],
)
def test_what_cannot_fit_into_memory_is_refused_and_nothing_is_made(capsys, tmp_path, wrong, said):
    assert said in refused(capsys, ["dqn", "--env", "CartPole-v1", "--quiet", "--out", tmp_path / "run", *wrong])
    assert contents(tmp_path) == {"here": False}


@pytest.mark.parametrize("text", ["64,64", "(64, 64)", "[64, 64]", " 64, 64 "])
def test_widths_are_written_as_they_are_printed_or_with_a_comma(text):
    assert _parser().parse_args(["ppo", "--env", "x", "--hidden", text]).hidden == (64, 64)


def test_one_width_is_a_tuple_of_one():
    assert _parser().parse_args(["ppo", "--env", "x", "--hidden", "(64,)"]).hidden == (64,)


def test_a_wrong_option_makes_no_folder_of_the_default_name(capsys, tmp_path):
    refused(capsys, [*ROCKET, "--minibatches", "3"])
    assert contents(tmp_path) == {"here": False}


def test_an_environment_must_be_named(capsys):
    assert "required: --env" in refused(capsys, ["ppo"])


@pytest.mark.parametrize("arguments", [[], ["fly"]])
def test_a_command_must_be_named(capsys, arguments):
    refused(capsys, arguments)


def test_an_existing_run_is_never_overwritten(capsys, copy):
    before = contents(copy)
    assert "nothing in it was changed: choose another --out" in refused(capsys, [*ROCKET, *REPORT, "--out", copy])
    assert contents(copy) == before


def test_a_file_in_the_place_of_the_folder_is_left_as_it_is(capsys, tmp_path):
    (tmp_path / "run").write_text("mine")
    assert "cannot be used as a run's folder" in refused(capsys, [*ROCKET, *REPORT, "--out", tmp_path / "run"])
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("verb", ["evaluate", "resume"])
@pytest.mark.parametrize(("name", "what"), [("nowhere", "no such folder"), ("here", "no config.json in it")])
def test_a_folder_that_holds_no_run_is_refused(capsys, tmp_path, verb, name, what):
    assert f"holds no run: there is {what}" in refused(capsys, [verb, tmp_path / name])
    assert contents(tmp_path) == {"here": False}


DAMAGED = pytest.mark.parametrize(
    ("name", "damage", "said"),
    [("state.npz", lambda content: content[: len(content) // 2], "state.npz is damaged"),
     ("state.npz", lambda content: b"", "state.npz is damaged"),
     ("state.npz", None, "state.npz does not exist"),
     ("config.json", lambda content: content[: len(content) // 2], "config.json is damaged"),
     ("config.json", lambda content: content.replace(b"Rocket-v0", b"Rockt-v0"), "nearest: SimpleRocket-v0"),
     ("config.json", lambda content: content.replace(b'"seed": 0', b'"seed": "x"'), "seed")],
    ids=["half a state", "empty state", "no state", "half a plan", "unknown id", "wrong seed"],
)  # fmt: skip


@pytest.mark.parametrize("verb", ["evaluate", "resume"])
@DAMAGED
def test_a_damaged_run_is_refused_and_left_as_it_is(capsys, copy, verb, name, damage, said):
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    (copy / "state-1.npz").unlink()
    if damage:
        (copy / name).write_bytes(damage(content))
    before = contents(copy)
    assert said in refused(capsys, [verb, copy])
    assert contents(copy) == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["--episodes", "0"], "--episodes must be at least 1, got 0"), (["--episodes", "-3"], "got -3"),
     (["--set", "thrust=1"], "no constant 'thrust'"), (["--set", "dt=0"], "dt must be above 0.0"),
     (["--seed", "x"], "must be an integer from 0 to 4,294,967,294, got 'x'"),
     (["--seed", "99999999999999999999"], "must be an integer from 0 to"), (["--seed", "-1"], "must be an integer")],
    ids=["no episodes", "negative episodes", "unknown constant", "constant out of range", "seed", "large", "negative"],
)  # fmt: skip
def test_an_evaluation_with_a_wrong_option_is_refused(capsys, folder, wrong, said):
    assert said in refused(capsys, ["evaluate", folder, *wrong])


@pytest.mark.parametrize(("option", "value"), [("--episodes", "0"), ("--film-episodes", "-1")])
def test_resuming_with_a_wrong_option_is_refused(capsys, copy, option, value):
    before = contents(copy)
    assert f"{option} must be at least" in refused(capsys, ["resume", copy, option, value])
    assert contents(copy) == before


def test_from_the_shell_a_refusal_is_one_line_and_an_exit_status(command, tmp_path):
    found = command("ppo", "--env", "HeartPol-v0", "--out", tmp_path / "run")
    assert found.returncode == 1 and found.stdout == ""
    assert found.stderr.startswith("error: unknown environment id 'HeartPol-v0'; nearest: HeartPole-v0")
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_ends_well(finished):
    assert finished[1].returncode == 0, finished[1].stderr


def test_a_run_leaves_all_its_files(finished):
    names = {path.name for path in finished[0].iterdir() if not path.name.startswith("events.out.tfevents.")}
    assert names == {
        "config.json", "metrics.jsonl", "state.npz", "state-1.npz", "best.npz", "curve.png", "film.gif", "film.mp4",
        "evaluation.json",
    }  # fmt: skip
    assert len(list(finished[0].glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("name", "head"), [("curve.png", b"\x89PNG"), ("film.gif", b"GIF89a"), ("film.mp4", b"\0\0\0\x20ftyp")]
)
def test_pictures_are_what_their_names_say(finished, name, head):
    content = (finished[0] / name).read_bytes()
    assert content.startswith(head) and len(content) > 1000


def test_a_run_prints_its_evaluation_and_keeps_it(finished):
    (line,) = finished[1].stdout.splitlines()
    printed, kept = strict(line), strict((finished[0] / "evaluation.json").read_text())
    assert kept.keys() >= FIGURES and printed.items() >= kept.items()
    assert printed["episodes"] == 16 and printed["env"] == "SimpleRocket-v0" and printed["run"] == str(finished[0])


def test_a_run_shows_its_progress_on_the_standard_error(finished):
    shown = finished[1].stderr
    assert re.search(r"^ +2,048 steps +\d+k steps/s +\d+ s left +.*evaluation -?\d+", shown, re.MULTILINE)
    assert f"curve: {finished[0] / 'curve.png'}" in shown and "Traceback" not in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--total-steps", "200"], "256 steps (--total-steps 200 rounded up to full updates), seed 0"),
     (["--total-steps", "256"], "256 steps, seed 0"),
     (["--num-steps", "24"], "32,000,064 steps, seed 0")],
    ids=["rounded", "full updates", "the preset's"],
)  # fmt: skip
def test_the_heading_of_a_run_says_the_steps_that_it_will_make(capsys, monkeypatch, options, said):
    def begin(plan, *_, **__):
        raise RunError(f"{plan.steps_after(plan.num_updates):,} steps")

    monkeypatch.setattr("train.runs.run.begin", begin)
    assert main([*ROCKET, *options, "--devices", "1"]) == 1
    heading, error = capsys.readouterr().err.splitlines()
    assert heading.startswith(f"ppo on SimpleRocket-v0, {said}, 1 device: ")
    assert heading.split(", ")[1].startswith(error.removeprefix("error: "))


def test_a_run_keeps_what_it_was_asked(folder):
    plan = json.loads((folder / "config.json").read_text())
    assert plan["env"] == "SimpleRocket-v0" and plan["total_steps"] == 2048 and plan["seed"] == 0
    assert plan["constants"] == {"retreat_cost": 5}
    assert plan["config"]["num_envs"] == 8 and plan["config"]["hidden"] == [8, 8]
    assert plan["config"]["gamma"] == PRESETS["ppo", "SimpleRocket-v0"].config["gamma"] and "jax" in plan["versions"]


def test_a_quiet_run_shows_no_progress_and_its_tracker_gets_the_figures(capsys, monkeypatch, tmp_path):
    calls = []
    tracker = {name: lambda *a, method=name, **k: calls.append((method, a, k)) for name in ("init", "log", "finish")}
    monkeypatch.setitem(sys.modules, "my_tracker", types.SimpleNamespace(**tracker))
    arguments = [*ROCKET, *REPORT, "--total-steps", "128", "--tracker", "my_tracker", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    assert "steps/s" not in capsys.readouterr().err
    (first, _, given), *logged, (last, _, _) = calls
    assert (first, last, given["name"], given["config"]["total_steps"]) == ("init", "finish", "run", 128)
    assert [(name, options) for name, _, options in logged] == [("log", {"step": 0}), ("log", {"step": 128})]
    assert logged[1][1][0].keys() > {"eval_mean", "steps_per_second"}
    assert refused(capsys, ["none_such" if one == "my_tracker" else one for one in arguments]).startswith(
        "error: --tracker none_such cannot be imported"
    )


def test_a_run_says_that_it_reached_its_return_and_keeps_it(capsys, tmp_path):
    arguments = [*ROCKET, "--total-steps", "1024", "--until", "-1000000", "--film-episodes", "0", "--episodes", "3"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    assert re.search(r"^a return of -1e\+06 is reached: -?[\d.]+ at 128 steps$", shown.err, re.MULTILINE)
    assert strict(shown.out)["until"] == {"return": -1e6, "reached": True, "steps": 128}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["until"] == -1e6


def test_runs_without_a_folder_are_numbered(tmp_path):
    for _ in range(2):
        assert main([*ROCKET, *REPORT, "--total-steps", "128"]) == 0
    made = {path.name for path in (tmp_path / "here" / "runs").iterdir()}
    assert made == {"SimpleRocket-v0-ppo-1", "SimpleRocket-v0-ppo-2"}


def test_an_environment_of_ones_own_without_a_picture_is_trained(capsys, tmp_path):
    arguments = ["ppo", "--env", "tests/Flat-v0", *COUNTS, "--total-steps", "256", "--episodes", "4", "--quiet"]
    assert main(arguments) == 0
    folder = tmp_path / "here" / "runs" / "tests-Flat-v0-ppo-1"
    assert (folder / "curve.png").exists() and not list(folder.glob("film*"))
    assert strict(capsys.readouterr().out)["mean_length"] == 5.0


def test_a_run_that_diverges_ends_with_its_cause_and_keeps_its_last_good_state(capsys, tmp_path):
    wild = ["--total-steps", "1024", "--learning-rate", "1e38", "--out", str(tmp_path / "run")]
    assert main([*ROCKET, *REPORT, *wild]) == 1
    shown = capsys.readouterr()
    assert (
        "error: the run diverged at " in shown.err
        and "not finite; train again with a lower --learning-rate" in shown.err
    )
    assert "which is 1e+38 here. The state of 0 steps is kept in" in shown.err
    with np.load(tmp_path / "run" / "state.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files if "params" in name)
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_evaluation_is_one_json_object_of_these_figures(capsys, folder):
    figures = evaluated(capsys, folder, "--episodes", "1e1", "--seed", "1")
    assert figures.keys() >= FIGURES and figures["episodes"] == 10
    assert figures["run"] == str(folder) and figures["env"] == "SimpleRocket-v0"
    quantiles = list(figures["quantiles"].values())
    assert quantiles == sorted(quantiles) and quantiles[0] <= figures["median"] <= quantiles[-1]


def test_evaluation_from_the_shell_prints_nothing_else(command, folder):
    found = command("evaluate", folder, "--episodes", "10", "--seed", "1")
    assert found.returncode == 0 and found.stderr == ""
    assert strict(found.stdout)["episodes"] == 10 and found.stdout.count("\n") == 1


def test_evaluation_of_the_same_seed_is_the_same(capsys, folder):
    assert evaluated(capsys, folder, "--episodes", "10") == evaluated(capsys, folder, "--episodes", "10", "--seed", "0")


def test_evaluation_of_another_seed_is_another(capsys, folder):
    first, second = (evaluated(capsys, folder, "--episodes", "10", "--seed", seed) for seed in (0, 1))
    assert first["mean"] != second["mean"]


def test_stochastic_evaluation_differs_from_the_greedy_one(capsys, folder):
    greedy = evaluated(capsys, folder, "--episodes", "10")
    assert greedy["mean"] != evaluated(capsys, folder, "--episodes", "10", "--stochastic")["mean"]


def test_evaluation_uses_and_names_the_constants_given(capsys, folder):
    changed = evaluated(capsys, folder, "--episodes", "10", "--set", "retreat_cost=0", "--set", "bound=1.5")
    assert changed["retreat_cost"] == 0 and changed["bound"] == 1.5
    assert changed["mean"] != evaluated(capsys, folder, "--episodes", "10")["mean"]


def test_evaluation_of_one_episode_is_json_still(capsys, folder):
    figures = evaluated(capsys, folder, "--episodes", "1")
    assert figures["standard_error"] is None and figures["mean"] == figures["median"]


def test_evaluation_leaves_the_run_as_it_is(capsys, folder):
    before = contents(folder)
    evaluated(capsys, folder, "--episodes", "3")
    assert contents(folder) == before


def test_without_ffmpeg_a_run_says_so_first_and_keeps_all_the_rest(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    folder = tmp_path / "run"
    arguments = [*ROCKET, "--total-steps", "128", "--film-episodes", "1", "--episodes", "3", "--out", str(folder)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    assert strict(shown.out)["episodes"] == 3
    warning, later = shown.err.index("warning: an MP4 needs"), shown.err.index("film: not made: film.mp4")
    assert warning < shown.err.index("compiled in") < later
    assert {"evaluation.json", "curve.png", "film.gif"} <= {path.name for path in folder.iterdir()}


def test_on_a_terminal_an_evaluation_is_a_table(capsys, folder, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["evaluate", str(folder), "--episodes", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"mean +-?[\d.]+ \+- [\d.]+ \(standard error\)", next(x for x in lines if x.startswith("mean "))
    )
    assert any(re.fullmatch(r"episodes +8", line) for line in lines) and len(lines) == len(FIGURES) + 3


def test_resuming_a_finished_run_says_so_and_changes_nothing(capsys, copy):
    before = contents(copy)
    assert main(["resume", str(copy)]) == 0
    shown = capsys.readouterr()
    assert f"{copy} is finished: it made all its 2,048 steps, and nothing was changed." in shown.err
    assert f"resume {copy} --total-steps 4_096" in shown.err and shown.out == ""
    assert contents(copy) == before


def test_a_finished_run_that_lost_its_evaluation_gets_it_when_resumed(capsys, copy):
    (copy / "evaluation.json").unlink()
    assert main(["resume", str(copy), *REPORT]) == 0
    assert strict(capsys.readouterr().out)["steps"] == 2048 and (copy / "evaluation.json").exists()


def test_a_finished_run_is_prolonged(capsys, copy):
    assert main(["resume", str(copy), "--total-steps", "4_096", *REPORT]) == 0
    assert strict(capsys.readouterr().out)["steps"] == 4096
    rows = [json.loads(line)["steps"] for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert rows == sorted(set(rows)) and {0, 2048, 4096} <= set(rows)
    assert json.loads((copy / "config.json").read_text())["total_steps"] == 4096


def test_a_run_cannot_be_prolonged_to_fewer_steps_than_it_has(capsys, copy):
    before = contents(copy)
    said = refused(capsys, ["resume", copy, "--total-steps", "2000"])
    assert "--total-steps must be above the 2,048 steps" in said and said.endswith("got 2,000")
    assert contents(copy) == before


def test_a_run_stopped_before_its_first_figures_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("train.runs.run._run_on", lambda plan, folder, state, log, *_: bool(log.close()))
    folder = tmp_path / "run"
    assert main([*ROCKET, "--total-steps", "1000", "--out", str(folder)]) == 130
    assert f"resume with: python -m jaxenvs resume {folder}" in capsys.readouterr().err
    assert sorted(path.name.split(".")[0] for path in folder.iterdir()) == ["config", "events", "metrics", "state"]


def test_a_command_that_is_proposed_can_be_pasted(capsys, tmp_path):
    folder = tmp_path / "my runs" / "1"
    folder.mkdir(parents=True)
    (folder / "mine").touch()
    assert f"`python -m jaxenvs resume '{folder}'`" in refused(capsys, [*ROCKET, *SHORT, "--out", folder])


def test_an_interrupted_run_keeps_what_it_has_and_goes_on_when_resumed(environment, command, tmp_path):
    folder = tmp_path / "run"
    arguments = [*ROCKET, "--total-steps", "240_000", "--film-episodes", "0", "--episodes", "3", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "train", *arguments], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    figures = folder / "metrics.jsonl"
    while (
        not (figures.exists() and figures.read_text().count("\n") > 1)
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in err
    assert f"resume with: python -m jaxenvs resume {folder}" in err
    assert strict(out)["episodes"] == 3 and (folder / "curve.png").exists()
    done = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["steps"]
    assert 0 < done < 240_000
    resumed = command("resume", folder, *REPORT)
    rows = [json.loads(line)["steps"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert resumed.returncode == 0 and rows == sorted(set(rows)) and done in rows and rows[-1] == 240_000


def test_another_preset_of_an_environment_is_used_by_its_name(monkeypatch):
    few = presets.Preset(total_steps=5000, config={"num_envs": 8, "num_steps": 32, "minibatches": 1})
    monkeypatch.setitem(presets.VARIANTS, ("ppo", "CartPole-v1", "few-steps"), few)
    arguments = ["ppo", "--env", "CartPole-v1", "--preset", "few-steps", "--num-steps", "16"]
    plan, _ = commands.plan_of(_parser().parse_args(arguments))
    assert (plan.total_steps, plan.config.num_envs, plan.config.num_steps) == (5000, 8, 16)


@pytest.mark.parametrize(
    "env, there", [("CartPole-v1", "there is few-steps, accelerator"), ("Acrobot-v1", "there is accelerator")]
)
def test_a_preset_that_there_is_not_is_refused_with_those_that_there_are(env, there, monkeypatch, capsys):
    monkeypatch.setitem(presets.VARIANTS, ("ppo", "CartPole-v1", "few-steps"), presets.Preset())
    assert main(["ppo", "--env", env, "--preset", "best"]) == 1
    assert f"ppo has no preset 'best' for {env}; {there}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "algorithm, flag, meant",
    [
        ("dqn", "buffer-size", "capacity"),
        ("dqn", "exploration-final-eps", "final-epsilon"),
        ("pqn", "q-lambda", "lambda"),
    ],
)
def test_the_names_of_other_libraries_get_the_flag_that_is_meant(algorithm, flag, meant, capsys):
    with pytest.raises(SystemExit):
        _parser().parse_args([algorithm, "--env", "x", f"--{flag}", "1"])
    assert f"unrecognized arguments: --{flag}; did you mean --{meant}?" in capsys.readouterr().err
