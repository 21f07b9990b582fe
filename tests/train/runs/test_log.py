import json
import math
import struct
import subprocess
import sys
import time

import pytest
from tensorboardX.proto import event_pb2

from train.runs.log import Log, Progress, read_rows

ROW = {"steps": 100, "return_mean": -1.5, "steps_per_second": 2000.0}


def records(folder):
    """The events in the one TensorBoard file of a folder: each between its length with a checksum and another one."""
    (path,) = folder.glob("events.out.tfevents.*")
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield event_pb2.Event.FromString(content[12 : 12 + length])  # pyright: ignore[reportAttributeAccessIssue]
        content = content[16 + length :]


def events(folder):
    """(step, name, value) of every scalar."""
    return [(event.step, value.tag, value.simple_value) for event in records(folder) for value in event.summary.value]


def purged(folder):
    """The steps from which on a file tells TensorBoard to forget earlier ones."""
    return [event.step for event in records(folder) if event.HasField("session_log")]


def test_a_row_is_a_line_of_json(tmp_path):
    log = Log(tmp_path)
    log.write(ROW)
    log.write({"steps": 200})
    log.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [ROW, {"steps": 200}]


def test_a_row_is_on_disk_as_soon_as_it_is_written(tmp_path):
    log = Log(tmp_path)
    log.write(ROW)
    assert read_rows(tmp_path / "metrics.jsonl") == [ROW]
    log.close()


def test_a_figure_is_a_tensorboard_scalar_at_its_step(tmp_path):
    log = Log(tmp_path)
    log.write(ROW)
    log.write({"steps": 200, "return_mean": 2.5})
    log.close()
    first = [(100, "return_mean", -1.5), (100, "steps_per_second", 2000.0)]
    assert events(tmp_path) == [*first, (200, "return_mean", 2.5)]


def test_events_are_begun_during_a_run_that_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr("train.runs.log._EVENTS_AFTER", 0.0)
    log = Log(tmp_path)
    log.write(ROW)
    until = time.monotonic() + 20
    while not list(tmp_path.glob("events.*")) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(tmp_path.glob("events.*"))
    log.close()


def test_a_start_waits_for_no_tensorboard(tmp_path):
    code = f"import sys; from train.runs.log import Log; log = Log({str(tmp_path)!r}); log.write({{'steps': 1}})\n"
    code += "print('tensorboardX' in sys.modules); log.close(); print('tensorboardX' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_left_out(tmp_path, value):
    log = Log(tmp_path)
    log.write({**ROW, "kl": value})
    log.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [ROW]
    assert "kl" not in {name for _, name, _ in events(tmp_path)}


def test_rows_of_a_missing_file_are_none(tmp_path):
    assert read_rows(tmp_path / "metrics.jsonl") == []


def test_rows_of_an_empty_file_are_none(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    assert read_rows(tmp_path / "metrics.jsonl") == []


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_half_a_last_line_is_left_out(tmp_path, cut):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps(ROW)[:cut])
    assert read_rows(tmp_path / "metrics.jsonl") == [ROW]


def test_a_log_keeps_the_rows_of_an_earlier_part(tmp_path):
    first = Log(tmp_path)
    first.write(ROW)
    first.close()
    later = Log(tmp_path, upto=100)
    later.write({"steps": 200})
    later.close()
    assert read_rows(tmp_path / "metrics.jsonl") == later.rows == [ROW, {"steps": 200}]


def test_a_log_forgets_the_rows_that_a_resumed_run_writes_again(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps({"steps": steps}) + "\n" for steps in (100, 200, 300)))
    log = Log(tmp_path, upto=200)
    log.write({"steps": 300, "kl": 0.5})
    log.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [{"steps": 100}, {"steps": 200}, {"steps": 300, "kl": 0.5}]


def test_a_log_writes_on_from_a_line_that_a_crash_cut_short(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(ROW) + '\n{"steps": 2')
    log = Log(tmp_path, upto=100)
    log.write({"steps": 200})
    log.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [ROW, {"steps": 200}]


def test_a_resumed_log_tells_tensorboard_to_forget_what_comes_again(tmp_path):
    log = Log(tmp_path, upto=200)
    log.write({"steps": 300, "kl": 0.5})
    log.close()
    assert purged(tmp_path) == [201]


def test_progress_says_a_line_a_chunk_where_the_output_is_no_terminal(capsys):
    progress = Progress(4_000_000)
    progress.advance(1_000_000, {"steps": 1_000_000, "steps_per_second": 500_000.0, "return_mean": -123.4})
    progress.close()
    shown = " ".join(capsys.readouterr().err.split())
    assert shown == "1.00M steps 500k steps/s 6 s left return -123.4"


@pytest.mark.parametrize(
    ("total", "steps", "shown"),
    [(999_999, 2_048, "    2,048 steps  "), (999_999, 999_999, "  999,999 steps  "),
     (1_000_000, 2_048, "    0.00M steps  "), (1_000_000, 1_000_000, "    1.00M steps  ")],
)  # fmt: skip
def test_progress_of_a_short_run_has_plain_numbers_of_the_same_width(capsys, total, steps, shown):
    progress = Progress(total)
    progress.advance(steps, {"steps": steps, "steps_per_second": 500_000.0})
    progress.close()
    assert capsys.readouterr().err.startswith(f"{shown}   500k steps/s")


def test_progress_shows_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress(4_000_000, done=1_000_000)
    progress.advance(1_000_000, {"steps": 2_000_000, "steps_per_second": 500_000.0, "eval_mean": 730.0})
    progress.close()
    shown = capsys.readouterr().err
    assert "50%" in shown and "2.00M/4.00M" in shown and "step/s" in shown and "evaluation 730" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_progress_says_nothing(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    progress = Progress(100, quiet=True)
    progress.say("compiled")
    progress.advance(50, {"steps": 50, "steps_per_second": 1.0})
    progress.close()
    assert capsys.readouterr().err == ""


def test_progress_writes_nothing_to_the_standard_output(capsys):
    progress = Progress(100)
    progress.say("compiled")
    progress.advance(50, {"steps": 50, "steps_per_second": 1.0})
    progress.close()
    assert capsys.readouterr().out == ""
