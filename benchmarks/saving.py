"""What saving costs a run: the pause of a checkpoint, and its share of the time at the default interval.

    python -m benchmarks.saving                          # PPO, and DQN with a buffer of a million transitions

Each subject is trained by the driver, in a process and a folder of its own, for a minute or so. Every checkpoint is
timed, its sync to the disk included, and so is the training. `share` is the part of the training's time that the saves
took; a run of less than a minute saves more often than every 30 seconds, at its forty points.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import save, spread

#: What is trained: id, hyperparameters, steps.
SHAPES = {
    "ppo": ("ppo", "CartPole-v1", {}, 20_000_000),
    "ppo, brief": ("ppo", "CartPole-v1", {}, 1_000_000),
    "dqn, a million transitions": (
        "dqn", "CartPole-v1", {"capacity": 1_048_576, "num_envs": 64, "num_steps": 8, "gradient_steps": 16}, 4_000_000,
    ),
}  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--steps", type=float, help="of each run, instead of its own number")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--name", default="saving", help="of the file in benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.serve:
        return print(json.dumps(measure(options.serve, options.steps)))
    rows = []
    for subject in options.subjects:
        command = [sys.executable, "-m", "benchmarks.saving", "--serve", subject]
        command += ["--steps", str(options.steps)] if options.steps else []
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    return save(options.name, rows)


def measure(subject, steps=None):
    """A row of one subject."""
    from train.presets import ALGORITHMS
    from train.runs import checkpoint, run
    from train.runs.plan import Plan

    name, id, shape, usual = SHAPES[subject]
    plan = Plan(
        algorithm=name, env=id, constants={}, training={}, curve_as_trained=False,
        config=ALGORITHMS[name].Config(**shape), total_steps=int(steps or usual), seed=0,
    )  # fmt: skip
    pauses, began = [], []
    saved, wait = checkpoint.save, run.Programs.wait

    def timed(path, *args, **kwargs):
        start = time.perf_counter()
        saved(path, *args, **kwargs)
        pauses.append(time.perf_counter() - start)

    def compiled(programs):
        wait(programs)
        # The first checkpoint, of the initial state, is not part of the training.
        pauses.clear()
        began.append(time.perf_counter())

    checkpoint.save = timed
    setattr(run.Programs, "wait", compiled)  # noqa: B010
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "run"
        assert run.begin(plan, path, quiet=True)
        seconds = time.perf_counter() - began[0]
        size = (path / "state.npz").stat().st_size
    return {
        "subject": subject, "id": id, "steps": plan.total_steps, "checkpoint_bytes": size, "seconds": round(seconds, 2),
        "saves": len(pauses), "pause_seconds": spread(pauses, 4), "share": round(sum(pauses) / seconds, 5),
    }  # fmt: skip


if __name__ == "__main__":
    main()
