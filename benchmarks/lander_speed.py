"""LunarLander's steps a second beside Gymnasium's and envpool's, which step Box2D: random actions, with new episodes.

    .interop/box2d/bin/python -m pip install envpool                # the environment of make transfer
    python -m benchmarks.lander_speed --box2d .interop/box2d/bin/python

The subjects have a process each and take turns. Ours steps 8192 environments by `jaxenvs.rollout`, on one core and on
all; Gymnasium steps one environment on one core, envpool 64 for each thread.
"""

import argparse
import os
import subprocess
import sys
import time

import jax

import jaxenvs
from benchmarks.common import save, spread, take_turns
from benchmarks.peers.serving import serve
from benchmarks.stepping import our_stepper
from benchmarks.training import Subject
from jaxenvs.devices import num_cores

NUM_ENVS, NUM_STEPS = 8192, 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=["LunarLander-v3", "LunarLanderContinuous-v3"])
    parser.add_argument("--box2d", metavar="PYTHON", help="a Python that has Gymnasium with Box2D, and perhaps envpool")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--name", default="lander_speed", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    if options.serve:
        return serve_ours(options.serve[0], int(options.serve[1]))
    return save(options.name, measure(options.ids, options.box2d, options.runs))


def measure(ids, python, runs):
    """Rows of the subjects; the first call of each is not counted."""
    core = sorted(os.sched_getaffinity(0))[:1] if hasattr(os, "sched_getaffinity") else []
    ours = [sys.executable, "-m", "benchmarks.lander_speed", "--serve"]
    subjects = {}
    for id in ids:
        subjects[f"{id}, one core"] = Subject([*ours, id, "1"], cores=core)
        subjects[f"{id}, {num_cores()} devices"] = Subject([*ours, id, str(num_cores())])
    peers = {"gymnasium, one core": ("gymnasium", 1)}
    if python and not subprocess.run([python, "-c", "import envpool"], capture_output=True).returncode:
        peers |= {f"envpool, threads: {n}": ("envpool", n) for n in sorted({1, num_cores()})}
    for name, (peer, threads) in peers.items() if python else ():
        command = [python, "-m", "benchmarks.peers.lander_steps", peer, str(threads)]
        subjects[name] = Subject(command, cores=core if threads == 1 else ())
    seconds = take_turns({name: subject.run for name, subject in subjects.items()}, runs)
    rows = []
    for name, subject in subjects.items():
        subject.close()
        rates = spread([subject.about["steps"] / s for s in seconds[name]])
        print(f"{name:40} {rates['median']:10.4g} steps/s  compilation {subject.about['compile_s']:.1f} s", flush=True)
        rows.append({"subject": name, **subject.about, "steps_per_second": rates})
    return rows


def serve_ours(id, devices):
    jaxenvs.tune_cpu(devices)
    began = time.perf_counter()
    stepper = our_stepper(id, NUM_ENVS, devices, NUM_STEPS)
    took, carry = time.perf_counter() - began, [stepper.carry]

    def run():
        carry[0] = jax.block_until_ready(stepper.function(carry[0]))

    # The first steps of all episodes are alike: they fall.
    for _ in range(4):
        run()
    serve(run, steps=NUM_ENVS * NUM_STEPS, compile_s=round(took, 2), jax=jax.__version__)


if __name__ == "__main__":
    main()
