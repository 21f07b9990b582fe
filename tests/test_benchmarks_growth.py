"""The benchmarks of memory and of scaling, on a few environments, and the pictures of all results."""

import json
import xml.etree.ElementTree as ElementTree

import jax
import numpy as np
import pytest

from benchmarks import common, memory, plots, scaling
from train import ppo

TINY = {"num_steps": 8, "epochs": 1, "minibatches": 1, "hidden": (4,)}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """An empty folder of results, and no other devices than there are."""
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(scaling, "set_up", lambda subject, count: None)
    return tmp_path


def rows_of(name):
    return (common.load(name) or {})["rows"]


@pytest.fixture
def mixed_dtypes():
    """Optax raises floats to integer powers, which strict promotion of dtypes refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_memory_is_measured_in_a_process_of_its_own():
    point = memory.Point(memory.EVERYTHING, "CartPole-v1", 4096, 100)
    memory.measure_all([point], runs=1, jobs=1, name="memory")
    (row,) = rows_of("memory")
    assert row["state_bytes_per_env"] == 4 * (4 + 2 + 4)
    # Two observations, an action, reward, return and length in words, and two flags.
    kept = 100 * 4096 * (4 * (2 * 4 + 4) + 2)
    # The process may reuse a little memory that it had before.
    assert 0.9 * kept < row["bytes"]["median"] < kept + 16 * 2**20
    assert row["before_bytes"]["median"] > 50 * 2**20
    assert row["bytes_per_env"] == pytest.approx(row["bytes"]["median"] / 4096, abs=0.1)


def test_a_point_that_fails_says_why():
    with pytest.raises(RuntimeError, match="unknown environment id 'NoPole-v1'"):
        memory.measure_apart(memory.Point(memory.NOTHING, "NoPole-v1", 4, 3))


def test_points_of_memory_vary_size_and_length_once_each():
    found = memory.points(["CartPole-v1", "HeartPole-v0"])
    assert len(set(found)) == len(found)
    mine = [point for point in found if point.id == "CartPole-v1" and point.subject == memory.NOTHING]
    assert {point.num_envs for point in mine} == set(memory.SIZES)
    assert {point.length for point in mine if point.num_envs == memory.WIDTH} == set(memory.LENGTHS)
    assert {point.id for point in found if point.subject == memory.PPO} == {"CartPole-v1"}
    assert {point.subject for point in memory.points(["CartPole-v1"], "ppo")} == {memory.PPO}
    assert memory.PPO not in {point.subject for point in memory.points(["CartPole-v1"], "rollout")}


@pytest.mark.parametrize("prepare, subject", [(memory.rollout_run, memory.NOTHING), (memory.ppo_run, memory.PPO)])
def test_what_memory_runs_makes_as_many_steps_as_it_says(prepare, subject, monkeypatch, quick_compiles, mixed_dtypes):
    monkeypatch.setattr(memory, "PPO_SHAPE", TINY)
    start, run, _ = prepare(memory.Point(subject, "CartPole-v1", 4, 3))
    results = run(*start())
    if subject == memory.PPO:
        assert int(results[0].updates) == 3
    else:
        assert results[0].episode_length.tolist() == [3] * 4 and results[2] is None


@pytest.mark.slow
def test_scaling_measures_all_that_it_names(monkeypatch, quick_compiles, mixed_dtypes):
    monkeypatch.setattr(scaling.ppo, "Config", lambda **options: CONFIG(**{**options, **TINY}))
    monkeypatch.setattr(scaling, "UPDATES", 2)
    few = ["--sizes", "4", "--members", "2", "--runs", "2", "--seconds", "0.0001", "--devices", "1"]
    for subject in scaling.SUBJECTS:
        scaling.main(["--only", subject, *few, "--name", "scaling"])
    rows = rows_of("scaling")
    found = [(row["subject"], row["num_envs"], row["members"], row["varied"]) for row in rows]
    populations = [("population", 64, 2, varied) for varied in (scaling.SEEDS, scaling.RATES)]
    assert found == [*populations, ("ppo", 4, 1, ""), ("stepping", 4, 1, "")]
    assert all(row["seconds"]["runs"] == 2 and row["compile_s"] > 0 for row in rows)
    for row in rows:
        steps = {"ppo": 4 * 8, "stepping": 4}.get(row["subject"], row["members"] * 2 * 64 * 8)
        # The ends, since medians of rates are not those of seconds.
        for rate, seconds in (("min", "max"), ("max", "min")):
            assert row["steps_per_second"][rate] == pytest.approx(steps / row["seconds"][seconds], rel=0.01)


CONFIG = ppo.Config


def test_each_subject_of_scaling_has_a_process_of_its_own(monkeypatch):
    started = []
    monkeypatch.setattr(scaling.subprocess, "run", lambda command, check: started.append(command))
    scaling.main(["--members", "2"])
    assert [command[-4:] for command in started] == [["--members", "2", "--only", name] for name in scaling.SUBJECTS]


def made_up(factor=1.0):
    """Results of every benchmark, of round numbers."""

    def rate(value):
        return {"steps_per_second": {"median": factor * value}}

    cell = {"id": "CartPole-v1", "subject": "jaxenvs"}
    step = [{**cell, "num_envs": n, **rate(1e6 * n)} for n in (1, 64, 8)]
    step += [{"id": "Pendulum-v1", "subject": "jaxenvs", "num_envs": 8, **rate(7e6)}]
    step += [{"id": "FiveChoices-v0", "subject": "jaxenvs", "num_envs": 8, **rate(9e9)}]
    step += [{**cell, "subject": "gymnax, tuned", "num_envs": n, **rate(1e5 * n)} for n in (1, 8)]
    limit = [{"id": "CartPole-v1", "subject": "C", "form": "scan", "generator": plots.GENERATOR, "num_envs": 64}]
    limit = [{**limit[0], "ours_over_this": {}, **rate(9e8)}]
    memory_rows = [
        {"subject": subject, "id": "CartPole-v1", "num_envs": n, "length": t, "bytes": {"median": factor * 2**20 * n}}
        for subject in (memory.NOTHING, memory.PPO)
        for n, t in ((4, 10), (8, 10), (8, 100))
    ]
    about = {"id": "CartPole-v1", "members": 1, "varied": "", "devices": 1}
    scale = [{**about, "subject": name, "num_envs": n, **rate(n)} for name in ("stepping", "ppo") for n in (4, 8)]
    scale += [
        {**about, "subject": "population", "varied": "seeds", "members": n, "num_envs": 4, **rate(n)} for n in (1, 2)
    ]
    returns = {"percentiles": [factor * place for place in range(101)]}
    pilot = [{"id": id, "wind": wind, "jaxenvs": returns, "box2d": returns} for id in "ab" for wind in (False, True)]
    return {"stepping": step, "limit": limit, "memory": memory_rows, "scaling": scale, "lander_pilot": pilot}


def write(results, found):
    for name, rows in found.items():
        (results / f"{name}.json").write_text(json.dumps({"rows": rows}))


def drawn(results, name):
    """A picture of the results: its bytes."""
    assert plots.save_picture(name, results, results) == []
    return (results / f"{name}.svg").read_bytes()


@pytest.mark.parametrize("name", plots.PICTURES)
def test_a_picture_shows_its_results_and_nothing_else(name, results):
    write(results, made_up())
    first = drawn(results, name)
    ElementTree.fromstring(first)
    assert drawn(results, name) == first
    assert b"<dc:date>" not in first and len(first) < 60_000
    # Ticks move with the figures, so pictures of others must differ.
    write(results, made_up(factor=3.0))
    assert drawn(results, name) != first


def points_of(line):
    return np.stack([line.get_xdata(), line.get_ydata()], 1).tolist()


def test_every_line_and_bar_is_at_its_figures(results):
    found = made_up()
    axes = plots.stepping(found["stepping"], limit=found["limit"]).axes[0]
    points = {line.get_label(): points_of(line) for line in axes.lines}
    assert points == {
        "CartPole-v1": [[1, 1e6], [8, 8e6], [64, 64e6]],
        "CartPole-v1 by gymnax, tuned": [[1, 1e5], [8, 8e5]],
        "CartPole-v1 in C for this alone, N = 64": [[64, 9e8]],
    }
    axes = plots.ids(found["stepping"], limit=[]).axes[0]
    assert [bar.get_path().get_extents(bar.get_patch_transform()).width for bar in axes.patches] == [7, 64]
    assert [label.get_text() for label in axes.texts] == ["7, N = 8", "64, N = 64"]
    left, right = plots.memory(found["memory"], limit=[]).axes
    assert [points_of(line) for line in left.lines] == [[[4, 4], [8, 8]]]
    assert [points_of(line) for line in right.lines] == [[[10, 8], [100, 8]]] * 2
    left, right = plots.scaling(found["scaling"], limit=[]).axes
    assert [points_of(line) for line in left.lines] == [[[4, 4], [8, 8]]] * 2
    assert [points_of(line) for line in right.lines] == [[[1, 1], [2, 2]]]
    for axes in plots.lander_pilot(found["lander_pilot"], limit=[]).axes:
        assert len(axes.lines) == 4 and all(points_of(line)[50] == [50, 50] for line in axes.lines)


def test_axes_say_what_they_show():
    found = made_up()
    for name, (draw, _) in plots.PICTURES.items():
        for axes in draw(found.get(name, found["stepping"]), limit=[]).axes:
            assert axes.get_xlabel()
            assert axes.get_ylabel() or name == "ids"


def test_a_picture_without_results_is_left_out(results, capsys):
    write(results, {"memory": made_up()["memory"]})
    plots.main(["--results", str(results), "--out", str(results)])
    assert [path.name for path in results.glob("*.svg")] == ["memory.svg"]
    assert "no scaling.json, so no picture" in capsys.readouterr().out
