"""How much memory a rollout and PPO take: against the number of environments, and against their length.

    python -m benchmarks.memory                          # rollouts and PPO, some two minutes
    python -m benchmarks.memory --only rollout --ids RocketLanding-v0 --runs 1

Each point is a separate process, repeated several times. It compiles, gives freed memory back to the system, and notes
its resident memory; then it starts the environments, runs, and notes the peak that the kernel kept since: `bytes` is
the difference, so that neither Python nor JAX, XLA and its programs are part of it. `bytes_per_env` is that divided by
the number of environments, and `state_bytes_per_env` is what their states and observations take by themselves. A few
megabytes come from the C library's pools, one for each thread, which a long loop fills slowly: with MALLOC_ARENA_MAX=1,
40,000 steps of 4096 CartPoles took 1 MiB. What is below one is noise.

The subjects:

- "rollout, nothing kept": `jaxenvs.rollout(..., collect=lambda *_: None)`; it must not grow with its length but
  for the index that the scan counts by, 4 bytes a step.
- "rollout, everything kept": the default of `collect`, beside it.
- "ppo", of the first id: updates in a loop on the device as `train/runs/programs.py` makes them, the metrics added up;
  the length is their number. It must not grow with that either.

Rows go into `results/memory.json`, instead of those of the same subject, id, number of environments and length.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import save_into, spread

KEY = ("subject", "id", "num_envs", "length")
NOTHING, EVERYTHING, PPO = "rollout, nothing kept", "rollout, everything kept", "ppo"
SIZES = (1024, 4096, 16384, 65536, 262144)
LENGTHS = (100, 1000, 10_000, 100_000)
#: Environments of the points whose length varies, and of PPO's, with its steps an update.
WIDTH = 4096
PPO_SHAPE = {"num_envs": 64, "num_steps": 32}
UPDATES = (10, 50, 250)


class Point(NamedTuple):
    subject: str
    id: str
    num_envs: int
    length: int


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=["CartPole-v1", "HeartPole-v0"])
    parser.add_argument("--only", choices=["rollout", "ppo"], help="instead of both")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="points at a time")
    parser.add_argument("--name", default="memory", help="of the file in benchmarks/results/")
    parser.add_argument("--point", nargs=4, metavar=("SUBJECT", "ID", "ENVS", "LENGTH"), help="one, in this process")
    options = parser.parse_args(arguments)
    if options.point:
        subject, id, num_envs, length = options.point
        print(json.dumps(measure_here(Point(subject, id, int(num_envs), int(length)))))
        return
    began = time.perf_counter()
    measure_all(points(options.ids, options.only), options.runs, options.jobs, options.name)
    print(f"{time.perf_counter() - began:.0f} s: benchmarks/results/{options.name}.json")


def points(ids, only=None):
    """What is measured, without repetition: a list of `Point`."""
    found = []
    for id in ids if only != "ppo" else ():
        found += [Point(NOTHING, id, size, LENGTHS[0]) for size in SIZES]
        found += [Point(NOTHING, id, WIDTH, length) for length in LENGTHS]
        found += [Point(EVERYTHING, id, WIDTH, length) for length in LENGTHS[:2]]
    if only != "rollout":
        found += [Point(PPO, ids[0], PPO_SHAPE["num_envs"], updates) for updates in UPDATES]
    return list(dict.fromkeys(found))


def measure_all(points, runs, jobs, name):
    """Measures points, each `runs` times, several at a time, and saves each as soon as its runs are done."""
    with ThreadPoolExecutor(jobs) as pool:
        measured = [[pool.submit(measure_apart, point) for _ in range(runs)] for point in points]
        for point, futures in zip(points, measured):
            line = row(point, [future.result() for future in futures])
            print(row_text(line), flush=True)
            save_into(name, [line], KEY)


def measure_apart(point):
    """`measure_here` in a separate process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--point", *map(str, point)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{point} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def row(point, found):
    bytes = spread([each["bytes"] for each in found], digits=0)
    return {
        **point._asdict(),
        "bytes": bytes,
        "before_bytes": spread([each["before_bytes"] for each in found], digits=0),
        "bytes_per_env": round(bytes["median"] / point.num_envs, 1),
        "state_bytes_per_env": found[0]["state_bytes_per_env"],
    }


def row_text(row):
    found = row["bytes"]
    return (
        f"{row['subject']:26} {row['id']:20} N={row['num_envs']:<7} length {row['length']:<6} "
        f"{found['median'] / 2**20:8.1f} MiB ({found['min'] / 2**20:.1f} to {found['max'] / 2**20:.1f}), "
        f"{row['bytes_per_env']:.0f} bytes an environment, of which states {row['state_bytes_per_env']:.0f}"
    )


def measure_here(point):
    """{"bytes", "before_bytes", "state_bytes_per_env"} of one point, once."""
    import jax

    import jaxenvs

    if point.subject != PPO:
        jaxenvs.tune_cpu(1)
    start, run, state_bytes = (ppo_run if point.subject == PPO else rollout_run)(point)
    # The threads that compute exist before the first note.
    jax.block_until_ready(jax.jit(lambda x: (2 * x).sum())(jax.numpy.ones(1 << 18)))
    give_back()
    before = note()
    results = jax.block_until_ready(run(*start()))
    grown = peak() - before
    del results
    return {"bytes": grown, "before_bytes": before, "state_bytes_per_env": state_bytes / point.num_envs}


def rollout_run(point):
    """(start, run, bytes of the state): compiled programs, of which the second takes what the first gives."""
    import jax

    import jaxenvs

    envs = jaxenvs.make_vec(point.id, point.num_envs)
    collect = {"collect": lambda *_: None} if point.subject == NOTHING else {}

    def start(key):
        return key, *envs.reset(key)

    def run(key, state, obs):
        def policy(key, obs):
            return envs.sample_actions(key)

        return jaxenvs.rollout(envs, policy, key, state, obs, point.length, **collect)

    key = jax.random.key(0)
    shapes = jax.eval_shape(start, key)
    begin = jax.jit(start).lower(key).compile()
    return lambda: begin(key), jax.jit(run).lower(*shapes).compile(), bytes_of(shapes[1:])


def ppo_run(point):
    """As `rollout_run`; the loop is that of `train/runs/programs.py`."""
    import jax
    import jax.numpy as jnp

    import jaxenvs
    from train import ppo

    config = ppo.Config(**{**PPO_SHAPE, "num_envs": point.num_envs})
    envs = jaxenvs.make_vec(point.id, point.num_envs)

    def run(state, count):
        def one(_, carry):
            state, sums = carry
            state, metrics = ppo.update(config, envs, state)
            return state, jax.tree.map(jnp.add, sums, metrics)

        shapes = jax.eval_shape(ppo.update, config, envs, state)[1]
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return jax.lax.fori_loop(0, count, one, (state, zeros))

    key = jax.random.key(0)
    begin = jax.jit(lambda key: ppo.init(config, envs, key)).lower(key).compile()
    state = jax.eval_shape(lambda key: ppo.init(config, envs, key), key)
    return lambda: (begin(key), point.length), jax.jit(run).lower(state, 1).compile(), bytes_of(state)


def bytes_of(shapes):
    """What the arrays of a pytree take; a key counts as its two words."""
    import jax

    sizes = (leaf.size * getattr(leaf.dtype, "itemsize", 8) for leaf in jax.tree.leaves(shapes))
    return sum(sizes)


def give_back():
    """Asks the C library to give freed memory back to the system, or a run would live on what compiling freed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def note():
    """Resident bytes now; from here on `peak` counts, where the kernel lets its mark be reset (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return resident()
    except OSError:
        return peak()


def peak():
    """The most resident bytes since `note`, or of the process where that mark cannot be reset."""
    try:
        return _status("VmHWM")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def resident():
    """Resident bytes now (Linux)."""
    return _status("VmRSS")


def _status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    main()
