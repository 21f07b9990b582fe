"""`benchmarks.accelerator`: every part runs at small sizes, and nothing that was measured is lost."""

import functools
import json
import types

import jax
import pytest

from benchmarks.accelerator import __main__ as accelerator


@pytest.mark.slow
def test_every_part_runs_quickly_and_leaves_its_figures(tmp_path, capsys, quick_compiles):
    out = tmp_path / "figures.json"
    # Optax mixes dtypes.
    with jax.numpy_dtype_promotion("standard"):
        assert accelerator.main(["--quick", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row for row in rows if "failed" in row or "skipped" in row] == []
    # The presets' runs take minutes on a CPU.
    assert {row["part"] for row in rows} == set(accelerator.PARTS) - {"presets"}
    assert all((row.get("per_second") or row["steps_per_second"])["median"] > 0 for row in rows)
    assert "SUMMARY cpu: HeartPole-v0 stepping" in capsys.readouterr().out


def parts(**measures):
    """Parts of one row each."""
    rows = lambda measure, quick, ceilings: iter([("a row", lambda: measure)])  # noqa: E731
    return {
        name: (types.SimpleNamespace(rows=functools.partial(rows, measure)), 1.0) for name, measure in measures.items()
    }


def figure():
    return {"steps_per_second": {"median": 2e10, "min": 1e10, "max": 3e10}}


def no_memory():
    raise MemoryError("too large")


def test_a_failed_row_is_kept_as_text_and_the_next_part_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "PARTS", parts(first=no_memory, second=figure))
    report = accelerator.Report(tmp_path / "figures.json")
    accelerator.run(report, ["first", "second"], 60, quick=True)
    failed, done = json.loads(report.path.read_text())["rows"]
    assert failed["failed"].startswith("MemoryError: too large (test_benchmarks_accelerator.py:")
    assert done["steps_per_second"]["median"] == 2e10


def test_rows_beyond_the_time_are_named_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "PARTS", parts(first=no_memory))
    report = accelerator.Report(tmp_path / "figures.json")
    accelerator.run(report, ["first"], -1, quick=True)
    assert report.rows[0]["skipped"] == "the part's time was up"


@pytest.mark.parametrize("rate, verdict", [(9e9, "missed"), (2e10, "reached"), (4e10, "stretch reached")])
def test_the_summary_compares_with_the_goal(rate, verdict):
    row = {"part": "stepping", "name": "HeartPole-v0 N=2^20", "steps_per_second": {"median": rate}}
    assert f"(goal 2e+10 {verdict}, stretch 4e+10); PPO training: no figure" in accelerator.summary([row])
