"""Two processes of two devices each train one run, lose one of them, and go on with another number of processes."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]
SIZES = ["--num-envs", "16", "--num-steps", "32", "--minibatches", "2", "--hidden", "16,16"]
TRAIN = ["ppo", "--env", "CartPole-v1", *SIZES, "--total-steps", "12_288", "--learning-rate", "3e-3"]
QUICK = ["--film-episodes", "0", "--episodes", "64"]
# Seconds that a process may take after another was killed.
ENDS_WITHIN = 60

pytestmark = pytest.mark.slow


def started(arguments, compiled, folder):
    environment = {
        **os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
        "JAX_PLATFORMS": "cpu",
    }  # fmt: skip
    with open(folder, "w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "train", *map(str, arguments)], cwd=ROOT, env=environment, stdout=said, stderr=said
        )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def figures(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_two_processes_learn_what_one_learns_and_survive_the_loss_of_one(tmp_path, compiled):
    alone = started([*TRAIN, *QUICK, "--devices", "4", "--out", tmp_path / "alone"], compiled, tmp_path / "alone.txt")
    assert alone.wait(600) == 0, (tmp_path / "alone.txt").read_text()

    folder, where = tmp_path / "run", ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", "2"]
    said = [tmp_path / f"{index}.txt" for index in range(2)]
    both = [
        started(
            [*TRAIN, *QUICK, "--devices", "2", "--out", folder, "--distributed", *where, "--process-id", index],
            compiled, said[index],
        )
        for index in range(2)
    ]  # fmt: skip
    while len(figures(folder)) < 8 and both[0].poll() is None:
        time.sleep(0.05)
    assert both[0].poll() is None, said[0].read_text()
    both[1].send_signal(signal.SIGKILL)
    assert both[1].wait(ENDS_WITHIN) == -signal.SIGKILL
    assert both[0].wait(ENDS_WITHIN) == 1
    assert "error: process 1 of this run has ended, so process 0 ends as well; what was saved is kept" in (
        said[0].read_text()
    )
    assert re.search(r"devices: 4 of 2 processes\n", said[0].read_text())

    # One process with two devices continues the run of two with four.
    resumed = started(["resume", folder, *QUICK, "--devices", "2"], compiled, tmp_path / "resumed.txt")
    assert resumed.wait(600) == 0, (tmp_path / "resumed.txt").read_text()
    assert "devices was 4 and is 2" in (tmp_path / "resumed.txt").read_text()

    ours, theirs = figures(folder), figures(tmp_path / "alone")
    assert [row["steps"] for row in ours] == [row["steps"] for row in theirs]
    for mine, other in zip(ours[:4], theirs[:4], strict=True):
        for name in mine.keys() - {"steps_per_second"}:
            assert mine[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), name
    assert max(row["eval_mean"] for row in ours) > 150
