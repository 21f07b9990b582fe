"""What devices exchange in an update, and how long an exchange takes: the constants of `docs/scale.md`.

    python -m benchmarks.network                 # bytes of each preset, and two processes on this machine

`traffic` counts from the shapes of an algorithm's state, without computing anything. The time of an exchange is
measured between two processes of one device each, which add vectors of several lengths by gloo over the loopback
interface; a line through the medians has the time of an empty exchange and the bytes per second.
"""

import argparse
import json
import socket
import subprocess
import sys
import time

import jax
import numpy as np

import jaxenvs
from benchmarks.common import save
from train.floor.heads import choices, num_features, num_outputs
from train.presets import ALGORITHMS, preset

LENGTHS = (1, 1000, 10_000, 100_000, 1_000_000)
#: The environments whose presets are counted.
IDS = {"ppo": "HeartPole-v0", "dqn": "CartPole-v1", "pqn": "CartPole-v1", "td3": "Pendulum-v1", "sac": "Pendulum-v1"}


def traffic(name, config, envs):
    """What the devices of a run exchange in one update.

    Args:
        name: of the algorithm.
        config: its `Config`.
        envs: a `VectorEnv`.
    Returns:
        dict: `parameters`, of all networks that gradients change; `exchanges`, of gradients; `gradient_bytes`, their
        sum; `data_bytes`, of the samples that every device gets a copy of.
    """
    algorithm = ALGORITHMS[name]
    state = jax.eval_shape(algorithm.init, config, envs, jax.random.key(0))
    features, axes = num_features(envs.single_observation_space), num_outputs(envs.single_action_space)
    numbers = lambda tree: sum(x.size for x in jax.tree.leaves(tree))  # noqa: E731
    if name in ("ppo", "pqn"):
        steps, parameters = config.epochs * config.minibatches, numbers(state.params)
        exchanged, exchanges = steps * parameters, steps
        samples = config.num_envs * config.num_steps
        # Features, the action, its log-probability, value and advantage; or features, the choice and the target.
        action = len(choices(envs.single_action_space)) or axes
        words = features + action + 3 if name == "ppo" else features + 2
    else:
        samples, words = config.gradient_steps * config.batch_size, 2 * features + 3
        if name == "dqn":
            exchanges, parameters = config.gradient_steps, numbers(state.params)
            exchanged, words = exchanges * parameters, words + 1
        else:
            # TD3's policy has fewer gradient steps than its critics; SAC's temperature has its own.
            parts = {part: numbers(params) for part, params in state.learner.params._asdict().items()}
            steps = dict.fromkeys(parts, int(config.gradient_steps))
            steps["actor"] //= getattr(config, "policy_delay", 1)
            parameters, exchanges, words = sum(parts.values()), sum(steps.values()), words + axes
            exchanged = sum(steps[part] * parts[part] for part in parts)
    # A flag of a byte counts as a word.
    return {
        "parameters": parameters, "exchanges": exchanges, "gradient_bytes": 4 * exchanged,
        "data_bytes": 4 * words * samples,
    }  # fmt: skip


def sent(figures, processes):
    """Bytes that a process sends in an update: a ring sends 2 (p - 1) / p of a sum, (p - 1) / p of a collection.

    >>> sent({"gradient_bytes": 1000, "data_bytes": 400}, 2)
    1200.0
    """
    part = (processes - 1) / processes
    return 2 * part * figures["gradient_bytes"] + part * figures["data_bytes"]


def predicted(seconds, processes, figures, latency, bandwidth):
    """Seconds of an update on several processes, by the model of `docs/scale.md`.

    Args:
        seconds: of the update on one process.
        processes: how many share it.
        figures: of `traffic`.
        latency: seconds of an empty exchange.
        bandwidth: bytes per second.

    >>> round(predicted(1.0, 2, {"gradient_bytes": 1e6, "data_bytes": 0, "exchanges": 100}, 1e-3, 1e8), 3)
    0.61
    """
    return seconds / processes + (processes > 1) * figures["exchanges"] * latency + sent(figures, processes) / bandwidth


def line(rows):
    """(seconds of an empty exchange, bytes per second) of measured rows, by least squares of relative errors."""
    size, took = (np.array([row[name] for row in rows], float) for name in ("bytes", "seconds"))
    weights = 1 / took
    slope, start = np.polyfit(size, took, 1, w=weights)
    return float(start), float(1 / slope)


def serve(index, port):
    """One of the two processes; the first prints its rows."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, index)
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    rows = []
    for length in LENGTHS:

        def add(x):
            return jax.lax.fori_loop(0, 20, lambda _, x: jax.lax.pmean(x, "devices"), x)

        shared = jax.jit(jax.shard_map(add, mesh=mesh, in_specs=spec("devices"), out_specs=spec(), check_vma=False))
        whole = np.ones(2 * length, np.float32)
        x = jax.make_array_from_callback(
            whole.shape, jax.sharding.NamedSharding(mesh, spec("devices")), lambda index, whole=whole: whole[index]
        )
        seconds = []
        for _ in range(12):
            began = time.perf_counter()
            jax.block_until_ready(shared(x))
            seconds.append((time.perf_counter() - began) / 20)
        rows.append({"bytes": 4 * length, "seconds": float(np.median(seconds[2:]))})
    if index == 0:
        print(json.dumps(rows))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs=2, type=int, metavar=("INDEX", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--name", default="network", help="of the file in benchmarks/results/")
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(*options.serve)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.network", "--serve"]
    other = subprocess.Popen([*command, "1", str(port)], stdout=subprocess.DEVNULL)
    found = subprocess.run([*command, "0", str(port)], stdout=subprocess.PIPE, check=True, text=True)
    other.wait()
    rows = json.loads(found.stdout.splitlines()[-1])
    latency, bandwidth = line(rows)
    presets = []
    for name, id in IDS.items():
        config = ALGORITHMS[name].Config(**preset(name, id).config)
        presets.append({"algorithm": name, "id": id, **traffic(name, config, jaxenvs.make_vec(id, config.num_envs))})
        print(presets[-1])
    return save(options.name, rows, latency_seconds=latency, bytes_per_second=bandwidth, presets=presets)


if __name__ == "__main__":
    main()
