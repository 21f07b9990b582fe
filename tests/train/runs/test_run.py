import dataclasses
import itertools
import json
import shutil
import signal

import numpy as np
import pytest

import jaxenvs
from jaxenvs.registry import registry
from train import ppo
from train.runs import checkpoint, files, run, saver
from train.runs.log import read_rows
from train.runs.plan import Plan, RunError, claim, free_folder, read_plan, write_plan
from train.runs.programs import Programs

CONFIG = ppo.Config(num_envs=8, num_steps=16, minibatches=2, epochs=1, hidden=(8,))
PLAN = Plan(
    algorithm="ppo", env="BriefRocket-v0", constants={"retreat_cost": 5.0}, training={"goal_bonus": 0.0},
    curve_as_trained=False, config=CONFIG, total_steps=8 * 128 - 5, seed=3,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def brief_rocket():
    jaxenvs.register("BriefRocket-v0", jaxenvs.SimpleRocket, max_episode_steps=20, force=True)
    jaxenvs.register("EndlessRocket-v0", jaxenvs.SimpleRocket, max_episode_steps=None, force=True)
    yield
    del registry["BriefRocket-v0"], registry["EndlessRocket-v0"]


def stopping(event, at):
    """`checkpoint.save`, with something happening after (or for an error instead of) that of chunk number `at`."""
    chunks = itertools.count()  # 0 is the save of the beginning

    def save(path, tree, **options):
        if path.name != run.STATE:
            return checkpoint_save(path, tree, **options)
        chunk = next(chunks)
        if chunk == at and isinstance(event, Exception):
            raise event
        checkpoint_save(path, tree, **options)
        if chunk == at and not isinstance(event, Exception):
            for number in event:
                signal.raise_signal(number)

    return save


checkpoint_save = checkpoint.save
files_copy = files.copy


@pytest.fixture(scope="module", autouse=True)
def saves_at_every_point():
    """Chunks of tests are shorter than a save is worth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saver, "_WORTH", 0)
        yield


def begun(folder, event=(), at=0, plan=PLAN):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", stopping(event, at))
        return run.begin(plan, folder, quiet=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert begun(folder)
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopped") / "run"
    assert not begun(folder, [signal.SIGINT], at=3)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def state_of(folder):
    with np.load(folder / "state.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}


def figures(folder):
    """The rows after the first, which has the evaluation of the untrained policy."""
    first, *rows = read_rows(folder / "metrics.jsonl")
    assert first.keys() == {"steps", "eval_mean", "eval_se"} and first["steps"] == 0
    return [{name: value for name, value in row.items() if name != "steps_per_second"} for row in rows]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_its_plan_its_figures_its_events_and_its_state(finished):
    assert {path.name.split(".")[0] for path in finished.iterdir()} == {
        "config", "metrics", "events", "state", "state-1", "best"
    }  # fmt: skip


def test_steps_are_rounded_up_to_integer_updates():
    assert PLAN.num_updates == 8
    assert dataclasses.replace(PLAN, total_steps=8 * 128).num_updates == 8
    assert dataclasses.replace(PLAN, total_steps=8 * 128 + 1).num_updates == 9


def test_a_run_makes_all_its_updates(finished):
    assert run.read(finished)[1].updates == 8
    assert [row["steps"] for row in figures(finished)] == [128, 256, 384, 512, 640, 768, 896, 1024]


def best_updates(folder):
    return int(run.read(folder, run.BEST)[1].updates)


def first_best(folder):
    """The number of the first row with the highest evaluation; 0 is the untrained policy's."""
    means = [row["eval_mean"] for row in read_rows(folder / "metrics.jsonl")]
    return means.index(max(means))


def test_the_state_with_the_best_evaluation_is_kept(finished, stopped):
    assert best_updates(finished) == first_best(finished)
    assert best_updates(stopped) == first_best(stopped)


def test_a_later_state_that_is_not_better_does_not_replace_the_best(tmp_path, monkeypatch):
    means = iter([3.0, 1.0, 5.0, 5.0, 2.0, *[0.0] * 20])
    monkeypatch.setattr(Programs, "assess", lambda *_: {"eval_mean": next(means), "eval_se": 1.0})
    begun(tmp_path / "run")
    assert best_updates(tmp_path / "run") == 2


def test_a_crash_between_the_two_saves_loses_no_best_state(finished, tmp_path, monkeypatch):
    def crashing(path, to):
        if int(checkpoint.read_arrays(path)[".updates"]) == first_best(finished):
            raise ArithmeticError
        files_copy(path, to)

    monkeypatch.setattr(files, "copy", crashing)
    with pytest.raises(ArithmeticError):
        run.begin(PLAN, tmp_path / "run", quiet=True)
    monkeypatch.undo()
    run.resume(tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / run.BEST).read_bytes() == (finished / run.BEST).read_bytes()


def test_the_step_size_ends_with_the_run(finished):
    assert [row["learning_rate"] for row in figures(finished)] == pytest.approx([1e-3 * u / 8 for u in range(8, 0, -1)])


def test_figures_are_of_integer_episodes(finished):
    rows = [row for row in figures(finished) if "episodes" in row]
    assert rows and all(row["length_mean"] == 20.0 for row in rows)
    assert all(abs(row["return_mean"]) < 200.0 for row in rows)


def test_every_row_has_an_evaluation(finished):
    assert all(row["eval_se"] > 0 and np.isfinite(row["eval_mean"]) for row in figures(finished))


def test_a_plan_is_read_as_it_was_written(finished):
    assert read_plan(finished) == PLAN


def test_the_same_seed_gives_the_same_run(finished, tmp_path):
    begun(tmp_path / "again")
    assert state_of(tmp_path / "again") == state_of(finished) and figures(tmp_path / "again") == figures(finished)


def test_another_seed_gives_another_run(finished, tmp_path):
    begun(tmp_path / "other", plan=dataclasses.replace(PLAN, seed=4))
    assert figures(tmp_path / "other")[-1]["policy_loss"] != figures(finished)[-1]["policy_loss"]


def test_training_uses_its_own_constants_and_evaluation_does_not():
    assert PLAN.training_envs().env == jaxenvs.make(PLAN.env, retreat_cost=5.0, goal_bonus=0.0)
    assert PLAN.evaluation_envs(2).env == jaxenvs.make(PLAN.env, retreat_cost=5.0)


def test_a_run_with_fast_keys_stops_and_goes_on_with_them(finished, tmp_path):
    plan = dataclasses.replace(PLAN, keys="fast")
    begun(tmp_path / "whole", plan=plan)
    assert not begun(tmp_path / "stopped", [signal.SIGINT], at=3, plan=plan)
    run.resume(tmp_path / "stopped", quiet=True)
    read, state = run.read(tmp_path / "stopped")
    assert read.keys == "fast" and "fast" in str(state.key.dtype)
    assert state_of(tmp_path / "stopped") == state_of(tmp_path / "whole") != state_of(finished)


def test_the_first_interrupt_ends_the_chunk_and_saves(stopped):
    assert run.read(stopped)[1].updates == 3 and len(figures(stopped)) == 3


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one_bit_for_bit(finished, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    assert run.resume(folder, quiet=True)
    assert state_of(folder) == state_of(finished)
    assert figures(folder) == figures(finished)


def test_a_run_that_crashed_before_a_save_equals_an_uninterrupted_one_once_resumed(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ArithmeticError):
        begun(folder, ArithmeticError(), at=5)
    assert len(figures(folder)) == 5 and run.read(folder)[1].updates == 4
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"steps": 7')
    assert run.resume(folder, quiet=True)
    assert state_of(folder) == state_of(finished) and figures(folder) == figures(finished)


def test_a_run_that_crashed_before_its_first_save_can_be_resumed(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ArithmeticError):
        begun(folder, ArithmeticError(), at=1)
    assert run.read(folder)[1].updates == 0
    assert run.resume(folder, quiet=True)
    assert state_of(folder) == state_of(finished)


@pytest.mark.parametrize(
    "signals, ending",
    [
        ([signal.SIGINT], run.Ending.STOPPED),
        ([signal.SIGTERM], run.Ending.TERMINATED),
        ([signal.SIGINT, signal.SIGINT], run.Ending.INTERRUPTED),
        ([signal.SIGINT, signal.SIGTERM], run.Ending.TERMINATED),
    ],
)
def test_signals_stop_a_run_which_saves_and_says_how_it_ended(tmp_path, signals, ending):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert begun(tmp_path / "run", signals, at=1) is ending
    assert run.read(tmp_path / "run")[1].updates == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture(scope="module")
def contented(tmp_path_factory):
    """A run that any return would end."""
    folder = tmp_path_factory.mktemp("contented") / "run"
    assert begun(folder, plan=dataclasses.replace(PLAN, until=-1e6))
    return folder


def test_a_run_ends_with_the_chunk_that_reaches_its_return(finished, contented):
    assert run.read(contented)[1].updates == 1 and figures(contented) == figures(finished)[:1]


def test_a_run_that_does_not_reach_its_return_goes_on_to_its_end(finished, tmp_path):
    best = max(row["eval_mean"] for row in figures(finished))
    assert begun(tmp_path / "run", plan=dataclasses.replace(PLAN, until=best + 1.0))
    assert figures(tmp_path / "run") == figures(finished) and not run.reached(read_plan(tmp_path / "run"), [])


def test_a_run_stops_at_the_first_evaluation_that_is_enough(finished, tmp_path):
    means = [row["eval_mean"] for row in figures(finished)]
    enough = sorted(means)[-2]
    begun(tmp_path / "run", plan=dataclasses.replace(PLAN, until=enough))
    assert len(figures(tmp_path / "run")) == 1 + min(i for i, mean in enumerate(means) if mean >= enough)


def test_resuming_a_run_that_reached_its_return_changes_nothing(contented, tmp_path):
    folder = shutil.copytree(contented, tmp_path / "run")
    assert run.resume(folder, quiet=True)
    assert state_of(folder) == state_of(contented) and figures(folder) == figures(contented)


def test_a_run_that_was_stopped_before_its_return_ends_with_it_once_resumed(finished, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    write_plan(dataclasses.replace(PLAN, until=-1e6), folder)
    assert run.resume(folder, quiet=True) and len(figures(folder)) == 3


def test_a_plan_of_before_there_were_returns_to_reach_is_read(copy):
    stored = json.loads((copy / "config.json").read_text())
    del stored["until"]
    (copy / "config.json").write_text(json.dumps(stored))
    assert read_plan(copy) == PLAN


def test_resuming_a_finished_run_changes_nothing(finished, copy):
    assert run.resume(copy, quiet=True)
    assert state_of(copy) == state_of(finished) and figures(copy) == figures(finished)


@pytest.mark.parametrize("name", ["config.json", "notes.txt", ".hidden"])
def test_a_folder_that_holds_something_is_refused_and_left_as_it_was(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="nothing in it was changed: choose another --out"):
        run.begin(PLAN, tmp_path, quiet=True)
    assert contents(tmp_path) == {name: b"mine"}


def test_an_empty_folder_is_taken(tmp_path):
    claim(tmp_path)


def test_a_folder_is_made_with_those_above_it(tmp_path):
    claim(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError, match="cannot be used as a run's folder"):
        claim(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_free_folders_are_numbered_from_1(tmp_path):
    assert free_folder("a", tmp_path) == tmp_path / "a-1"
    (tmp_path / "a-2").mkdir()
    assert free_folder("a", tmp_path) == tmp_path / "a-3"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (dataclasses.replace(PLAN, config=dataclasses.replace(CONFIG, minibatches=3)), "minibatches"),
        (dataclasses.replace(PLAN, env="BriefRockt-v0"), "'BriefRockt-v0'; nearest: BriefRocket"),
        (dataclasses.replace(PLAN, constants={"dt": 2.0}), "dt must be"),
        (dataclasses.replace(PLAN, env="EndlessRocket-v0"), "EndlessRocket-v0 has no time limit"),
    ],
    ids=["counts", "id", "constant", "time limit"],
)
def test_a_plan_that_cannot_be_run_makes_no_folder(tmp_path, plan, message):
    with pytest.raises((RunError, ValueError), match=message):
        run.begin(plan, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def refusal(function, folder):
    with pytest.raises(RunError) as caught:
        function(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def resumed(folder):
    run.resume(folder, quiet=True)


READERS = pytest.mark.parametrize("function", [run.read, resumed], ids=["read", "resume"])


@READERS
def test_a_missing_folder_is_refused(tmp_path, function):
    assert refusal(function, tmp_path / "run") == f"{tmp_path / 'run'} holds no run: there is no such folder"


@READERS
def test_a_folder_of_something_else_is_refused(tmp_path, function):
    (tmp_path / "notes.txt").write_text("mine")
    assert refusal(function, tmp_path) == f"{tmp_path} holds no run: there is no config.json in it"
    assert contents(tmp_path) == {"notes.txt": b"mine"}


@READERS
@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "{}", "\0\0", '{"algorithm": "ppo"}', '{"algorithm": "sarsa", "config": {}}']
)
def test_a_damaged_plan_is_refused(copy, function, text):
    (copy / "config.json").write_text(text)
    assert "config.json is damaged" in refusal(function, copy)


@READERS
def test_a_plan_that_is_no_text_is_refused(copy, function):
    (copy / "config.json").write_bytes(b"\xff\xfe\x00")
    assert "config.json is damaged" in refusal(function, copy)


@READERS
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"env": "BriefRockt-v0"}, "unknown environment id 'BriefRockt-v0'"),
        ({"constants": {"dt": -1.0}}, "dt must be above 0.0 and at most 1.0, got -1.0"),
        ({"constants": {"mass": 1.0}}, "SimpleRocket has no constant 'mass'"),
        ({"config": {"num_envs": 0}}, "num_envs must be at least 1, got 0"),
        ({"config": {"num_envs": "many"}}, "num_envs must be an integer"),
        ({"config": {"speed": 3}}, "speed"),
        ({"config": {"hidden": [16]}}, "this run needs"),
        ({"total_steps": "many"}, "total_steps"),
        ({"seed": None}, "seed"),
        ({"until": "soon"}, "until"),
        ({"keys": "slow"}, "keys must be one of"),
    ],
    ids=lambda value: None if isinstance(value, str) else next(iter(value)),
)
def test_a_plan_of_wrong_values_is_refused_by_name(copy, function, change, said):
    stored = json.loads((copy / "config.json").read_text())
    for name, value in change.items():
        stored[name] = {**stored[name], **value} if isinstance(value, dict) else value
    (copy / "config.json").write_text(json.dumps(stored))
    assert said in refusal(function, copy)


@READERS
def test_a_missing_state_is_refused(copy, function):
    (copy / "state.npz").unlink()
    (copy / "state-1.npz").unlink()
    assert refusal(function, copy) == f"{copy / 'state.npz'} does not exist"


@READERS
def test_a_damaged_state_is_refused_and_left_as_it_was(copy, function):
    content = (copy / "state.npz").read_bytes()[:-100]
    (copy / "state.npz").write_bytes(content)
    (copy / "state-1.npz").unlink()
    before = contents(copy)
    assert "state.npz is damaged" in refusal(function, copy)
    assert contents(copy) == before


def test_figures_that_are_no_text_do_not_keep_a_run_from_going_on(finished, copy):
    with open(copy / "metrics.jsonl", "ab") as file:
        file.write(b"\xff\xfe\x00\x00")
    assert run.resume(copy, quiet=True)
    assert figures(copy) == figures(finished)


def test_an_evaluation_is_of_so_many_episodes(finished):
    results, summary = run.evaluate_run(*run.read(finished), episodes=7, seed=0)
    assert results.episode_return.shape == (7,) and summary["episodes"] == 7


def test_an_evaluation_is_greedy_unless_asked_otherwise(finished):
    plan, state = run.read(finished)
    greedy, again, stochastic = (
        run.evaluate_run(plan, state, episodes=8, seed=0, stochastic=wild)[1]["mean"] for wild in (False, False, True)
    )
    assert greedy == again != stochastic


def test_an_evaluation_uses_the_constants_of_the_plan_and_those_given(finished):
    plan, state = run.read(finished)
    costs = ({}, {"retreat_cost": 5.0}, {"retreat_cost": 10.0})
    own, same, other = (
        run.evaluate_run(plan, state, episodes=8, seed=0, constants=constants)[1]["mean"] for constants in costs
    )
    assert own == same != other
