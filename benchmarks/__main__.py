"""The short set of benchmarks, and one table of it: ours, peer, limit, ratio.

    python -m benchmarks                 # also: make bench; about three minutes on two cores

Each benchmark runs in a process of its own and writes `results/bench_*.json`; the files without `bench_` are of
longer runs.
"""

import json
import subprocess
import sys

from benchmarks.common import RESULTS

IDS = ("CartPole-v1", "HeartPole-v0", "SimpleRocket-v0")
SET = {
    "limit": ["--runs", "5"],
    "stepping": ["--ids", "CartPole-v1", "--sizes", "65536", "--peers", "--runs", "5"],
    "training": ["--ids", *IDS, "--runs", "5"],
    "single_env": ["--ids", *IDS, "--runs", "5"],
    "bridges": ["--ids", *IDS, "--runs", "5"],
}


def main():
    for name, options in SET.items():
        print(f"\n{name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *options, "--name", f"bench_{name}"]
        subprocess.run(command, check=True)
    print()
    for line in table(**{name: json.loads((RESULTS / f"bench_{name}.json").read_text())["rows"] for name in SET}):
        print(line)


def table(limit, stepping, training, single_env, bridges):
    """Lines of text, a figure each."""
    yield f"{'what':58} {'ours':>10} {'peer or limit':>14} {'ratio':>7}"
    for id in IDS:
        ours, best = ours_and_limit(limit, id, "threefry2x32-20 as ours")
        yield row(f"{id}, N=16384, against C with the same generator", ours, best)
    ours, *peers = [(line["id"], line["steps_per_second"]["median"]) for line in stepping]
    for name, found in peers:
        yield row(f"CartPole-v1, N=65536, against {name}", ours[1], found)
    for line in training:
        yield row(f"{line['id']}, PPO 256x128, 2x64 networks", line["steps_per_second"]["median"], None)
    times = {line["subject"]: line["microseconds"]["median"] for line in single_env}
    yield row("CartPole-v1, one environment, gymnasium.make", *per_second(times, "CartPole-v1"))
    yield row("HeartPole-v0, one environment, bare", 1e6 / times["HeartPole-v0, bare"], 1e6 / times["NumPy HeartPole"])
    rates = {line["subject"]: line["steps_per_second"]["median"] for line in bridges}
    peer = rates["gymnasium's CartPole-v1, NumPy"]
    yield row("CartPole-v1, make_vec, N=4096, NumPy arrays", rates["CartPole-v1, NumPy, NextStep"], peer)


def ours_and_limit(rows, id, generator):
    """Medians of ours, and of C in the form of a scan with all its threads."""
    mine = [line for line in rows if line["id"] == id]
    ours = next(line for line in mine if line["subject"] == "jaxenvs")
    compared = [line for line in mine if "ours_over_this" in line]
    best = next(line for line in compared if (line["form"], line["generator"]) == ("scan", generator))
    return ours["steps_per_second"]["median"], best["steps_per_second"]["median"]


def per_second(times, id):
    return 1e6 / times[f"{id}, gymnasium.make"], 1e6 / times[f"gymnasium.make('{id}')"]


def row(what, ours, other):
    against = f"{other / 1e6:13.3f}M {ours / other:7.2f}" if other else ""
    return f"{what:58} {ours / 1e6:9.3f}M {against}"


if __name__ == "__main__":
    main()
