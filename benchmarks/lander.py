"""LunarLander's policies in Gymnasium's Box2D, and Box2D's here: `make transfer`.

    python -m benchmarks.lander --box2d .interop/box2d/bin/python            # trains both kinds first
    python -m benchmarks.lander --box2d PYTHON --runs runs/a runs/b          # policies of these runs

Four rows: the policy that is trained here by the preset, and one that was trained in Box2D (`tests/data`), each for
discrete and for continuous actions. A row has the mean returns at home and away, their standard errors, and how many
standard errors of the difference lie between them.
"""

import argparse
import math
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.common import save_into
from benchmarks.peers.box2d_lander import receive, send
from train.presets import ALGORITHMS
from train.runs import run

ROOT = Path(__file__).parent.parent
KINDS = {"discrete": "LunarLander-v3", "continuous": "LunarLanderContinuous-v3"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--box2d", required=True, help="a Python that has gymnasium and box2d")
    parser.add_argument("--runs", nargs="*", type=Path, help="folders of runs; without them both presets are trained")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where runs are trained to")
    parser.add_argument("--episodes", type=int, default=100, help="in Box2D")
    options = parser.parse_args()
    folders = options.runs or [train(options.folder, id) for id in KINDS.values()]
    policies = [trained_here(folder) for folder in folders]
    policies += [trained_there(kind) for kind in KINDS]
    for origin, kind, act in policies:
        ours, theirs = play_here(kind, act, 1000), play_there(options.box2d, kind, act, options.episodes)
        save_into("lander", [row(origin, kind, ours, theirs)], ("trained_in", "kind"))


def train(folder, id):
    """Trains by the preset, and returns the run's folder."""
    target = folder / f"{id}-transfer"
    command = ["-m", "train", "ppo", "--env", id, "--seed", "0", "--out", str(target), "--quiet"]
    subprocess.run([str(ROOT / ".venv/bin/python"), *command], check=True, cwd=ROOT)
    return target


def trained_here(folder):
    plan, state = run.read(folder)
    kind = {id: kind for kind, id in KINDS.items()}[plan.env]
    return "jaxenvs", kind, ALGORITHMS[plan.algorithm].policy(plan.config, plan.evaluation_envs(1), state)


def trained_there(kind):
    """A network of two layers of 64 tanh units, trained by PPO in Gymnasium's environment."""
    stored = np.load(ROOT / "tests/data/lunar_lander_returns.npz")
    weights = {name: jnp.asarray(stored[f"policy_{kind[:4]}/{name}"]) for name in ("w0", "b0", "w1", "b1", "w2", "b2")}

    def act(key, obs):
        for layer in "01":
            obs = jnp.tanh(obs @ weights[f"w{layer}"] + weights[f"b{layer}"])
        last = obs @ weights["w2"] + weights["b2"]
        return jnp.clip(last, -1, 1) if kind == "continuous" else last.argmax(-1)

    return "box2d", kind, act


def play_here(kind, act, episodes):
    """f64[episodes], returns of the first episode of each environment."""
    envs = jaxenvs.make_vec(KINDS[kind], episodes)
    state, obs = envs.reset(jax.random.key(11))
    collect = lambda obs, action, step: (step.terminated | step.truncated, step.episode_return)  # noqa: E731
    play = jax.jit(lambda state, obs: jaxenvs.rollout(envs, act, jax.random.key(12), state, obs, 1000, collect)[2])
    done, total = map(np.asarray, play(state, obs))
    return total[done.argmax(0), np.arange(episodes)].astype(np.float64)


def play_there(python, kind, act, episodes, seed=30_000):
    """f64[episodes], returns in Box2D from so many seeds on."""
    script = str(ROOT / "benchmarks/peers/box2d_lander.py")
    process = subprocess.Popen(
        [python, script, kind, str(episodes), str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    act = jax.jit(act)
    assert process.stdin and process.stdout
    while True:
        array = receive(process.stdout)
        if array.ndim == 1:
            break
        send(process.stdin, np.asarray(act(jax.random.key(0), array.astype(np.float32))))
    process.wait()
    return array


def row(origin, kind, ours, theirs):
    errors = [float(returns.std() / math.sqrt(len(returns))) for returns in (ours, theirs)]
    found = {
        "trained_in": origin,
        "kind": kind,
        "jaxenvs": round(float(ours.mean()), 2),
        "jaxenvs_error": round(errors[0], 2),
        "box2d": round(float(theirs.mean()), 2),
        "box2d_error": round(errors[1], 2),
        "box2d_at_least_200": float((theirs >= 200).mean()),
        "standard_errors_apart": round(float((ours.mean() - theirs.mean()) / math.hypot(*errors)), 2),
    }
    print(found, flush=True)
    return found


if __name__ == "__main__":
    main()
