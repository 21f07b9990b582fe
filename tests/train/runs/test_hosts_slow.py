"""Two processes of two devices each train one run, lose one of them, and resume with another number of processes."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[3]
# Each algorithm is trained for 24 updates, with a point of the curve after each.
TRAIN = {
    "ppo": [
        "ppo", "--env", "CartPole-v1", "--num-envs", "16", "--num-steps", "32", "--minibatches", "2", "--hidden",
        "16,16", "--learning-rate", "3e-3", "--total-steps", "12_288",
    ],
    "dqn": [
        "dqn", "--env", "CartPole-v1", "--num-envs", "16", "--num-steps", "16", "--gradient-steps", "8", "--batch-size",
        "128", "--capacity", "4096", "--learning-starts", "512", "--hidden", "16,16", "--total-steps", "6_656",
    ],
}  # fmt: skip
# A checkpoint at each point, so that a run resumes from where it was.
QUICK = ["--film-episodes", "0", "--episodes", "64", "--save-every", "1e-9"]
# Seconds that a process may take after another was killed.
ENDS_WITHIN = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def launch(tmp_path, compiled):
    """A function that starts processes of one command: its arguments, and the name of the file of its output."""
    started = []

    def one(arguments, output):
        environment = {
            **os.environ, "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3", "JAX_PLATFORMS": "cpu",
        }  # fmt: skip
        command = [sys.executable, "-m", "train", *map(str, arguments)]
        with open(tmp_path / f"{output}.txt", "w") as file:
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def pair(launch):
    """A function that starts a command in two processes; their outputs are `NAME-0.txt` and `NAME-1.txt`."""

    def two(arguments, name):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        where = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes", "2", "--devices", "2"]
        return [launch([*arguments, *where, "--process-id", index], f"{name}-{index}") for index in range(2)]

    return two


def figures(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def said(tmp_path, name):
    return (tmp_path / f"{name}.txt").read_text()


def kill(processes, lost, folder, rows, tmp_path, name):
    """Kills a process once it has written that number of rows: the other says it, and ends within a minute."""
    other = processes[1 - lost]
    while len(figures(folder)) < rows and all(process.poll() is None for process in processes):
        time.sleep(0.02)
    assert [process.poll() for process in processes] == [None, None], said(tmp_path, f"{name}-0")
    processes[lost].send_signal(signal.SIGKILL)
    assert processes[lost].wait(ENDS_WITHIN) == -signal.SIGKILL
    status = other.wait(ENDS_WITHIN)
    message = f"error: process {lost} of this run has ended, so process {1 - lost} ends too; checkpoints are kept"
    assert message in said(tmp_path, f"{name}-{1 - lost}")
    assert status == 1


def require_alike(ours, theirs, compared):
    """Two runs have rows at the same steps, and in the first of them the same figures, to rounding."""
    assert [row["steps"] for row in ours] == [row["steps"] for row in theirs]
    for mine, other in zip(ours[:compared], theirs[:compared], strict=True):
        for name in mine.keys() - {"steps_per_second"}:
            assert mine[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("name, lost, compared", [("ppo", (1, 0), 13), ("dqn", (0,), 25)])
def test_two_processes_learn_what_one_learns_and_each_may_be_lost(name, lost, compared, tmp_path, launch, pair):
    alone = launch([*TRAIN[name], *QUICK, "--devices", "4", "--out", tmp_path / "alone"], "alone")
    assert alone.wait(600) == 0, said(tmp_path, "alone")

    folder = tmp_path / "run"
    command = [*TRAIN[name], *QUICK, "--out", folder]
    for part, process in enumerate(lost):
        kill(pair(command, f"part{part}"), process, folder, 6 * (part + 1), tmp_path, f"part{part}")
        assert "devices: 4 of 2 processes\n" in said(tmp_path, f"part{part}-0")
        command = ["resume", folder, *QUICK]

    # One process with two devices resumes the run of two with four.
    resumed = launch([*command, "--devices", "2"], "resumed")
    assert resumed.wait(600) == 0, said(tmp_path, "resumed")
    assert "devices was 4 and is 2" in said(tmp_path, "resumed")
    require_alike(figures(folder), figures(tmp_path / "alone"), compared)
    if name == "ppo":
        assert max(row["eval_mean"] for row in figures(folder)) > 150
