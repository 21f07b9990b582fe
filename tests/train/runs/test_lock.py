"""One process trains in a folder at a time, and processes that start together choose different folders."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from train.runs.lock import LOCK, locked
from train.runs.plan import RunError, claim, free_folder


def test_a_folder_is_locked_for_others_until_its_process_ends(tmp_path):
    with locked(tmp_path), pytest.raises(RunError, match=f"is already being trained by process {os.getpid()} "):
        run_in_child(tmp_path)
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def run_in_child(folder):
    """Takes the lock in another process; raises what that raised."""
    code = f"from train.runs.lock import locked\nwith locked({str(folder)!r}): pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RunError(done.stderr.splitlines()[-1])


def test_a_lock_does_not_outlive_a_process_that_was_killed(tmp_path):
    code = (
        "import os, signal\nfrom train.runs.lock import locked\n"
        f"with locked({str(tmp_path)!r}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"{os.getpid()} (started at ")
    assert not (tmp_path / LOCK).exists()


def chosen(root):
    return str(free_folder("run", root))


def test_processes_that_start_together_get_folders_of_their_own(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.map(chosen, [tmp_path] * 8)
    assert sorted(folders) == [str(tmp_path / f"run-{number}") for number in range(1, 9)]


def test_a_folder_with_nothing_but_remains_of_a_first_save_is_free(tmp_path):
    (tmp_path / ".config.json.12345").write_text("{")
    claim(tmp_path)
