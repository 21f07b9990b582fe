"""Runs that are killed at random moments, saves included, and resumed: whether each ends bit for bit as without.

    python -m benchmarks.kills                          # 100 kills, 20 for each algorithm
    python -m benchmarks.kills --algorithms ppo --kills 3

For each algorithm a short run is trained twice with one seed: once without a fault, and once with `kill -9`, each time
resumed by another process. One half of the kills come from outside, at a random moment after the process has started
to train; the others come at the n-th passing, n random, of a point of saving or logging: within the writing of an
array, before and after the sync of a file, before and after it gets its name, before, within and after the writing of a
row of figures. At the end every array of the newest and of the best checkpoint is compared, and every row but for its
steps per second.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from benchmarks.common import save
from train.presets import ALGORITHMS
from train.runs import checkpoint, log, run
from train.runs.compiling import use_compilation_cache
from train.runs.plan import Plan

_REPLAY = {
    "num_envs": 4, "num_steps": 4, "gradient_steps": 2, "batch_size": 16, "capacity": 4096, "hidden": (8,),
    "learning_starts": 64,
}  # fmt: skip
_BATCH = {"num_envs": 4, "num_steps": 8, "minibatches": 1, "hidden": (8,)}
#: What is trained, and for how many updates; there are figures and a checkpoint after each.
SHAPES = {
    "ppo": ("FiveChoices-v0", {**_BATCH, "segment": 8}),
    "dqn": ("FiveChoices-v0", _REPLAY),
    "pqn": ("FiveChoices-v0", _BATCH),
    "td3": ("Pendulum-v1", _REPLAY),
    "sac": ("Pendulum-v1", _REPLAY),
}
UPDATES = 30
#: Where a process kills itself, besides the kills from outside.
POINTS = ("write", "before fsync", "after fsync", "before replace", "after replace", "before row", "row", "after row")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--kills", type=int, default=20, help="of each algorithm")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--name", default="kills", help="of the file in benchmarks/results/")
    options = parser.parse_args(arguments)
    results = []
    for name in options.algorithms:
        row = killed(name, options.kills, random.Random(f"{options.seed} {name}"))
        print(row, flush=True)
        results.append(row)
    save(options.name, results)


def killed(name, kills, rng):
    """A row: what came of a run that was killed so many times."""
    began, found = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as place:
        reference, folder = Path(place) / "reference", Path(place) / "killed"
        assert start(name, reference).wait() == 0
        while len(found) < kills:
            point = rng.choice(POINTS) if rng.random() < 0.5 else "outside"
            process = start(name, folder, point, rng.randint(1, 8))
            if point == "outside":
                outside(process, folder, rng)
            status = process.wait()
            if status == -signal.SIGKILL:
                found.append(point)
                print(f"{name}: kill {len(found)}, {point}", flush=True)
            elif status:
                raise RuntimeError(f"{name} ended with {status} after {found}")
            else:
                # It came to its end before its moment: that run is compared, and another one begins.
                compare(reference, folder)
                for path in sorted(folder.iterdir()):
                    path.unlink()
        assert start(name, folder).wait() == 0
        compare(reference, folder)
    at_points = sum(point != "outside" for point in found)
    return {
        "algorithm": name, "id": SHAPES[name][0], "kills": len(found), "at_points_of_saving": at_points,
        "from_outside": len(found) - at_points, "bit_for_bit": True, "seconds": round(time.perf_counter() - began),
    }  # fmt: skip


class Fork:
    """A copy of this process, which has imported everything and computed nothing; `function()` is its exit status."""

    def __init__(self, function):
        self._status = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                status = function()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)

    def poll(self, options=os.WNOHANG):
        """The exit status, minus the number of the signal that ended it; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def wait(self):
        return self.poll(0)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def start(name, folder, point="none", number=0):
    """A process that begins the run, or resumes it if there is one."""
    return Fork(lambda: child(name, folder, point, number))


def outside(process, folder, rng):
    """Kills a process at a random moment after it has started to train."""
    before = _sizes(folder)
    while process.poll() is None and _sizes(folder) == before:
        time.sleep(0.01)
    time.sleep(rng.uniform(0.0, 0.5))
    process.kill()


def _sizes(folder):
    """When the run's files changed last: they do once it trains."""
    return [(path.name, path.stat().st_mtime_ns) for path in (folder / "metrics.jsonl",) if path.exists()]


def compare(reference, folder):
    """Asserts that two runs ended alike."""
    for name in ("state.npz", "best.npz"):
        with np.load(reference / name) as one, np.load(folder / name) as other:
            assert set(one.files) == set(other.files)
            for array in set(one.files) - {"about"}:
                assert one[array].tobytes() == other[array].tobytes(), f"{name}: {array} differs"
    assert rows(reference) == rows(folder)


def rows(folder):
    """The figures of a run, without the speed of the machine."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "steps_per_second"} for row in found]


def child(name, folder, point, number):
    """Trains, and kills itself at the n-th passing of a point."""
    use_compilation_cache()
    arm(point, number)
    if (folder / "config.json").exists():
        ended = run.resume(folder, quiet=True)
    else:
        algorithm, (id, shape) = ALGORITHMS[name], SHAPES[name]
        config = algorithm.Config(**shape)
        steps = algorithm.warmup_steps(config) + UPDATES * algorithm.steps_per_update(config)
        plan = Plan(
            algorithm=name, env=id, constants={}, training={}, curve_as_trained=False, config=config,
            total_steps=steps, seed=3,
        )  # fmt: skip
        ended = run.begin(plan, folder, quiet=True)
    return 0 if ended else 1


def arm(point, number):
    """Has this process kill itself at the n-th passing of a point of `POINTS`."""
    passed = [0]

    def hit():
        passed[0] += 1
        if passed[0] >= number:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(module, name, before, after):
        function = getattr(module, name)

        def wrapped(*args, **kwargs):
            before()
            result = function(*args, **kwargs)
            after()
            return result

        setattr(module, name, wrapped)

    def half(self, row):
        text = json.dumps(row)
        self._file.write(text[: len(text) // 2])
        self._file.flush()

    nothing = lambda: None  # noqa: E731
    when, _, what = point.rpartition(" ")
    edges = (hit, nothing) if when == "before" else (nothing, hit)
    if what in ("fsync", "replace"):
        wrap(os, what, *edges)
    elif point == "write":
        wrap(checkpoint, "_write", nothing, hit)
    elif point == "row":
        write = log.Log.write

        def torn(self, row):
            if passed[0] + 1 >= number:
                half(self, row)
            hit()
            write(self, row)

        log.Log.write = torn
    elif what == "row":
        wrap(log.Log, "write", *edges)


if __name__ == "__main__":
    sys.exit(main())
