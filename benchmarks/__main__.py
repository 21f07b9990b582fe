"""The short set of benchmarks, and one table of it: ours, a peer, the limit of the machine, and ours over each.

    python -m benchmarks                 # also: make bench; some five minutes on two cores

Stable-Baselines3 and rejax stand beside our learners where `make interop-sb3` and `make interop-gymnax` installed them.
Each benchmark runs in a separate process and writes `results/bench_*.json`; the files without `bench_` are of
longer runs. Each line compares figures of one process; where nobody was measured there, it has a dash.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.common import RESULTS, load

IDS = ("CartPole-v1", "HeartPole-v0", "SimpleRocket-v0")
SET = {
    "limit": ["--runs", "5"],
    "stepping": ["--ids", "CartPole-v1", "--sizes", "1024", "65536", "--peers"],
    "training": ["--ids", *IDS, "--runs", "5"],
    "single_env": ["--ids", *IDS, "--runs", "5"],
    "bridges": ["--ids", *IDS, "--runs", "5"],
    "learners": ["--runs", "3"],
}
#: Where `make interop` has the Pythons of the learners' peers.
LEARNERS_PEERS = {"--sb3": ".interop/sb3/bin/python", "--rejax": ".interop/gymnax/bin/python"}
PEERS = {
    "gymnasium": "Gymnasium's NumPy",
    "gymnax, tuned": "gymnax, tuned as ours",
    "gymnax, a key each, tuned": "gymnax, its own rollout, tuned",
}
#: Which of our results is compared with which generator in C.
LIMITS = (("jaxenvs", "threefry2x32-20 as ours"), ("jaxenvs, fast keys", "philox4x32-10"))
DASH = "-"
LINE = "{:50} {:>8} {:>8} {:>11} {:>8} {:>12}  {}"


def main():
    for name, options in SET.items():
        print(f"\n{name}", flush=True)
        # Rows of an earlier run, perhaps with peers that are gone, must not come into the table.
        (RESULTS / f"bench_{name}.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options, "--name", f"bench_{name}"]
        if name == "learners":
            command += [part for pair in LEARNERS_PEERS.items() if Path(pair[1]).exists() for part in pair]
        subprocess.run(command, check=True)
    print()
    for line in table(**{name: found["rows"] for name in SET if (found := load(f"bench_{name}"))}):
        print(line)


def table(limit, stepping, training, single_env, bridges, learners):
    """Lines of text, a comparison each."""
    columns = ["steps per second", "ours", "peer", "ours/peer", "limit", "ours/limit", "beside ours"]
    yield LINE.format(*columns)
    for id in IDS:
        for subject, generator in LIMITS:
            ours, best, num_envs = ours_and_limit(limit, id, subject, generator)
            keys = ", fast keys" if "fast" in subject else ""
            yield row(f"{id}, random policy, N={num_envs}{keys}", ours, limit=best, beside=f"limit: C, {generator}")
    yield from stepping_lines(stepping)
    yield from training_lines(training)
    rates = {line["subject"]: 1e6 / line["microseconds"]["median"] for line in single_env}
    beside = "peer: gymnasium.make('CartPole-v1')"
    peer = rates["gymnasium.make('CartPole-v1')"]
    yield row("CartPole-v1, one env, gymnasium.make", rates["CartPole-v1, gymnasium.make"], peer, beside=beside)
    beside = "peer: a tutorial's HeartPole in NumPy"
    yield row("HeartPole-v0, one env, bare", rates["HeartPole-v0, bare"], rates["NumPy HeartPole"], beside=beside)
    rates = {line["subject"]: line["steps_per_second"]["median"] for line in bridges}
    ours, peer = rates["CartPole-v1, NumPy, NextStep"], rates["gymnasium's CartPole-v1, NumPy"]
    yield row("CartPole-v1, make_vec, N=4096, NumPy arrays", ours, peer, beside="peer: Gymnasium's NumPy")
    yield from learners_lines(learners)


def training_lines(rows):
    """A line for each id, with the matrix product that was measured beside it as the limit."""
    found = {(line["id"], line["subject"]): line["steps_per_second"]["median"] for line in rows}
    for (id, subject), ours in found.items():
        if subject.endswith("devices"):
            limit = found.get((id, "matrix product"))
            yield row(f"{id}, PPO 256x128, 2x64 networks", ours, limit=limit, beside="limit: a matrix product")


def learners_lines(rows):
    """A line for each algorithm and each peer that was there; one with a dash where none was."""
    found = {(line["algorithm"], line["subject"]): line["steps_per_second"]["median"] for line in rows}
    for algorithm in dict.fromkeys(line["algorithm"] for line in rows):
        mine = [name for one, name in found if one == algorithm and name.startswith("jaxenvs")]
        peers = [name for one, name in found if one == algorithm and name not in mine]
        ours = found[algorithm, mine[-1]]  # with the devices that the command line uses
        for name in peers or [None]:
            beside = f"peer: {name}" if name else ""
            yield row(f"{algorithm.upper()}, training", ours, found.get((algorithm, name)), beside=beside)


def stepping_lines(rows):
    """A line for each batch size and each peer that was there; one with a dash where none was."""
    sizes = sorted({(line["id"], line["num_envs"]) for line in rows})
    for id, num_envs in sizes:
        found = {
            line["subject"]: line["steps_per_second"]["median"]
            for line in rows
            if (line["id"], line["num_envs"]) == (id, num_envs)
        }
        what, ours = f"{id}, random policy, N={num_envs}", found["jaxenvs"]
        yield row(what + ", fast keys", found["jaxenvs, fast keys"])
        peers = [(name, text) for name, text in PEERS.items() if name in found]
        for name, text in peers:
            yield row(what, ours, found[name], beside=f"peer: {text}")
        if not peers:
            yield row(what, ours)


def ours_and_limit(rows, id, subject, generator):
    """Medians of ours, and of C in the form of a scan with all its threads, and the batch size of both."""
    mine = [line for line in rows if line["id"] == id]
    ours = next(line for line in mine if line["subject"] == subject)
    compared = [line for line in mine if "ours_over_this" in line]
    best = next(line for line in compared if (line["form"], line["generator"]) == ("scan", generator))
    return ours["steps_per_second"]["median"], best["steps_per_second"]["median"], ours["num_envs"]


def row(what, ours, peer=None, limit=None, beside=""):
    """A line of the table, with dashes for what was not measured."""
    figures = [rate(ours), rate(peer), ratio(ours, peer), rate(limit), ratio(ours, limit)]
    return LINE.format(what, *figures, beside).rstrip()


def rate(value):
    """Steps a second as text of three digits."""
    if value is None:
        return DASH
    for unit, text in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{text}"
    return f"{value:.3g}"


def ratio(ours, other):
    return DASH if other is None else f"{ours / other:.2f}"


if __name__ == "__main__":
    main()
