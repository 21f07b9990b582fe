"""A sweep: its members, its ranking, and what is left after a kill."""

import dataclasses
import json
import os
import types

import jax
import numpy as np
import pytest
from tiny_sweeps import RUNS, SPACE

import jaxenvs
import train
from train import ppo, presets
from train.runs.plan import RunError
from train.sweeps import sweep as driver
from train.sweeps.distributions import grid, uniform
from train.sweeps.members import chunk_path, read_curves
from train.sweeps.plan import plan_sweep
from train.sweeps.stored import read_sweep

PLAN = plan_sweep(RUNS, SPACE, trials=4, seeds=2, evaluations=2, episodes=4, confirm=3, chunk=3)


@pytest.fixture(scope="module")
def tracked():
    """What a tracker gets: pairs of a method's name and its arguments."""
    return []


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tracked):
    folder = tmp_path_factory.mktemp("sweeps") / "one"
    methods = {
        name: lambda *a, method=name, **k: tracked.append((method, (a, k))) for name in ("init", "log", "finish")
    }
    return folder, driver.begin(PLAN, folder, quiet=True, top=2, tracker=types.SimpleNamespace(**methods))


def test_a_tracker_gets_each_trial_and_the_winner(swept, tracked):
    _, result = swept
    (first, (_, given)), *trials, (_, ((best,), options)), (last, _) = tracked
    assert (first, given["name"], given["config"]["runs"]["algorithm"], last) == ("init", "one", "ppo", "finish")
    assert [call[1][1]["step"] for call in trials] == [1, 2, 3, 4]
    rows = {figures["trial"]: figures for _, ((figures,), _) in trials}
    assert sorted(rows) == [0, 1, 2, 3]
    for row in result.table:
        assert rows[row.trial].items() >= {**row.setting, "diverged": row.score.diverged}.items()
        assert rows[row.trial].get("score") == (None if row.score.diverged else row.score.score)
    assert (best["best_trial"], best["confirmed"]) == (result.table[0].trial, result.confirmed.score)
    assert options == {"step": 5}


def test_members_that_diverge_rank_last_and_are_reported(swept):
    folder, result = swept
    assert [row.setting["learning_rate"] for row in result.table] == [1e-3, 1e-3, 1e30, 1e30]
    assert [row.score.diverged for row in result.table] == [0, 0, 2, 2]
    assert result.diverged == [2, 3, 6, 7]
    assert json.loads((folder / "winner.json").read_text())["diverged_members"] == result.diverged


def test_each_member_has_its_own_constants_in_training_and_evaluation(swept):
    # The greedy policy of equal logits takes the first choice, which pays.
    for row in swept[1].table[:2]:
        assert row.values == pytest.approx(row.setting["env.payment"], rel=1e-6)


def test_a_member_is_the_plain_run_with_its_seed(swept):
    """Beside members that diverge: NaN does not spread."""
    folder, _ = swept
    agent = train.load(folder, member=5)
    assert agent.plan.config.learning_rate == 1e-3
    assert agent.plan.seed == PLAN.seed_of(5)
    env = jaxenvs.make(agent.plan.env, **agent.plan.constants)
    alone = jax.jit(ppo.train, static_argnums=3)(agent.plan.config, env, agent.plan.key(agent.plan.seed), 4)[0]
    for found, wanted in zip(jax.tree.leaves(agent.state.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert agent.steps == 128
    assert agent.act(np.int32(0)).shape == ()


def test_the_winner_is_trained_again_with_seeds_that_nobody_had(swept):
    folder, result = swept
    seeds = [PLAN.seed_of(member) for member in range(PLAN.num_members + PLAN.confirm)]
    assert len(set(seeds)) == len(seeds)
    assert result.confirmed.diverged == 0
    assert len(read_curves(folder / "winner.npz").finite) == 3
    fresh = train.load(folder, member=PLAN.num_members)
    assert fresh.plan.seed == seeds[PLAN.num_members]
    assert fresh.plan.constants["payment"] == result.setting["env.payment"]


def test_the_best_are_presets_that_train_takes(swept):
    folder, result = swept
    assert sorted(path.name for path in (folder / "presets").iterdir()) == ["1.json", "2.json"]
    found = presets.preset("ppo", "FiveChoices-v0", str(folder / "presets" / "1.json"))
    assert ppo.Config(**found.config) == dataclasses.replace(RUNS.config, learning_rate=1e-3)
    assert found.constants == {"payment": result.setting["env.payment"]}
    assert found.total_steps == 128
    with pytest.raises(ValueError, match=r"1.json is for the algorithm ppo, got dqn"):
        presets.preset("dqn", "FiveChoices-v0", str(folder / "presets" / "1.json"))
    with pytest.raises(ValueError, match=r"none.json cannot be read"):
        presets.preset("ppo", "FiveChoices-v0", str(folder / "none.json"))


def test_the_table_has_a_row_for_each_trial(swept):
    folder, result = swept
    header, *rows = [line.split(",") for line in (folder / "trials.csv").read_text().splitlines()]
    assert header[:5] == ["rank", "trial", "learning_rate", "env.payment", "score"]
    assert [int(row[1]) for row in rows] == [row.trial for row in result.table]
    assert [float(row[4]) for row in rows[:2]] == [row.score.score for row in result.table[:2]]


def test_a_sweep_is_read_as_it_was_written(swept):
    assert read_sweep(swept[0]) == PLAN


def test_a_resumed_sweep_trains_only_what_is_missing(swept):
    folder, result = swept
    paths = [chunk_path(folder, chunk.number) for chunk in PLAN.chunks()]
    assert len(paths) == 3
    kept = {path: path.stat().st_mtime_ns for path in (paths[0], paths[2], folder / "winner.npz")}
    before = read_curves(paths[1])
    paths[1].unlink()
    with pytest.raises(RunError, match=r"member 3 of .* is not trained yet: python -m jaxenvs resume"):
        train.load(folder, member=3)
    again = driver.begin(PLAN, folder, quiet=True, top=2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    np.testing.assert_array_equal(read_curves(paths[1]).returns, before.returns)
    assert [row.trial for row in again.table] == [row.trial for row in result.table]


def test_a_folder_of_another_sweep_or_of_none_is_refused(swept, tmp_path):
    folder, _ = swept
    other = dataclasses.replace(PLAN, seeds=3)
    with pytest.raises(RunError, match="holds another sweep, which differs in seeds"):
        driver.begin(other, folder, quiet=True)
    with pytest.raises(RunError, match="holds no sweep"):
        driver.resume(tmp_path)
    with pytest.raises(RunError, match=r"holds a sweep, not a run: train.load\("):
        train.load(folder)
    with pytest.raises(ValueError, match="member must be from 0 to 10, got 11"):
        train.load(folder, member=11)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(RunError, match="already holds a run"):
        driver.begin(PLAN, tmp_path, quiet=True)


def test_a_sweep_in_a_locked_folder_is_refused(tmp_path):
    from train.runs.lock import locked

    with locked(tmp_path), pytest.raises(RunError, match=f"is already being trained by process {os.getpid()}"):
        driver.begin(PLAN, tmp_path, quiet=True)


def test_static_choices_are_groups_and_chunks_are_even():
    space = {"activation": grid("tanh", "linear"), "learning_rate": uniform(0.0, 1e-3)}
    plan = plan_sweep(RUNS, space, trials=6, seeds=3, chunk=4)
    chunks = plan.chunks()
    assert [len(chunk.members) for chunk in chunks] == [3, 3, 3, 3, 3, 3]
    assert sorted(member for chunk in chunks for member in chunk.members) == list(range(18))
    for chunk in chunks:
        assert {plan.settings[plan.trial_of(member)]["activation"] for member in chunk.members} == {
            chunk.static["activation"]
        }
