"""What a call of `VectorEnv.step` from Python costs, beside what it cannot cost less than.

    python -m benchmarks.calls

One process, set up by `jaxenvs.tune_cpu(1)`; calls follow each other, each on the state that the one before returned.

- "floor": a jitted function of the same arguments that returns as many arrays, of the same shapes, and computes next to
  nothing.
- "physics": the same steps in one compiled loop, a step.
- "ours": `envs.step(key, state, actions)`.
"""

import argparse
import time

import jax
import jax.numpy as jnp

import jaxenvs
from benchmarks.common import save, spread


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=["CartPole-v1", "HeartPole-v0", "SimpleRocket-v0"])
    parser.add_argument("--num-envs", type=int, default=4096)
    parser.add_argument("--calls", type=int, default=1000, help="of a run")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--name", default="calls", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    jaxenvs.tune_cpu(1)
    save(options.name, [measure(id, options.num_envs, options.calls, options.runs) for id in options.ids])


def measure(id, num_envs, calls, runs):
    """A row: microseconds a call, each subject's runs in turn with the others', and ours over floor and physics."""
    envs = jaxenvs.make_vec(id, num_envs)
    key = jax.random.key(0)
    state, _ = envs.reset(key)
    actions = envs.sample_actions(key)

    @jax.jit
    def nothing(key, state, actions):
        return jax.tree.map(lambda shape: jnp.full(shape.shape, state.episode_length[0].astype(shape.dtype)), like)

    @jax.jit
    def loop(key, state, actions):
        def once(index, state):
            return envs.step(jax.random.fold_in(key, index), state, actions)[0]

        return jax.lax.fori_loop(0, calls, once, state)

    like = jax.eval_shape(envs.step, key, state, actions)
    subjects = {
        "floor": lambda: follow(nothing, key, state, actions, calls),
        "physics": lambda: loop(key, state, actions),
        "ours": lambda: follow(envs.step, key, state, actions, calls),
    }
    found = {name: [] for name in subjects}
    for index in range(runs + 1):
        for name, run in subjects.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            if index:
                found[name].append((time.perf_counter() - began) / calls * 1e6)
    least = [floor + physics for floor, physics in zip(found["floor"], found["physics"])]
    ratio = spread([ours / bound for ours, bound in zip(found["ours"], least)], digits=3)
    row = {"id": id, "num_envs": num_envs, "calls": calls}
    row |= {f"{name}_us": spread(values, digits=1) for name, values in found.items()}
    times = "  ".join(f"{name} {row[f'{name}_us']['median']:.0f} us" for name in found)
    print(f"{id:16} N={num_envs}  {times}  ours over floor and physics {ratio['median']:.2f}")
    return {**row, "ours_over_floor_and_physics": ratio}


def follow(step, key, state, actions, calls):
    """A number of calls, each from the state that the previous one returned."""
    for _ in range(calls):
        state, last = step(key, state, actions)
    return state, last


if __name__ == "__main__":
    main()
