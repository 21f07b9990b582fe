"""Output that cannot be written costs the output and nothing else."""

import io
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from train import output
from train.runs import compiling
from train.runs.log import Log, Progress

ROOT = Path(__file__).parents[2]
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")


class Broken(io.StringIO):
    def write(self, *_):
        raise OSError(28, "No space left on device")

    flush = isatty = write


def broken(_=None):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Broken(), "closed"], ids=["none", "full", "closed"])
def test_a_progress_display_that_cannot_be_shown_fails_nothing(monkeypatch, stream):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(100)
    progress.say("compiled")
    progress.advance(50, {"steps": 50, "steps_per_second": 10.0})
    progress.close()


def test_messages_that_cannot_be_shown_fail_nothing_and_the_stream_is_put_back(monkeypatch):
    stream = Broken()
    monkeypatch.setattr(sys, "stderr", stream)
    with output.unbreakable_stderr():
        print("a warning", file=sys.stderr)
    assert sys.stderr is stream


def test_what_can_be_shown_is_shown():
    stream = io.StringIO()
    shown = output.Unbreakable(stream)
    assert shown.write("seen") == 4 and stream.getvalue() == "seen" and not shown.isatty()


def ran(code, **streams):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, **streams)


@FULL
def test_a_full_standard_error_leaves_the_exit_status_as_it_is():
    code = "import sys; from train import output\nwith output.unbreakable_stderr(): print('x', file=sys.stderr)"
    with open("/dev/full", "w") as full:
        assert ran(code, stderr=full, stdout=subprocess.PIPE).returncode == 0


@FULL
def test_a_full_standard_output_is_one_sentence():
    code = "import sys; from train import output\ntry: output.show('x')\nexcept OSError as e: print(e, file=sys.stderr)"
    with open("/dev/full", "w") as full:
        done = ran(code, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stderr == "[Errno 28] the standard output: No space left on device\n"


def test_a_closed_standard_output_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="the standard output is closed"):
        output.show("x")


def test_events_that_cannot_be_written_are_a_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tensorboardX.SummaryWriter", broken)
    log = Log(tmp_path)
    log.write({"steps": 1, "return_mean": 2.0})
    log.close()
    assert capsys.readouterr().err.count("TensorBoard's events were not written") == 1
    assert (tmp_path / "metrics.jsonl").read_text() == '{"steps": 1, "return_mean": 2.0}\n'


def test_a_user_without_a_home_has_no_cache(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(jax.config, "update", lambda *_: pytest.fail("a cache was chosen"))
    monkeypatch.setattr(type(jax.config), "jax_compilation_cache_dir", None, raising=False)
    compiling.use_compilation_cache()
