"""How long sweeps take: the RLlib tutorial's own one, and a population beside the same runs one after another.

    python -m benchmarks.sweeps                # these two; some minutes on two free cores
    python -m benchmarks.sweeps --only population --members 256 --steps 16384
    python -m benchmarks.sweeps --only tutorial --runs 3

The tutorial's sweep is the command of docs/sweeps.md in a process of its own, with an empty cache of compiled programs,
timed from its start to its end. Populations and single runs make the same PPO runs on CartPole-v1, which differ in
their learning rate and their seed. Each subject has a process of its own, and they take turns. `compile` is in seconds,
and trials per second are those without it. Single runs use one program for all, and SINGLES of them are timed.
"""

import argparse
import csv
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import save, spread, take_turns

#: Seconds of the tutorial's own sweep, as it prints them.
TUTORIAL_SECONDS = 3658.24
TUTORIAL = [
    "sweep", "ppo", "--env", "CartPole-v0", "--space", "hidden=grid(32,64)", "--space", "activation=grid(linear,relu)",
    "--space", "learning_rate=uniform(1e-7,1e-2)", "--trials", "20", "--seeds", "1", "--metric", "steps-to:195",
    "--total-steps", "400_000", "--evaluations", "25", "--confirm", "0", "--quiet",
]  # fmt: skip
SINGLES = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("tutorial", "population"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--members", type=int, default=256)
    parser.add_argument("--steps", type=int, default=65_536, help="environment steps of each run of the population")
    parser.add_argument("--name", default="sweeps")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.subject:
        print(json.dumps(SUBJECTS[options.subject](options.members, options.steps)))
        return
    rows = [] if options.only == "population" else [tutorial(options.runs)]
    rows += [] if options.only == "tutorial" else populations(options.runs, options.members, options.steps)
    save(options.name, rows)


def tutorial(runs):
    """The row of the tutorial's sweep: seconds, trials that reached a return of 195, and the ratio to Ray Tune."""
    seconds, reached = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "sweep"
            settings = {**os.environ, "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "jaxenvs", *TUTORIAL, "--out", str(out)], check=True, env=settings)
            seconds.append(time.perf_counter() - began)
            rows = list(csv.DictReader((out / "trials.csv").read_text().splitlines()))
            reached.append(sum(float(row["score"]) <= 400_000 for row in rows))
    row = {"subject": "the tutorial's sweep", "seconds": spread(seconds, 1), "reached_195": reached}
    row["ratio"] = round(TUTORIAL_SECONDS / row["seconds"]["median"], 1)
    print(
        f"the tutorial's sweep: {row['seconds']['median']} s, {row['ratio']} times faster; {reached} of 20 reached 195"
    )
    return row


def populations(runs, members, steps):
    """Rows of the population and of single runs, and how many times the trials per second the first makes."""

    def once(name):
        command = [sys.executable, "-m", "benchmarks.sweeps", "--subject", name]
        command += ["--members", str(members), "--steps", str(steps)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    rows = []
    for name, results in take_turns({name: functools.partial(once, name) for name in SUBJECTS}, runs).items():
        row = {"subject": name, "members": members, "steps": steps, **results[0]}
        rows.append(row | {key: spread([one[key] for one in results], 3) for key in ("compile", "trials_per_second")})
        print(
            f"{name}: {rows[-1]['trials_per_second']['median']} trials/s, compiled in {rows[-1]['compile']['median']} s"
        )
    ratio = rows[0]["trials_per_second"]["median"] / rows[1]["trials_per_second"]["median"]
    print(
        f"in one program: {ratio:.2f} times the trials per second, {rows[0]['bytes_per_member'] / 1e6:.2f} MB a member"
    )
    rows[0]["times_single"] = round(ratio, 3)
    return rows


def population(members, steps):
    """All members in one program, on as many devices as there are cores."""
    import jax

    from jaxenvs.devices import num_cores
    from train.runs.compiling import request_cpu_devices
    from train.sweeps.population import Population

    devices = request_cpu_devices(num_cores())
    plan, rates = _runs(members, steps)
    began = time.perf_counter()
    trained = Population(plan, ["learning_rate"], members - members % devices, 1, devices)
    compiled = time.perf_counter() - began
    values = {"learning_rate": rates[: members - members % devices]}

    def once():
        began = time.perf_counter()
        states = trained.begin(values, range(len(values["learning_rate"])))
        jax.block_until_ready(trained.advance(values, states, plan.num_updates, plan.key(0)))
        return time.perf_counter() - began

    once()
    return {
        "compile": compiled, "trials_per_second": len(values["learning_rate"]) / once(), "devices": devices,
        "bytes_per_member": trained.bytes_per_member,
    }  # fmt: skip


def singles(members, steps):
    """Members one after another in one process, each with the same program."""
    import jax

    from train.sweeps.population import Population

    plan, rates = _runs(members, steps)
    began = time.perf_counter()
    trained = Population(plan, ["learning_rate"], 1, 1)
    compiled = time.perf_counter() - began

    def once(count):
        began = time.perf_counter()
        for member in range(count):
            values = {"learning_rate": [rates[member]]}
            states = trained.begin(values, [member])
            jax.block_until_ready(trained.advance(values, states, plan.num_updates, plan.key(0)))
        return time.perf_counter() - began

    once(1)
    count = min(SINGLES, members)
    return {"compile": compiled, "trials_per_second": count / once(count), "bytes_per_member": trained.bytes_per_member}


SUBJECTS = {"population": population, "one after another": singles}


def _runs(members, steps):
    from train import ppo
    from train.runs.plan import Plan
    from train.sweeps.distributions import loguniform

    plan = Plan(
        algorithm="ppo", env="CartPole-v1", constants={}, training={}, curve_as_trained=False,
        config=ppo.Config(num_envs=16, num_steps=128), total_steps=steps, seed=0,
    )  # fmt: skip
    rates = loguniform(1e-5, 1e-2)
    return plan, [rates.at(member / members) for member in range(members)]


if __name__ == "__main__":
    main()
