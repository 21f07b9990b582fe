"""How the time of stepping and of PPO grows: with environments, devices, and agents trained side by side.

    python -m benchmarks.scaling                                 # all three, some three minutes
    python -m benchmarks.scaling --only population --members 1 4
    python -m benchmarks.scaling --only ppo --devices 1 2

The subjects:

- "stepping": a random policy as `benchmarks.stepping` has it, against batch size and number of devices, in a process
  that `jaxenvs.tune_cpu` has set up.
- "ppo": updates of 128 steps, 2x64 networks, 4 epochs of 4 minibatches, in a loop on the device, against the number of
  environments and of devices, compiled as `python -m train` does.
- "population": `vmap` of `ppo.train` over seeds, or over seeds and four rates of `ppo.Config`, against the number of
  agents; each agent's environments, steps and updates are the same. The first state of each is part of the time.

Each subject has a separate process. `seconds` is of one step of the batch, of one update, or of one population's
entire training; `steps_per_second` counts environment steps, of all agents together. Compilation is timed separately;
`xla_flags` in a row is what it ran with. Rows go into `results/scaling.json`, instead of those of the same subject,
id, number of environments, devices and agents, and of what differs between the agents.
"""

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp

import jaxenvs
from benchmarks.common import Repeated, ask_for_devices, compiled, in_turn, save_into, spread, usable
from benchmarks.stepping import our_stepper
from train import ppo
from train.floor.sharding import mesh_of
from train.runs.compiling import compiled as compiled_with
from train.runs.compiling import run_often

KEY = ("subject", "id", "num_envs", "devices", "members", "varied")
SUBJECTS = ("stepping", "ppo", "population")
STEPPING_SIZES = (64, 1024, 16384, 65536)
PPO_SIZES = (16, 64, 256, 1024, 4096)
MEMBERS = (1, 2, 4, 8, 16)
#: The shapes of an agent of a population, and how long it trains.
MEMBER: dict[str, Any] = {"num_envs": 64, "num_steps": 32}
UPDATES = 20
SEEDS, RATES = "seeds", "seeds and rates"
#: The least and greatest of the rates that a population spreads over.
VARIED = {"learning_rate": (3e-4, 3e-3), "gamma": (0.95, 0.999), "clip": (0.1, 0.3), "entropy_bonus": (0.0, 0.02)}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SUBJECTS, help="instead of all")
    parser.add_argument("--ids", nargs="+", default=["CartPole-v1"])
    parser.add_argument("--sizes", nargs="+", type=int, help="numbers of environments of stepping and PPO")
    parser.add_argument("--devices", nargs="+", type=int, default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--members", nargs="+", type=int, default=MEMBERS, help="of the populations")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="that each run lasts at least")
    parser.add_argument("--name", default="scaling", help="of the file in benchmarks/results/")
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    if options.only:
        set_up(options.only, max(options.devices))
        for id in options.ids:
            for points in POINTS[options.only](id, options):
                save_into(options.name, measure(points, options), KEY)
    else:
        for subject in SUBJECTS:
            subprocess.run([sys.executable, "-m", "benchmarks.scaling", *arguments, "--only", subject], check=True)
    print(f"{time.perf_counter() - began:.0f} s: benchmarks/results/{options.name}.json")


def set_up(subject, devices):
    """Splits the CPU into JAX devices before the first computation; for stepping it also tunes XLA."""
    (jaxenvs.tune_cpu if subject == "stepping" else ask_for_devices)(devices)


def measure(points, options):
    """Rows for points that are run in turn; a point is (what the row says, a `Repeated`)."""
    in_turn([repeated for _, repeated in points], runs=options.runs, least=options.seconds)
    rows = [row(about, repeated) for about, repeated in points]
    for line in rows:
        print(row_text(line), flush=True)
    return rows


def row(about, repeated):
    """The figures of a point: seconds of one of what it repeats, and environment steps a second."""
    parts, steps = repeated.about["parts"], repeated.about["steps"]
    seconds = [s / repeated.calls / parts for s in repeated.seconds]
    return {
        "devices": 1,
        "members": 1,
        "varied": "",
        **about,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compile_s": repeated.about["compile_s"],
        "run_s": round(min(repeated.seconds), 4),
        "seconds": spread(seconds, digits=9),
        "steps_per_second": spread([steps / s for s in seconds], digits=0),
    }


def row_text(row):
    members = f" {row['members']} agents, {row['varied']}" if row["varied"] else ""
    return (
        f"{row['subject']:10} {row['id']:20} N={row['num_envs']:<6} devices {row['devices']}{members}: "
        f"{row['seconds']['median'] * 1e3:.4g} ms, {row['steps_per_second']['median'] / 1e6:.3f}M steps/s, "
        f"compiled in {row['compile_s']:.1f} s"
    )


def stepping_points(id, options):
    for size in options.sizes or STEPPING_SIZES:
        points = []
        for count in usable(options.devices, size):
            stepper = our_stepper(id, size, count)
            stepper.about |= {"parts": stepper.about["num_steps"], "steps": size}
            points.append(({"subject": "stepping", "id": id, "num_envs": size, "devices": count}, stepper))
        yield points


def ppo_points(id, options):
    for size in options.sizes or PPO_SIZES:
        yield [
            ({"subject": "ppo", "id": id, "num_envs": size, "devices": count}, ppo_repeated(id, size, count))
            for count in usable(options.devices, size)
        ]


def ppo_repeated(id, num_envs, devices):
    """One update of PPO a call."""
    config, envs = ppo.Config(num_envs=num_envs), jaxenvs.make_vec(id, num_envs)
    state = jax.jit(lambda key: ppo.init(config, envs, key))(jax.random.key(0))
    mesh = mesh_of(devices)
    places = ppo.shardings(mesh, state) if mesh is not None else None
    state = jax.device_put(state, places)
    began = time.perf_counter()
    update = jax.jit(lambda state: ppo.update(config, envs, state, mesh)[0], out_shardings=places).lower(state)
    function = compiled_with(update, run_often())
    seconds = time.perf_counter() - began
    about = {"parts": 1, "steps": num_envs * config.num_steps, "compile_s": round(seconds, 3)}
    return Repeated(function, state, about)


def population_points(id, options):
    for varied, members in [(SEEDS, options.members), (RATES, sorted({min(options.members), max(options.members)}))]:
        for count in members:
            about = {"subject": "population", "id": id, "num_envs": MEMBER["num_envs"]}
            about |= {"members": count, "varied": varied}
            yield [(about, population(id, count, varied))]


def population(id, members, varied):
    """The entire training of a population in each call, with different seeds each time."""
    config, env = ppo.Config(**MEMBER), jaxenvs.make(id)
    rates = {name: jnp.linspace(*ends, members) for name, ends in VARIED.items()} if varied == RATES else {}

    def train(key, rates):
        return ppo.train(dataclasses.replace(config, **rates), env, key, UPDATES)

    def training(carry):
        key, _ = carry
        key, seeds = jax.random.split(key)
        states, metrics = jax.vmap(train)(jax.random.split(seeds, members), rates)
        return key, (states.params, metrics.return_sum)

    key = jax.random.key(0)
    shapes = jax.eval_shape(training, (key, None))[1]
    function, seconds = compiled(training, (key, shapes), keep_unused=True)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    about = {"parts": 1, "steps": members * UPDATES * config.num_envs * config.num_steps}
    return Repeated(function, (key, zeros), {**about, "compile_s": round(seconds, 3)})


POINTS = {"stepping": stepping_points, "ppo": ppo_points, "population": population_points}


if __name__ == "__main__":
    main()
