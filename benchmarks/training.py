"""How many steps a second PPO trains, and how long the presets take to learn.

    python -m benchmarks.training                       # steps/s at 256 envs x 128 steps, 2x64 networks
    python -m benchmarks.training --ids CartPole-v1 --rejax PYTHON --purejaxrl FOLDER --name training_peers
    python -m benchmarks.training --learn --seeds 0     # full runs of the presets, with what they reached
    python -m benchmarks.training --learn --seeds 1 2 3 4 --jobs 2          # more seeds, one core each
    python -m benchmarks.training --learn --algorithm dqn --preset few-steps --ids CartPole-v1

The first counts playing, advantages and 4 epochs x 4 minibatches; compilation is timed apart. Each subject has a
process of its own, and they take turns: ours as `python -m train` runs it, on one core, on one device with XLA's
threads, and on a device a core; a product of matrices, as the limit; and CartPole by those who did it before, on one
core and with XLA's threads. rejax and purejaxrl run with PYTHON, whose environment has rejax; FOLDER is a copy of
purejaxrl's repository. `--learn` runs `python -m train ALGORITHM --env ID` in a separate process, and reads the end of
its learning curve and its last evaluation.
"""

import argparse
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

import jaxenvs
from benchmarks.common import save, save_into, spread, take_turns
from benchmarks.peers.serving import serve
from jaxenvs.devices import num_cores
from train import ppo
from train.floor.sharding import mesh_of
from train.presets import ALGORITHMS
from train.runs import run
from train.runs.compiling import request_cpu_devices
from train.runs.log import read_rows
from train.runs.plan import KEYS, Plan

UPDATES = 6
SHAPE = {"num_envs": 256, "num_steps": 128, "epochs": 4, "minibatches": 4, "hidden": (64, 64)}
SIDE = 2048
#: Of CartPole's two networks: once forward to act, and in 4 epochs once forward and twice that backward.
FLOP_A_STEP = 231e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--rejax", metavar="PYTHON", help="a Python whose environment has rejax: measures it beside ours"
    )
    parser.add_argument("--purejaxrl", metavar="FOLDER", help="a copy of its repository; needs --rejax too")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--learn", action="store_true", help="full runs of the presets instead of steps/s")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="of the full runs")
    parser.add_argument("--jobs", type=int, default=1, help="full runs at a time")
    parser.add_argument("--algorithm", choices=list(ALGORITHMS), default="ppo", help="of the full runs")
    parser.add_argument("--preset", help="another preset for the full runs than the usual one")
    parser.add_argument("--keys", choices=list(KEYS), default="ordinary", help="random numbers of the full runs")
    parser.add_argument("--keep", type=Path, help="a folder that keeps the runs, for benchmarks.transfer")
    parser.add_argument("--name", default="training", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    if options.purejaxrl and not options.rejax:
        parser.error("--purejaxrl needs --rejax PYTHON, whose environment has gymnax")
    if options.serve:
        serve_ours(options.serve[0], int(options.serve[1]))
    elif options.learn:
        how = {"algorithm": options.algorithm, "preset": options.preset, "keys": options.keys}
        learn_all(options.ids, options.seeds, options.jobs, options.keep, **how)
    else:
        save(options.name, measure_all(options.ids, options.runs, options.rejax, options.purejaxrl))


def measure_all(ids, runs, rejax, purejaxrl):
    """Rows for the subjects, which take turns; the first call of each is not counted."""
    rows = []
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = {"cores": cores[:1]}
    ours = [sys.executable, "-m", "benchmarks.training", "--serve"]
    for id in ids:
        subjects = {
            "one core": Subject([*ours, id, "1"], **pinned),
            "one device, XLA's threads": Subject([*ours, id, "1"]),
            f"{num_cores()} devices": Subject([*ours, id, str(num_cores())]),
            "matrix product": Subject([*ours, "matmul", "1"]),
        }
        if id == "CartPole-v1" and rejax:
            peers = {"rejax": [rejax, "-m", "benchmarks.peers.training_rejax", str(UPDATES)]}
            if purejaxrl:
                peers["purejaxrl"] = [rejax, "-m", "benchmarks.peers.training_purejaxrl", str(UPDATES), purejaxrl]
            for name, command in peers.items():
                subjects |= {
                    f"{name}, one core": Subject(command, **pinned),
                    f"{name}, XLA's threads": Subject(command),
                }
        rows += rows_of(id, subjects, runs)
    return rows


class Subject:
    """A process that runs once for each line it is sent (`benchmarks.peers.serving`)."""

    def __init__(self, command, cores=()):
        pin = functools.partial(os.sched_setaffinity, 0, cores) if cores else None
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin,
            env={**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"},
        )  # fmt: skip
        self.about = json.loads(self._line())

    def run(self):
        """Seconds of one run."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self):
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self):
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a subject ended with status {self._process.wait()}: {self._process.args}")
        return line


def rows_of(id, subjects, runs):
    """A row for each subject, with the spread of its steps a second."""
    seconds = take_turns({name: subject.run for name, subject in subjects.items()}, runs)
    rows = []
    for name, subject in subjects.items():
        subject.close()
        rates = spread([subject.about["steps"] / s for s in seconds[name]])
        print(
            f"{id:16} {name:28} {rates['median'] / 1e3:6.0f}k steps/s ({rates['min'] / 1e3:.0f} to "
            f"{rates['max'] / 1e3:.0f})  compilation {subject.about['compile_s']:.2f} s",
            flush=True,
        )
        rows.append({"id": id, "subject": name, **SHAPE, **subject.about, "steps_per_second": rates})
    return rows


def serve_ours(id, count):
    """Ours as a subject: UPDATES updates by the programs of `python -m train`, or as many flops of a matrix product."""
    from train.runs.programs import Programs

    if id == "matmul":
        return serve_matmul()
    request_cpu_devices(count)
    plan = Plan(
        algorithm="ppo", env=id, constants={}, training={}, curve_as_trained=False, config=ppo.Config(**SHAPE),
        total_steps=40 * UPDATES * 32768, seed=0,
    )  # fmt: skip
    began = time.perf_counter()
    programs = Programs(plan, mesh_of(count))
    programs.wait()
    compiled = time.perf_counter() - began
    state = [programs.placed(programs.begin())]

    def run():
        # `advance` uses up the state that it is given.
        state[0], _ = jax.block_until_ready(programs.advance(state[0], UPDATES))

    serve(run, steps=UPDATES * plan.steps_per_update, compile_s=compiled, jax=jax.__version__)


def serve_matmul():
    """The steps that the machine's float32 matrix product would make, if PPO were nothing else."""
    a = jax.random.normal(jax.random.key(0), (SIDE, SIDE)) / SIDE**0.5
    began = time.perf_counter()
    product = jax.jit(lambda a: jax.lax.fori_loop(0, UPDATES, lambda _, x: x @ a, a)).lower(a).compile()
    compiled = time.perf_counter() - began
    flop = 2.0 * UPDATES * SIDE**3
    serve(lambda: jax.block_until_ready(product(a)), steps=flop / FLOP_A_STEP, flop=flop, compile_s=compiled)


def learn_all(ids, seeds, jobs, keep, **how):
    """Full runs, `jobs` at a time with a share of the cores each; rows of the same id and seed are replaced."""
    usual = {"algorithm": "ppo", "preset": None, "keys": "ordinary"}
    parts = ["learning", *(value for option, value in how.items() if value != usual[option])]
    name = "_".join(parts).replace("-", "_")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    shares = queue.SimpleQueue()
    for job in range(jobs):
        shares.put(cores[job::jobs])

    def one(pair):
        share = shares.get()
        try:
            return learn(pair[0], pair[1], share, keep, **how)
        finally:
            shares.put(share)

    with ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(one, [(id, seed) for id in ids for seed in seeds]):
            save_into(name, [row], ("id", "seed"), any_machine=True)


def learn(id, seed, cores, keep, *, algorithm, preset, keys):
    """A full run of the preset, in a separate process that may use some of the cores."""
    chosen = ["--preset", preset] if preset else []
    with tempfile.TemporaryDirectory() as folder:
        out = (Path(keep) if keep else Path(folder)) / f"{id}-{seed}"
        command = [algorithm, "--env", id, *chosen, "--seed", str(seed), "--out", str(out), "--quiet", "--keys", keys]
        pin = functools.partial(os.sched_setaffinity, 0, cores) if hasattr(os, "sched_setaffinity") else None
        began = time.time()
        subprocess.run([sys.executable, "-m", "train", *command], check=True, stdout=subprocess.DEVNULL, preexec_fn=pin)
        seconds, seconds_trained = time.time() - began, (out / "metrics.jsonl").stat().st_mtime - began
        evaluation = json.loads((out / "evaluation.json").read_text())
        last = read_rows(out / "metrics.jsonl")[-1]
        share, gradient_steps = reached(out), gradient_steps_of(out)
    row = {
        "id": id,
        "seed": seed,
        # From the start of the process: to its end, with evaluation, curve and film, and to the end of training.
        "seconds": round(seconds, 1),
        "seconds_trained": round(seconds_trained, 1),
        "cores": len(cores),
        "steps": last["steps"],
        "gradient_steps": gradient_steps,
        "curve_last": last["eval_mean"],
        **{name: evaluation[name] for name in ("mean", "standard_error", "episodes")},
        **share,
    }
    print(row, flush=True)
    return row


def gradient_steps_of(folder):
    """How many gradient steps a run made."""
    plan, state = run.read(folder)
    config = plan.config
    each = config.gradient_steps if hasattr(config, "gradient_steps") else config.epochs * config.minibatches
    return int(state.updates) * each


#: What share of the last observations says that an episode went well, where the return alone does not.
REACHED = {
    "RocketLanding-v0": ("landed", lambda obs: obs[:, 8] == 1),
    "SimpleRocket-v0": ("within_0.1", lambda obs: abs(obs[:, 0]) <= 0.1),
}


def reached(folder):
    """{name: share of the episodes} for the ids above, over 4096 episodes."""
    plan, state = run.read(folder)
    if plan.env not in REACHED:
        return {}
    name, well = REACHED[plan.env]
    episodes, _ = run.evaluate_run(plan, state, episodes=4096, seed=2)
    return {name: float(well(np.asarray(episodes.final_obs)).mean())}


if __name__ == "__main__":
    main()
