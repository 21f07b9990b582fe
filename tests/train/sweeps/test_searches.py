"""Successive halving and population-based training: what their lanes hold, and what is left after a kill."""

import dataclasses
import itertools
import json
import re
import threading
import types
from typing import Any

import jax
import numpy as np
import pytest
from tiny_sweeps import RUNS, SPACE

import train
from train.__main__ import main
from train.runs import run
from train.runs.plan import RunError
from train.sweeps import plots, results, search_file, trainer
from train.sweeps import sweep as driver
from train.sweeps.distributions import grid, uniform
from train.sweeps.lineage import read_lineage, schedule_of
from train.sweeps.members import chunk_path, read_curves
from train.sweeps.plan import plan_sweep
from train.sweeps.stored import read_sweep

COMMON: dict[str, Any] = {"seeds": 2, "episodes": 4, "confirm": 6, "chunk": 6}
ASHA = plan_sweep(RUNS, SPACE, search="asha", trials=10, eta=2, rungs=2, **COMMON)
# With this seed, the winner's state is that of another trial at each evaluation.
BRED = dataclasses.replace(RUNS, seed=25), {"learning_rate": grid(1e-3, 2e-3, 1e30), "env.payment": uniform(2.0, 3.0)}
PBT = plan_sweep(*BRED, search="pbt", trials=3, evaluations=4, quantile=0.34, resample=0.2, **COMMON)


@pytest.fixture(scope="module", autouse=True)
def programs():
    """All sweeps here share their programs, which do not depend on the plan's seed."""
    with trainer.shared_programs() as made:
        yield made


@pytest.fixture(scope="module")
def halved(tmp_path_factory, programs):
    folder = tmp_path_factory.mktemp("sweeps") / "asha"
    return folder, driver.begin(ASHA, folder, quiet=True, top=2)


@pytest.fixture(scope="module")
def bred(tmp_path_factory, programs):
    folder = tmp_path_factory.mktemp("sweeps") / "pbt"
    return folder, driver.begin(PBT, folder, quiet=True, top=2)


@pytest.fixture(scope="module")
def population(programs):
    return trainer.Trainer(ASHA, 1).lanes({}, 6).population


def looks_of_each_trial(payments, finite, slots, rungs, looks, eta):
    """Successive halving by hand: how many looks each trial has."""
    waiting, ages, places, reached = list(range(len(payments))), {}, [], {rung: [] for rung in rungs}
    while waiting or places:
        while waiting and len(places) < slots:
            places.append(waiting.pop(0))
        for trial in places:
            ages[trial] = ages.get(trial, 0) + 1
            if ages[trial] in rungs:
                reached[ages[trial]].append(payments[trial] if finite[trial] else -1.0)
        for trial in list(places):
            over = ages[trial] == looks or not finite[trial]
            if ages[trial] in rungs:
                there = reached[ages[trial]]
                over |= sum(other > payments[trial] for other in there) >= max(1, len(there) // eta)
            if over:
                places.remove(trial)
    return [ages[trial] for trial in range(len(payments))]


def test_trials_stop_at_the_rungs_where_others_are_better(halved):
    payments = [one["env.payment"] for one in ASHA.settings]
    finite = [one["learning_rate"] == 1e-3 for one in ASHA.settings]
    wanted = looks_of_each_trial(payments, finite, slots=3, rungs=(1, 2), looks=4, eta=2)
    assert len(set(wanted)) == 3
    found = {row.trial: row.steps for row in halved[1].table}
    assert [found[trial] for trial in range(10)] == [32 * looks for looks in wanted]
    assert halved[1].steps == 2 * 32 * sum(wanted) < ASHA.full_steps == 2 * 10 * 128


def test_who_came_further_ranks_above_and_who_diverged_below(halved):
    rows = halved[1].table
    sound = [row for row in rows if row.score.diverged == 0]
    assert rows[: len(sound)] == sound
    assert [row.steps for row in sound] == sorted((row.steps for row in sound), reverse=True)
    full = [row.setting["env.payment"] for row in sound if row.steps == 128]
    assert full == sorted(full, reverse=True)
    assert {row.setting["learning_rate"] for row in rows[len(sound) :]} == {1e30}
    assert halved[1].diverged == sorted(m for row in rows[len(sound) :] for m in ASHA.members_of(row.trial))


def test_a_search_in_lanes_compiles_one_program(halved, bred, programs):
    assert len(programs) == 1


def test_a_trial_in_the_lanes_of_another_is_the_one_that_began_there(halved, population):
    """Bit for bit: its state is that of a run that had its lanes to itself."""
    last = max(row.trial for row in halved[1].table if row.steps > 32 and not row.score.diverged)
    assert last >= 3
    lanes = trainer.Lanes(population, list(SPACE), 6)
    settings = [ASHA.settings[last]] * 6
    states = lanes.begin(settings, [ASHA.seed_of(member) for member in ASHA.members_of(last)])
    for _ in range(len(read_curves(chunk_path(halved[0], last)).steps)):
        states, _, _ = lanes.advance(settings, states, 1, ASHA.evaluation_key(0, 0))
    agent = train.load(halved[0], member=ASHA.members_of(last)[1])
    for found, wanted in zip(jax.tree.leaves(agent.state.params), jax.tree.leaves(states.params), strict=True):
        np.testing.assert_array_equal(found, wanted[1])
    assert int(agent.state.updates) == agent.steps // 32


def test_replaced_lanes_begin_again_and_the_others_stay(population):
    values = {"learning_rate": [1e-3] * 6, "env.payment": [2.0] * 6}
    fresh = np.array([False, True, False, False, True, True])
    before, _, _ = population.advance(values, population.begin(values, range(6)), 1, jax.random.key(0))
    kept = [np.asarray(leaf) for leaf in jax.tree.leaves(before.params)]
    after = population.replace(values, before, range(10, 16), fresh)
    begun = population.begin(values, range(10, 16))
    for old, new, found in zip(kept, jax.tree.leaves(begun.params), jax.tree.leaves(after.params), strict=True):
        np.testing.assert_array_equal(found, np.where(fresh.reshape(-1, *[1] * (old.ndim - 1)), new, old))
    assert after.updates.tolist() == [1, 0, 1, 1, 0, 0]


def test_a_copy_has_weights_optimiser_and_environments_of_its_source_and_its_own_key(population):
    values = {"learning_rate": [1e-3] * 6, "env.payment": [2.0] * 6}
    states, _, _ = population.advance(values, population.begin(values, range(6)), 1, jax.random.key(0))
    raw = lambda tree: [np.asarray(leaf) for leaf in jax.tree.leaves(tree._replace(key=()))]  # noqa: E731
    before, keys = raw(states), np.asarray(jax.random.key_data(states.key))
    source = [0, 0, 2, 2, 4, 0]
    after = population.copy(states, source)
    for old, new in zip(before, raw(after), strict=True):
        np.testing.assert_array_equal(new, old[source])
    np.testing.assert_array_equal(jax.random.key_data(after.key), keys)


def test_a_member_that_diverged_is_never_copied_and_gets_the_state_of_one_that_did_not(bred):
    intervals = read_lineage(bred[0], list(SPACE))
    assert [interval.source for interval in intervals] == [[0, 1, 2], [0, 1, 0], [0, 2, 2], [1, 1, 2]]
    assert intervals[0].diverged == [0, 0, 2]
    assert intervals[0].scores[2] is None
    for interval in intervals[1:]:
        assert interval.diverged == [0, 0, 0]
    for before, now in itertools.pairwise(intervals):
        kept = [trial for trial in range(3) if now.source[trial] == trial]
        assert [now.values[trial] for trial in kept] == [before.values[trial] for trial in kept]
    assert bred[1].diverged == []


def test_the_curve_of_a_member_is_that_of_the_states_it_comes_from(bred):
    """Each evaluation earns the payment of its interval."""
    intervals = read_lineage(bred[0], list(SPACE))
    found = read_curves(chunk_path(bred[0], 0)).returns
    for trial in range(3):
        wanted = [one["env.payment"] for one in schedule_of(intervals, trial)]
        for member in PBT.members_of(trial):
            np.testing.assert_allclose(found[:, member], wanted, rtol=1e-6)


def test_a_population_of_which_all_diverged_is_refused_in_a_sentence(tmp_path):
    space = {"learning_rate": grid(1e30, 2e30), "env.payment": uniform(2.0, 3.0)}
    plan = plan_sweep(RUNS, space, search="pbt", trials=3, evaluations=4, **COMMON)
    with pytest.raises(RunError, match=r"all runs of .* diverged: try lower rates than learning_rate=1e"):
        driver.begin(plan, tmp_path, quiet=True)


def test_the_winner_is_a_schedule_that_fresh_seeds_replay(bred):
    folder, result = bred
    wanted = schedule_of(read_lineage(folder, list(SPACE)), result.table[0].trial)
    assert [one["env.payment"] for one in wanted] == [2.16072, 2.26072, 2.36072, 2.36072]
    assert result.schedule == wanted
    assert json.loads((folder / "winner.json").read_text())["schedule"] == wanted
    first = json.loads((folder / "schedules" / "1.json").read_text())["schedule"]
    assert [part["values"] for part in first] == wanted
    assert [(part["from_step"], part["to_step"]) for part in first] == [(0, 32), (32, 64), (64, 96), (96, 128)]
    # Each evaluation earns the payment of its interval.
    fresh = read_curves(folder / "winner.npz").returns
    assert fresh.shape == (4, 6)
    np.testing.assert_allclose(fresh, np.array([[one["env.payment"]] * 6 for one in wanted]), rtol=1e-6)
    assert train.load(folder, member=PBT.num_members).plan.constants["payment"] == wanted[-1]["env.payment"]


def test_train_replays_a_schedule_that_is_its_preset(bred, tmp_path, monkeypatch, capsys):
    folder, result = bred
    # One chunk of all updates, in which the values change three times.
    monkeypatch.setattr(run, "_CHUNKS", 1)
    fresh = train.load(folder, member=PBT.num_members)
    arguments = [
        "ppo", "--env", "FiveChoices-v0", "--preset", str(folder / "schedules" / "1.json"), "--seed",
        str(fresh.plan.seed), "--out", str(tmp_path / "run"), "--devices", "1", "--film-episodes", "0", "--quiet",
    ]  # fmt: skip
    assert main(arguments, "train") == 0
    agent = train.load(tmp_path / "run")
    assert [part["values"] for part in agent.plan.schedule] == result.schedule
    for found, wanted in zip(jax.tree.leaves(agent.state.params), jax.tree.leaves(fresh.state.params), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    paid = result.schedule[-1]["env.payment"]
    assert json.loads(capsys.readouterr().out)["mean"] == pytest.approx(paid, rel=1e-6)
    # The values at the end alone make another run.
    arguments[4] = str(folder / "presets" / "1.json")
    arguments[8] = str(tmp_path / "plain")
    assert main(arguments, "train") == 0
    plain = train.load(tmp_path / "plain").state.params
    assert not all(map(np.allclose, jax.tree.leaves(plain), jax.tree.leaves(fresh.state.params)))


def test_a_sweep_takes_no_schedule(bred, capsys):
    arguments = ["sweep", "ppo", "--env", "FiveChoices-v0", "--space", "gamma=uniform(0.9,0.99)"]
    assert main([*arguments, "--preset", str(bred[0] / "schedules" / "1.json")], "jaxenvs") == 1
    assert "--preset: a sweep takes no schedule" in capsys.readouterr().err


def test_a_member_of_a_population_has_the_values_of_its_end(bred):
    folder, result = bred
    row = result.table[0]
    agent = train.load(folder, member=PBT.members_of(row.trial)[0])
    assert agent.plan.constants["payment"] == row.setting["env.payment"] == result.schedule[-1]["env.payment"]
    assert agent.steps == 128
    assert float(agent.evaluate(4)["mean"]) == pytest.approx(row.setting["env.payment"], rel=1e-6)
    preset = json.loads((folder / "presets" / "1.json").read_text())
    assert preset["constants"]["payment"] == row.setting["env.payment"]


@pytest.mark.parametrize(("plan", "stops", "total"), [(ASHA, (1, 6), 14), (PBT, (1, 4), 10)], ids=["asha", "pbt"])
def test_a_search_that_was_killed_and_resumed_equals_one_that_was_not(
    plan, stops, total, halved, bred, tmp_path, monkeypatch
):
    whole = halved if plan is ASHA else bred
    monkeypatch.setattr(search_file, "EVERY", 0.0)
    advance, calls = trainer.Lanes.advance, []

    def killed(lanes, *arguments):
        calls.append(1)
        if len(calls) in stops:
            raise KeyboardInterrupt
        return advance(lanes, *arguments)

    monkeypatch.setattr(trainer.Lanes, "advance", killed)
    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            driver.begin(plan, tmp_path, quiet=True, top=2)
    again = driver.begin(plan, tmp_path, quiet=True, top=2)
    assert not (tmp_path / search_file.SEARCH).exists()
    assert [(row.trial, row.steps, row.score) for row in again.table] == [
        (row.trial, row.steps, row.score) for row in whole[1].table
    ]
    files = [path for path in whole[0].rglob("*") if path.suffix in (".npz", ".json", ".csv")]
    assert len(files) >= 8
    for path in files:
        there = tmp_path / path.relative_to(whole[0])
        if path.suffix != ".npz":
            assert there.read_text() == path.read_text()
            continue
        with np.load(path) as one, np.load(there) as other:
            assert one.files == other.files
            for name in one.files:
                np.testing.assert_array_equal(one[name], other[name])
    # The first kill came before anything was saved; after the second, nothing that was finished was made again.
    assert len(calls) == total


def test_a_damaged_file_of_a_search_is_refused_in_a_sentence(tmp_path):
    folder = tmp_path / "sweep"
    (folder / "chunks").mkdir(parents=True)
    from train.sweeps.stored import write_sweep

    write_sweep(PBT, folder)
    (folder / search_file.SEARCH).write_bytes(b"no archive")
    with pytest.raises(RunError, match=r"search.npz is damaged .*; remove it, and resume starts this search again"):
        driver.resume(folder, quiet=True)


@pytest.mark.parametrize("name", ["halved", "bred"])
def test_tables_plots_and_plans_are_those_of_any_sweep(name, request):
    folder, result = request.getfixturevalue(name)
    plan = read_sweep(folder)
    assert plan == (ASHA if name == "halved" else PBT)
    header, *rows = [line.split(",") for line in (folder / "trials.csv").read_text().splitlines()]
    assert header[:5] == ["rank", "trial", "learning_rate", "env.payment", "score"]
    assert [int(row[header.index("steps")]) for row in rows] == [row.steps for row in result.table]
    assert sorted(path.name for path in (folder / "presets").iterdir()) == ["1.json", "2.json"]
    lines = "\n".join(results.sentences(plan, result, folder))
    assert ("schedules" in lines) == ("diverged along the way, and went on from a copy" in lines) == (name == "bred")
    drawn = {path.name for path in plots.write(plan, result, folder)}
    assert drawn == {"learning_rate.png", "env.payment.png", "parallel.png"} | (
        {"schedules.png"} if name == "bred" else set()
    )
    assert f"{len(plan.settings)} trials x 2 seeds" in driver.describe(plan)


def test_the_progress_line_counts_looks_and_names_the_best(capsys, halved):
    """Of a search that is complete: its members count as done, and the best so far is the winner."""
    driver.resume(halved[0])
    from train.sweeps.progress import Progress

    progress = Progress(PBT, 6)
    progress.looked_at("interval 1/2", 3.0, [1.0, None, 4.0])
    progress.looked_at("interval 2/2", 6.0, [None, None, 3.0])
    progress.close()
    assert "0/3 trials, interval 2/2" in capsys.readouterr().err


def test_the_program_that_is_needed_next_is_made_in_a_thread(monkeypatch):
    made = []
    monkeypatch.setattr(trainer, "_shared", None)

    def population(plan, names, size, *rest):
        made.append((size, threading.current_thread() is threading.main_thread()))
        if size == 4:
            raise ValueError("no lanes")
        return object()

    monkeypatch.setattr(trainer, "Population", population)
    one = trainer.Trainer(ASHA, 1)
    one.expect({}, 3, now=({}, 3))
    assert made == []
    one.expect({}, 3)
    one.expect({}, 3)
    found = one.lanes({}, 3)
    one.expect({}, 3)
    assert one.lanes({}, 3) is found
    assert made == [(3, False)]
    one.lanes({}, 5)
    assert made[1:] == [(5, True)]
    one.expect({}, 4)
    with pytest.raises(ValueError, match="no lanes"):
        one.lanes({}, 4)


def test_the_winners_program_is_expected_where_there_is_one_group():
    asked = []
    expecting = lambda sweep, later: trainer.expect_next(  # noqa: E731
        sweep, types.SimpleNamespace(expect=lambda *program: asked.append(program)), ({"hidden": 8}, 6), later
    )
    expecting(ASHA, [({"hidden": 8}, 6), ({"hidden": 9}, 6), ({"hidden": 7}, 6)])
    expecting(ASHA, [({"hidden": 8}, 6)])
    expecting(dataclasses.replace(ASHA, confirm=0), [])
    assert asked == [({"hidden": 9}, 6, ({"hidden": 8}, 6)), ({"hidden": 8}, 6, ({"hidden": 8}, 6))]
    two = plan_sweep(RUNS, {"hidden": grid(4, 8)}, search="random", trials=2, seeds=1)
    expecting(two, [])
    assert len(asked) == 2


def test_seeds_of_a_setting_are_trained_together():
    assert dataclasses.replace(ASHA, chunk=7).chunks() == ASHA.chunks()
    assert [chunk.members for chunk in ASHA.chunks()] == [ASHA.members_of(trial) for trial in range(10)]


def test_the_command_halves_as_the_function_does(halved, tmp_path, capsys, programs):
    folder = tmp_path / "sweep"
    arguments = [
        "sweep", "ppo", "--env", "FiveChoices-v0", "--space", "learning_rate=grid(1e-3,1e30)",
        "--space", "env.payment=uniform(2.0,3.0)", "--search", "asha", "--trials", "10", "--eta", "2", "--rungs", "2",
        "--seeds", "2", "--episodes", "4", "--confirm", "6", "--chunk", "6", "--seed", "5", "--total-steps", "128",
        "--num-envs", "4", "--num-steps", "8", "--segment", "4", "--epochs", "1", "--minibatches", "2",
        "--hidden", "4", "--devices", "1", "--top", "2", "--out", str(folder),
    ]  # fmt: skip
    assert main(arguments, "jaxenvs") == 0
    shown = capsys.readouterr()
    assert "3 trials together, which may stop after 0.25, 0.5 of a run" in shown.err
    assert "10/10 trials" in shown.err
    assert "of those of full runs" in shown.out
    for name in ("trials.csv", "winner.json"):
        assert (folder / name).read_text() == (halved[0] / name).read_text()
    assert len(programs) == 1
    assert main(["resume", str(folder), "--quiet"], "jaxenvs") == 0
    assert main([*arguments, "--quantile", "0.3"], "jaxenvs") == 1
    assert "--quantile is an option of --search pbt, got --search asha" in capsys.readouterr().err


def test_no_batch_of_matrices_is_decomposed_at_once(population):
    """JAX's kernel waits in one of XLA's threads for others of them: on two devices, populations hung."""
    if jax.default_backend() != "cpu":
        pytest.skip("LAPACK is the CPU's")
    shapes = re.findall(r"= \(f32\[([\d,]+)\].* custom-call\(.*lapack_sgeqrf_ffi", population._init.as_text())
    assert len(shapes) >= 4
    assert {len(shape.split(",")) for shape in shapes} == {2}
