"""Steps a second of DQN, TD3, SAC and PQN, beside Stable-Baselines3's and rejax's with the same sizes.

    python -m benchmarks.learners                                      # ours
    python -m benchmarks.learners --sb3 .interop/sb3/bin/python --rejax .interop/gymnax/bin/python
    python -m benchmarks.learners --heartpole     # HeartPole's 500,000 steps with the tutorial's gradient steps

Every subject has a process of its own, and they take turns. They have the same network, batch, environments and
gradient steps for each step of the environment, and play and learn without evaluation; compilation is timed apart.
Where the command line would use several devices of the CPU, ours is measured with them as well.
SB3 and rejax run with the Pythons of `make interop`. A run of ours starts from a state that has learned already.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

import jaxenvs
from benchmarks.common import save, spread, take_turns
from benchmarks.peers.serving import serve
from benchmarks.training import Subject
from jaxenvs.devices import num_cores
from train.floor.sharding import mesh_of
from train.presets import ALGORITHMS
from train.runs.compiling import compiled, request_cpu_devices, run_often

_REPLAY = {
    "num_envs": 8, "num_steps": 8, "batch_size": 128, "capacity": 65_536, "learning_starts": 1024,
}  # fmt: skip
#: What each is measured with.
SHAPES = {
    "dqn": {"id": "CartPole-v1", **_REPLAY, "gradient_steps": 16, "hidden": (16, 16), "activation": "relu"},
    "td3": {
        "id": "Pendulum-v1", **_REPLAY, "gradient_steps": 32, "policy_delay": 2, "hidden": (64, 64),
        "activation": "relu",
    },
    "sac": {"id": "Pendulum-v1", **_REPLAY, "gradient_steps": 32, "hidden": (64, 64), "activation": "relu"},
    "pqn": {
        "id": "CartPole-v1", "num_envs": 1024, "num_steps": 32, "epochs": 2, "minibatches": 8, "hidden": (64, 64),
        "activation": "relu",
    },
}  # fmt: skip
#: Steps of a run of ours and of rejax, and of a run of SB3, which is slower.
STEPS = {"dqn": (65_536, 8192), "td3": (16_384, 2048), "sac": (16_384, 2048), "pqn": (1_048_576, 0)}
PEERS = {"sb3": ("dqn", "td3"), "rejax": ("dqn", "td3", "pqn")}
#: The tutorial's agent: Stable-Baselines3's defaults, a gradient step of 32 samples for each four steps.
HEARTPOLE = ["--total-steps", "500000", "--hidden", "16,16", "--num-envs", "8", "--num-steps", "8"]
HEARTPOLE += ["--gradient-steps", "16", "--batch-size", "32", "--film-episodes", "0"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sb3", metavar="PYTHON", help="a Python that has Stable-Baselines3")
    parser.add_argument("--rejax", metavar="PYTHON", help="a Python that has rejax")
    parser.add_argument("--heartpole", action="store_true", help="only the tutorial's run, from process start")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--name", default="learners", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    if options.serve:
        return serve_ours(options.serve[0], int(options.serve[1]))
    if options.heartpole:
        return save(f"{options.name}_heartpole", [heartpole(seed) for seed in range(3)], command=HEARTPOLE)
    pythons = {"sb3": options.sb3, "rejax": options.rejax}
    rows = [row for name in options.algorithms for row in measure(name, pythons, options.runs)]
    return save(options.name, rows, shapes=SHAPES)


def measure(name, pythons, runs):
    """Rows of the subjects of an algorithm, which take turns; the first call of each is not counted."""
    ours = [sys.executable, "-m", "benchmarks.learners", "--serve", name]
    commands = {"jaxenvs": [*ours, "1"]}
    if (count := ALGORITHMS[name].useful_devices(config_of(name), num_cores())) > 1:
        commands[f"jaxenvs, {count} devices"] = [*ours, str(count)]
    shape = json.dumps(SHAPES[name])
    for peer, python in pythons.items():
        if python and name in PEERS[peer]:
            steps = STEPS[name][peer == "sb3"]
            commands[peer] = [python, "-m", f"benchmarks.peers.learners_{peer}", name, str(steps), shape]
    subjects = {peer: Subject(command) for peer, command in commands.items()}
    seconds = take_turns({peer: subject.run for peer, subject in subjects.items()}, runs)
    rows = []
    for peer, subject in subjects.items():
        subject.close()
        rates = spread([subject.about["steps"] / s for s in seconds[peer]])
        print(f"{name:5} {peer:18} {rates['median']:10.4g} steps/s  compilation {subject.about['compile_s']:.2f} s")
        rows.append({"algorithm": name, "subject": peer, **subject.about, "steps_per_second": rates})
    return rows


def config_of(name):
    """Our hyperparameters of an algorithm's shape."""
    shape = {field: value for field, value in SHAPES[name].items() if field != "id"}
    return ALGORITHMS[name].Config(**shape, **({"layer_norm": True} if name == "pqn" else {}))


def serve_ours(name, devices):
    """Ours as a subject: a chunk of updates, compiled as the command line does."""
    mesh = mesh_of(request_cpu_devices(devices))
    algorithm, config = ALGORITHMS[name], config_of(name)
    updates = STEPS[name][0] // algorithm.steps_per_update(config)
    config = algorithm.scheduled(config, 40 * updates)
    envs = jaxenvs.make_vec(SHAPES[name]["id"], config.num_envs)

    def chunk(config, state):
        one = functools.partial(algorithm.update, mesh=mesh)
        return jax.lax.fori_loop(0, updates, lambda _, state: one(config, envs, state)[0], state)

    began = time.perf_counter()
    like = jax.eval_shape(algorithm.init, config, envs, jax.random.key(0))
    layout = None if mesh is None else algorithm.shardings(mesh, like)
    init = jax.jit(algorithm.init, out_shardings=layout).lower(config, envs, jax.random.key(0)).compile()
    state = [init(config, envs, jax.random.key(0))]
    advance = compiled(jax.jit(chunk, out_shardings=layout, donate_argnums=1).lower(config, state[0]), run_often())
    took = time.perf_counter() - began

    def run():
        state[0] = jax.block_until_ready(advance(config, state[0]))

    serve(run, steps=updates * algorithm.steps_per_update(config), compile_s=took, jax=jax.__version__)


def heartpole(seed):
    """A row: the tutorial's agent, as `python -m train dqn` trains it, from process start."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "train", "dqn", "--env", "HeartPole-v0", *HEARTPOLE, "--seed", str(seed)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--out", str(Path(folder) / "run"), "--quiet"], capture_output=True, text=True, check=True
        )
        seconds = time.perf_counter() - began
    figures = json.loads(done.stdout)
    row = {"seed": seed, "seconds": round(seconds, 1), "steps": figures["steps"], "mean": figures["mean"]}
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
