"""Sweeps whose settings Optuna chooses; `make interop-ray` runs this where its library is installed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna")

from optuna.trial import TrialState

import train
from train import ppo
from train.runs.plan import Plan, RunError
from train.sweeps import optuna_search, trainer
from train.sweeps.distributions import choice, integer, loguniform, uniform
from train.sweeps.elsewhere import optuna_space
from train.sweeps.optuna_search import Study
from train.sweeps.plan import plan_sweep
from train.sweeps.statistics import Score
from train.sweeps.stored import read_sweep

CONFIG = {"num_envs": 4, "num_steps": 8, "segment": 4, "epochs": 1, "minibatches": 2, "hidden": (4,)}
# With steps as long as the longest of these, the values' loss is not finite any more. What pays decides the return.
SPACE = {"learning_rate": choice(1e-3, 1e30), "env.payment": uniform(2.0, 3.0), "segment": choice(4, 8)}
OPTIONS = {"trials": 8, "seeds": 1, "search": "optuna", "chunk": 4, "evaluations": 1, "episodes": 4, "confirm": 1}
PLAN = plan_sweep(
    Plan(
        algorithm="ppo", env="FiveChoices-v0", constants={}, training={}, curve_as_trained=False,
        config=ppo.Config(**CONFIG), total_steps=64, seed=5,
    ),
    SPACE, **OPTIONS,
)  # fmt: skip


# The same sweep in a process, in small batches. `segment` decides which program a trial needs.
PROGRAM = f"""
import sys
import train
from train.sweeps.distributions import choice, uniform
space = {{{", ".join(f"{name!r}: {one}" for name, one in SPACE.items())}}}
options = {OPTIONS | {"trials": 12, "chunk": 2}}
train.sweep(
    "ppo", "FiveChoices-v0", space, config={CONFIG}, total_steps=64, seed=5, out=sys.argv[1], quiet=True, **options
)
"""


class Killed(BaseException):
    pass


def study_of(folder):
    return optuna.load_study(storage=f"sqlite:///{folder}/optuna.db", study_name="sweep")


def swept(folder):
    return train.sweep(
        "ppo", "FiveChoices-v0", SPACE, config=CONFIG, total_steps=64, seed=5, out=folder, quiet=True, **OPTIONS
    )


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory):
    """The folder and the result of a sweep that was killed in its first batch, and while it asked for the second."""
    folder = tmp_path_factory.mktemp("sweeps") / "one"
    asked = []

    def dies(*args):
        raise Killed

    def dies_at_the_third(self, space, number, ask=Study._ask):
        asked.append(number)
        return dies() if number == 6 else ask(self, space, number)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(trainer, "write_members", dies)
        swept(folder)
    assert [one.state for one in study_of(folder).trials] == [TrialState.RUNNING] * 4
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Study, "_ask", dies_at_the_third)
        swept(folder)
    assert asked == [4, 5, 6]
    assert [one.state for one in study_of(folder).trials][4:] == [TrialState.RUNNING] * 2
    assert len(read_sweep(folder).settings) == 4
    return folder, swept(folder)


def test_a_killed_sweep_loses_no_trial_and_tells_each_once(killed_and_resumed):
    folder, result = killed_and_resumed
    rows = {row.trial: row for row in result.table}
    trials = study_of(folder).trials
    assert [one.user_attrs["trial"] for one in trials] == sorted(rows) == list(range(8))
    for one in trials:
        row = rows[one.user_attrs["trial"]]
        assert one.params == {name: value for name, value in row.setting.items()}
        assert one.state == (TrialState.PRUNED if row.score.diverged else TrialState.COMPLETE)
        assert one.value == (None if row.score.diverged else row.score.score)
        # The greedy policy of equal logits takes the first choice, which pays.
        assert row.score.diverged or row.score.score == pytest.approx(row.setting["env.payment"], rel=1e-6)
    assert {one.state for one in trials} == {TrialState.PRUNED, TrialState.COMPLETE}
    assert {row.setting["segment"] for row in result.table} == {4, 8}


def test_what_is_asked_after_a_kill_is_what_would_have_been_asked(killed_and_resumed, tmp_path, monkeypatch):
    folder, result = killed_and_resumed
    scores = {row.trial: row.score for row in result.table}
    monkeypatch.setattr(
        optuna_search, "_scores", lambda sweep, folder, trials: [(n, scores[n]) for n in sorted(trials)]
    )
    *_, last = optuna_search.grown(dataclasses.replace(PLAN, settings=[]), tmp_path)
    assert last.settings == read_sweep(folder).settings


def test_any_member_can_be_loaded(killed_and_resumed):
    folder, result = killed_and_resumed
    row = result.table[0]
    agent = train.load(folder, member=row.trial)
    assert agent.plan.constants == {"payment": row.setting["env.payment"]}
    assert agent.config.segment == row.setting["segment"]


def test_a_storage_that_is_gone_gets_all_trials_again(killed_and_resumed):
    folder, _ = killed_and_resumed
    before = [(one.state, one.value, one.params) for one in study_of(folder).trials]
    (folder / "optuna.db").unlink()
    swept(folder)
    assert [(one.state, one.value, one.params) for one in study_of(folder).trials] == before


def test_two_sweeps_share_a_study_and_each_knows_its_own_trials(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/shared.db"
    shared = dataclasses.replace(PLAN, storage=url, study="both", trials=2, chunk=2)
    plans = [dataclasses.replace(shared, asker=name) for name in ("first", "second")]
    monkeypatch.setattr(
        optuna_search, "_scores", lambda sweep, folder, trials: [(n, Score(n, n, n, 0)) for n in trials]
    )
    running = [optuna_search.grown(plan, tmp_path) for plan in plans]
    asked = [next(one) for one in running]
    assert all(next(one, None) is None for one in running)
    for plan, grown in zip(plans, asked):
        assert [found.params for found in Study(plan, tmp_path)._ours().values()] == grown.settings
    trials = optuna.load_study(storage=url, study_name="both").trials
    assert [one.state for one in trials] == [TrialState.COMPLETE] * 4
    assert not (tmp_path / "optuna.db").exists()


def test_a_trial_that_was_asked_for_and_never_marked_is_a_failed_one(tmp_path):
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/optuna.db", study_name="sweep", direction="maximize")
    study.ask(optuna_space(SPACE))
    Study(PLAN, tmp_path)
    assert [one.state for one in study.trials] == [TrialState.FAIL]


def test_a_storage_that_cannot_be_used_is_a_sentence_without_its_password(tmp_path):
    plan = dataclasses.replace(PLAN, storage="nowhere://me:secret@host/name", study="mine")
    with pytest.raises(RunError, match=r"^Optuna's storage nowhere://host/name cannot be used: .*nowhere"):
        Study(plan, tmp_path)
    (tmp_path / "optuna.db").write_text("not a database, but text that is longer than the header of one" * 9)
    with pytest.raises(RunError, match=r"^Optuna's storage sqlite:///.*optuna.db cannot be used: .*not a database"):
        Study(PLAN, tmp_path)


def test_a_chunk_that_is_gone_is_not_said_of_the_storage(killed_and_resumed, tmp_path):
    folder, _ = killed_and_resumed
    with pytest.raises(RunError, match=r"00000.npz does not exist; remove it, and resume"):
        Study(PLAN, tmp_path).tell(read_sweep(folder), tmp_path)


def test_a_study_of_another_space_is_refused_in_a_sentence(tmp_path):
    Study(PLAN, tmp_path).ask(PLAN)
    other = dataclasses.replace(PLAN, space={"segment": choice(4, 8, 2)}, asker="other")
    with pytest.raises(RunError, match=r"cannot be used: .*dynamic value space"):
        Study(other, tmp_path).ask(other)


def test_distributions_are_those_of_optuna():
    found = optuna_space({
        "a": loguniform(1e-5, 1e-2), "b": integer(2, 5), "c": choice((4,), "x", 0.5), "d": uniform(0.0, 1.0)
    })  # fmt: skip
    of = optuna.distributions
    assert found == {
        "a": of.FloatDistribution(1e-5, 1e-2, log=True), "b": of.IntDistribution(2, 5),
        "c": of.CategoricalDistribution(("(4,)", "x", 0.5)), "d": of.FloatDistribution(0.0, 1.0),
    }  # fmt: skip


@pytest.mark.slow  # three processes, of which each imports JAX and compiles
def test_a_sweep_killed_twice_with_kill_9_and_run_again_is_one_that_was_not(tmp_path, compiled):
    settings = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled)}

    def start(folder):
        command = [sys.executable, "-c", PROGRAM, str(folder)]
        root = Path(__file__).parents[2]
        return subprocess.Popen(command, cwd=root, env=settings, stderr=subprocess.PIPE, text=True)

    def finish(folder):
        process = start(folder)
        error = process.communicate()[1]
        assert process.returncode == 0, error

    def kill_after(chunks):
        """Kills the sweep as soon as that number of chunks is written."""
        process, there = start(tmp_path / "killed"), tmp_path / "killed" / "chunks"
        while process.poll() is None and len(list(there.glob("*.npz"))) < chunks:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        error = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, error

    kill_after(1)
    assert 2 <= len(study_of(tmp_path / "killed").trials) < 12
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed" / "chunks").glob("*.npz")}
    kill_after(len(kept) + 2)
    assert sum(one.state.is_finished() for one in study_of(tmp_path / "killed").trials) < 12
    finish(tmp_path / "killed")
    finish(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for name in ("trials.csv", "winner.json"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    for folder in (tmp_path / "killed", tmp_path / "whole"):
        trials = study_of(folder).trials
        marked = [one for one in trials if "trial" in one.user_attrs]
        assert [one.user_attrs["trial"] for one in marked] == list(range(12))
        assert {one.state for one in marked} == {TrialState.COMPLETE, TrialState.PRUNED}
        # What was asked for and not marked yet when the process died.
        assert {one.state for one in trials if one not in marked} <= {TrialState.FAIL}
