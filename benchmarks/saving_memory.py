"""The most memory that training, saving and resuming take, for a run whose replay buffer takes a gigabyte.

    python -m benchmarks.saving_memory                   # DQN, on one and on two devices, some three minutes
    python -m benchmarks.saving_memory --devices 1 --capacity 1048576

A run of a few updates saves its state at its beginning and at its end; then it is resumed and prolonged, which loads
and saves the state. Each is a process of its own, and is done again with a small buffer. `peak_bytes` is the most
resident memory of the process, and `small_peak_bytes` that with the small buffer. `copies` is their difference divided
by the difference of the states: 1 where the buffer is held once, 2 where it is held twice. Compiling takes memory too,
at another time, so `loading_bytes` and `saving_bytes` say by how much the resident memory grew at most within these:
loading takes the state, and what it holds besides. A few megabytes are noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import save
from benchmarks.memory import note, peak

#: Transitions of the small buffer, and hyperparameters of all runs; a transition of CartPole takes 45 bytes.
SMALL = 65_536
SHAPE = {"num_envs": 64, "num_steps": 8, "gradient_steps": 4, "batch_size": 64, "hidden": (16,)}
#: Updates of the run that is trained, and of the one that is resumed.
UPDATES = 4, 8


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--capacity", type=int, default=24 << 20, help="transitions of the large buffer")
    parser.add_argument("--name", default="saving_memory", help="of the file in benchmarks/results/")
    parser.add_argument("--serve", nargs=4, metavar=("ACTION", "FOLDER", "CAPACITY", "DEVICES"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        action, folder, capacity, devices = options.serve
        return print(json.dumps(measure(action, Path(folder), int(capacity), int(devices))))
    rows = []
    for devices in options.devices:
        small, large = measured(SMALL, devices), measured(options.capacity, devices)
        for action, found in large.items():
            rows.append(row(action, devices, small[action], found))
            print(rows[-1], flush=True)
    return save(options.name, rows)


def measured(capacity, devices):
    """{"train", "resume": {"peak_bytes", "state_bytes"}} of one buffer, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory(dir=".") as place:
        for action in ("train", "resume"):
            command = [sys.executable, "-m", "benchmarks.saving_memory", "--serve", action, str(Path(place) / "run")]
            command += [str(capacity), str(devices)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[action] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(action, devices, small, large):
    more = large["peak_bytes"] - small["peak_bytes"]
    return {
        "subject": f"dqn, {action}", "devices": devices, "state_bytes": large["state_bytes"],
        "peak_bytes": large["peak_bytes"], "small_peak_bytes": small["peak_bytes"],
        "copies": round(more / (large["state_bytes"] - small["state_bytes"]), 3),
        **{name: large[name] for name in ("loading_bytes", "saving_bytes") if name in large},
    }  # fmt: skip


class Growth:
    """By how much the resident memory grows within functions, at most; and the most of the process."""

    def __init__(self):
        self.peak, self.found = 0, {}

    def of(self, name, module, function):
        """Replaces a module's function by one whose growth is noted as `name`."""
        original = getattr(module, function)

        def watched(*args, **kwargs):
            self.peak = max(self.peak, peak())
            before = note()
            result = original(*args, **kwargs)
            self.found[name] = max(self.found.get(name, 0), peak() - before)
            return result

        setattr(module, function, watched)


def measure(action, folder, capacity, devices):
    """The most memory of this process, which trains or resumes, and the size of the checkpoint."""
    from train import dqn
    from train.runs import checkpoint, run
    from train.runs.compiling import request_cpu_devices
    from train.runs.plan import Plan

    request_cpu_devices(devices)
    growth = Growth()
    growth.of("saving_bytes", checkpoint, "save")
    config = dqn.Config(**SHAPE, capacity=capacity)
    steps = [dqn.warmup_steps(config) + count * dqn.steps_per_update(config) for count in UPDATES]
    if action == "train":
        plan = Plan(
            algorithm="dqn", env="CartPole-v1", constants={}, training={}, curve_as_trained=False, config=config,
            total_steps=steps[0], seed=0,
        )  # fmt: skip
        assert run.begin(plan, folder, quiet=True, devices=devices, keep=1)
    else:
        growth.of("loading_bytes", checkpoint, "load")
        assert run.resume(folder, quiet=True, devices=devices, keep=1, total_steps=steps[1])
    size = (folder / "state.npz").stat().st_size
    return {"peak_bytes": max(growth.peak, peak()), "state_bytes": size, **growth.found}


if __name__ == "__main__":
    main()
