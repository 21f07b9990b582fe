"""Trackers: what reaches them, and that a run outlives their failures."""

import sys
import types

import pytest

from train.runs.log import Log
from train.runs.tracker import Tracker


class Fake:
    """A tracker that keeps what it gets, and fails where it is told to."""

    def __init__(self, fails=None):
        self.calls, self._fails = [], fails

    def init(self, **kwargs):
        self._take("init", kwargs)

    def log(self, figures, step):
        self._take("log", (figures, step))

    def finish(self):
        self._take("finish", None)

    def _take(self, name, given):
        self.calls.append((name, given))
        if name == self._fails:
            raise ConnectionError("no route\nto the host")


def test_rows_reach_the_tracker_by_their_steps(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    fake = Fake()
    tracker = Tracker(fake)
    tracker.begin("one", {"seed": 1})
    log = Log(tmp_path, tracker=tracker)
    log.write({"steps": 64, "return_mean": 2.5, "loss": float("nan")})
    log.close()
    assert fake.calls == [
        ("init", {"project": "jaxenvs", "name": "one", "config": {"seed": 1}}),
        ("log", ({"return_mean": 2.5}, 64)),
        ("finish", None),
    ]


@pytest.mark.parametrize("fails", ["init", "log", "finish"])
def test_a_failure_is_said_once_and_ends_only_the_tracking(fails, tmp_path, capsys):
    fake = Fake(fails)
    tracker = Tracker(fake)
    tracker.begin("one", {})
    log = Log(tmp_path, tracker=tracker)
    for steps in (1, 2):
        log.write({"steps": steps, "loss": 0.5})
    log.close()
    assert [row["steps"] for row in log.rows] == [1, 2]
    warning = f"failed at {fails}, and gets no more figures: ConnectionError: no route\n"
    assert capsys.readouterr().err.count(warning) == 1
    assert [name for name, _ in fake.calls].count(fails) == 1
    assert fake.calls[-1][0] == fails


def test_a_module_is_found_by_its_name(monkeypatch):
    fake = Fake()
    monkeypatch.setitem(
        sys.modules, "my_tracker", types.SimpleNamespace(init=fake.init, log=fake.log, finish=fake.finish)
    )
    tracker = Tracker("my_tracker")
    tracker.begin("one", {})
    tracker.log({"hidden": (64, 64), "score": float("nan"), "low": float("-inf"), "trial": 3}, step=1)
    assert fake.calls[1] == ("log", ({"hidden": "(64, 64)", "trial": 3}, 1))


def test_what_is_no_tracker_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="--tracker none_such cannot be imported: No module named 'none_such'"):
        Tracker("none_such")
    with pytest.raises(ValueError, match=r"--tracker math has no init\(...\): a tracker has init, log and finish"):
        Tracker("math")
    monkeypatch.setitem(sys.modules, "half", types.SimpleNamespace(init=print, log=print))
    with pytest.raises(ValueError, match=r"--tracker half has no finish\(...\)"):
        Tracker("half")


def test_without_a_tracker_nothing_is_called():
    tracker = Tracker()
    tracker.begin("one", {})
    tracker.log({"loss": 0.5}, step=1)
    tracker.close()
