"""How many steps a second a random policy makes, autoreset and statistics included.

    python -m benchmarks.stepping                              # every id, N = 16384
    python -m benchmarks.stepping --ids HeartPole-v0 --sizes 1024 16384 --devices 1
    python -m benchmarks.stepping --all                        # every id and size, with peers: half an hour and more
    python -m benchmarks.stepping --all --missing --within 80  # as much of it as 80 seconds allow; ends with 75 if
                                                               # some is left: repeat until it ends with 0

A cell is an id and a batch size. Its subjects are measured in one process and in turn: ours with ordinary JAX keys, and
with those of `jaxenvs.random.fast`; with `--peers` gymnax where it is installed and has the id (`make interop-gymnax`
installs it apart; `.interop/gymnax/bin/python -m benchmarks.stepping` is then the command), drawing for the batch at
once and, "a key each", CartPole as its own `RolloutWrapper` draws, too; and Gymnasium in NumPy for its classic control.
Actions are drawn on the device (Gymnasium's: beforehand); each step draws, moves, resets what ended and keeps the
statistics of episodes. Subjects in JAX are compiled ahead for each number of devices in `--devices` that divides the
batch; `steps_per_second` is that of the number which was the fastest, `devices`, and `by_devices` has the medians of
all. A run lasts `--seconds` or longer; compilation is timed apart.

The process is set up by `jaxenvs.tune_cpu`, gymnax's too. `--untuned` leaves JAX as it is found, but for the number of
devices, and measures ours and gymnax; XLA reads its flags once, so that takes a separate process, which `--all`
starts for three sizes.

Rows go into `results/stepping.json`, or the file of another `--name`, instead of those with the same id, size and
subject.
"""

import argparse
import os
import subprocess
import sys
import time

import jax

import jaxenvs
from benchmarks.common import (
    Repeated,
    ask_for_devices,
    commit,
    compiled,
    in_turn,
    load,
    on_all_of,
    over_devices,
    save_into,
    spread,
    timed,
    usable,
)
from benchmarks.peers.stepping import gymnasium_steppers, gymnax_steppers
from jaxenvs.devices import num_cores
from jaxenvs.random import as_key, fast

SIZES = (1, 8, 64, 1024, 4096, 16384, 65536, 262144)
#: What `tune_cpu` sets, as it was before.
FOUND = {name: os.environ[name] for name in ("XLA_FLAGS", "NPROC") if name in os.environ}
#: Environments whose step stays in a core's second cache.
CACHED = 4096
#: With JAX as it is found.
UNTUNED_SIZES = (1, 1024, 65536)
KEY = ("id", "num_envs", "subject")
#: The exit status that says: not all is measured yet.
SOME_LEFT = 75


def main(arguments=None):
    options = parser().parse_args(arguments)
    began = time.perf_counter()
    (ask_for_devices if options.untuned else jaxenvs.tune_cpu)(max(options.devices))
    wanted = cells(options)
    for done, (id, num_envs) in enumerate(wanted):
        if time.perf_counter() - began > options.within:
            print(f"{len(wanted) - done} of {len(wanted)} cells are left")
            sys.exit(SOME_LEFT)
        save_into(options.name, measure_cell(id, num_envs, options), KEY)
    print(f"{len(wanted)} cells in {time.perf_counter() - began:.0f} s: benchmarks/results/{options.name}.json")
    if options.all and not options.untuned:
        sys.exit(untuned(options, options.within - (time.perf_counter() - began)))


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", choices=sorted(jaxenvs.registry), default=sorted(jaxenvs.registry))
    parser.add_argument("--sizes", nargs="+", type=int, help="of the batches; 16384, or with --all " + str(SIZES))
    counts = sorted({1, num_cores(), 4 * num_cores()})
    parser.add_argument("--devices", nargs="+", type=int, default=counts, help="numbers of devices to try each cell on")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="that each run lasts at least")
    parser.add_argument("--name", default="stepping", help="of the file in benchmarks/results/")
    parser.add_argument("--peers", action="store_true", help="Gymnasium and gymnax too")
    parser.add_argument("--untuned", action="store_true", help="with JAX as it is found, and ordinary keys")
    parser.add_argument("--all", action="store_true", help="every size, --peers, and --untuned afterwards")
    parser.add_argument("--missing", action="store_true", help="only cells without a row of this commit")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds after which no new cell is started")
    return parser


def cells(options):
    """The (id, size) to measure."""
    sizes = options.sizes or (SIZES if options.all else [16384])
    if options.all and options.untuned:
        sizes = [size for size in sizes if size in UNTUNED_SIZES]
    wanted = [(id, size) for id in options.ids for size in sizes]
    old = load(options.name) if options.missing else None
    now, subject = commit(), "jaxenvs, untuned" if options.untuned else "jaxenvs"
    there = {
        (row["id"], row["num_envs"])
        for row in (old["rows"] if old else [])
        if row.get("commit") == now and row.get("subject") == subject
    }
    return [cell for cell in wanted if cell not in there]


def untuned(options, within):
    """Measures cells again in a separate process, with JAX's default settings: its exit status."""
    command = ["--ids", *options.ids, "--sizes", *map(str, options.sizes or SIZES), "--all", "--untuned"]
    command += ["--devices", *map(str, options.devices), "--runs", str(options.runs), "--name", options.name]
    command += ["--seconds", str(options.seconds), "--within", str(max(0.0, within))]
    command += ["--missing"] if options.missing else []
    # A child would inherit what `tune_cpu` has set.
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "NPROC")} | FOUND
    return subprocess.run([sys.executable, "-m", "benchmarks.stepping", *command], env=environment).returncode


def measure_cell(id, num_envs, options):
    """Rows of figures for one environment and batch size, one for each subject."""
    counts = [count for count in usable(options.devices, num_envs) if worth_it(count, num_envs)] or [1]
    start = jaxenvs.make_vec(id, num_envs).reset(jax.random.key(0))

    def ours(kind):
        return [our_stepper(id, num_envs, count, start=start, kind=kind) for count in counts]

    found = {"jaxenvs, untuned": ours(as_key)} if options.untuned else {"jaxenvs": ours(as_key)}
    if not options.untuned:
        found["jaxenvs, fast keys"] = ours(fast)
    if options.peers or options.all:
        tuned = "" if options.untuned else ", tuned"
        found["gymnax" + tuned] = gymnax_steppers(id, num_envs, counts)
        if id == "CartPole-v1":
            found["gymnax, a key each" + tuned] = gymnax_steppers(id, num_envs, counts, as_published=True)
        found["gymnasium"] = [] if options.untuned else gymnasium_steppers(id, num_envs)
    in_turn([way for ways in found.values() for way in ways], runs=options.runs, least=options.seconds)
    rows = [row(name, id, num_envs, ways) for name, ways in found.items() if ways]
    for line in rows:
        print(row_text(line), flush=True)
    return rows


def worth_it(devices, num_envs):
    """More devices than cores take turns: only where a part for each core would not stay in a core's cache."""
    return devices <= num_cores() or num_envs // devices >= CACHED


def our_stepper(id, num_envs, devices, num_steps=None, start=None, kind=as_key):
    """Ours, to be run, from a start as `reset` gives it, with keys of a kind: a `Repeated`."""
    envs = jaxenvs.make_vec(id, num_envs)
    num_steps = num_steps or steps_of_a_call(num_envs)

    def policy(key, obs):
        return envs.sample_actions(key)

    def advance(carry):
        key, state, obs = carry
        key, play_key = jax.random.split(key)
        state, obs, _ = jaxenvs.rollout(envs, policy, play_key, state, obs, num_steps, collect=lambda *_: None)
        return key, state, obs

    state, obs = over_devices(start or envs.reset(jax.random.key(0)), devices)
    carry = on_all_of(kind(jax.random.key(1)), devices), state, obs
    places = jax.tree.map(lambda x: x.sharding, carry)
    function, seconds = compiled(advance, carry, out_shardings=places)
    return Repeated(function, carry, {"devices": devices, "num_steps": num_steps, "compile_s": round(seconds, 3)})


def steps_of_a_call(num_envs):
    """Enough steps for a call of some hundredths of a second, so that the cost of the call does not matter."""
    return min(10_000, max(100, 2_000_000 // num_envs))


def row(subject, id, num_envs, ways):
    """The figures of a subject: those of the number of devices with the best median."""
    rates = [[num_envs * way.about["num_steps"] * way.calls / s for s in way.seconds] for way in ways]
    figures = [spread(found, digits=0) for found in rates]
    best = max(range(len(ways)), key=lambda i: figures[i]["median"])
    by_devices = {str(way.about["devices"]): found["median"] for way, found in zip(ways, figures)}
    return {
        "subject": subject,
        "id": id,
        "num_envs": num_envs,
        **ways[best].about,
        "calls": ways[best].calls,
        "run_s": round(min(ways[best].seconds), 4),
        "steps_per_second": figures[best],
        "by_devices": by_devices,
    }


def row_text(row):
    rates, compile_s = row["steps_per_second"], row["compile_s"]
    compiling = f"  compiled in {compile_s:.2f} s" if compile_s is not None else ""
    return (
        f"{row['id']:32} N={row['num_envs']:<7} {row['subject']:20} {rates['median'] / 1e6:9.3f}M steps/s "
        f"({rates['min'] / 1e6:.3f} to {rates['max'] / 1e6:.3f})  devices {row['devices']}{compiling}"
    )


def measure(id, num_envs, steps, runs, kind=as_key):
    """A row of our figures over all devices, for runs of a number of steps in one call, for `benchmarks.limit`."""
    num_steps = max(1, steps // num_envs)
    stepper = our_stepper(id, num_envs, jax.device_count(), num_steps, kind=kind)
    first, seconds = timed(stepper.function, stepper.carry, runs=runs)
    rates = spread([num_envs * num_steps / s for s in seconds])
    first += stepper.about["compile_s"]
    return {"id": id, "num_envs": num_envs, "num_steps": num_steps, "first_call_s": first, "steps_per_second": rates}


if __name__ == "__main__":
    main()
