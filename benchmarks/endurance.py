"""Many random steps with random constants: whether every observation and reward stays finite.

    python -m benchmarks.endurance --ids LunarLander-v3 LunarLanderContinuous-v3 --steps 1e9      # half an hour

Each of 1024 environments has constants of its own, drawn from their allowed ranges (from half to twice the default
where a range has no end), which are drawn again every 1024 steps, as is the generator's key. Actions are random, ended
episodes start again. Rows with the numbers of steps and of episodes, and of values that were not finite.
"""

import argparse
import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.common import save_into

NUM_ENVS, NUM_STEPS = 1024, 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", default=sorted(jaxenvs.registry))
    parser.add_argument("--steps", type=float, default=1e7, help="of each id")
    options = parser.parse_args()
    for id in options.ids:
        row = endure(id, int(options.steps))
        print(row, flush=True)
        save_into("endurance", [row], ("id",))


def endure(id, steps):
    """A row: what came of at least this many steps."""
    began, rng = time.perf_counter(), np.random.default_rng(0)
    run = jax.jit(blocks)
    made, episodes, bad = 0, 0, 0
    while made < steps:
        envs = jaxenvs.make_vec(jaxenvs.make(id), NUM_ENVS, **drawn(jaxenvs.make(id), rng))
        found = run(envs, jax.random.key(int(rng.integers(2**31))))
        episodes, bad = episodes + int(found[0]), bad + int(found[1])
        made += NUM_ENVS * NUM_STEPS
    return {
        "id": id, "steps": made, "episodes": episodes, "not_finite": bad,
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def drawn(env, rng):
    """Random values of every constant that may differ in a batch: f32[NUM_ENVS] each; switches are on or off."""
    values = {}
    for field in dataclasses.fields(env):
        if not field.init or field.metadata.get("static"):
            continue
        if isinstance(field.default, bool):
            values[field.name] = rng.integers(0, 2, NUM_ENVS).astype(bool)
        elif isinstance(field.default, float):
            low, high = ends(field)
            values[field.name] = rng.uniform(low, high, NUM_ENVS).astype(np.float32)
    return values


def ends(field):
    """The ends of a float constant's range, or half and twice its default; limits that are not allowed are left out."""
    limits = field.metadata.get("limits") or {}
    least = [limits[name] for name in ("low", "above") if limits.get(name) is not None]
    most = [limits[name] for name in ("high", "below") if limits.get(name) is not None]
    near = sorted((field.default / 2, field.default * 2))
    low, high = (least or [near[0]])[0], (most or [near[1]])[0]
    inside = 1e-3 * (high - low)
    return low + inside * (limits.get("above") is not None), high - inside * (limits.get("below") is not None)


def blocks(envs, key):
    """(episodes that ended, values that were not finite) of NUM_STEPS steps."""
    reset_key, run_key = jax.random.split(key)
    state, obs = envs.reset(reset_key)

    def count(total, step):
        ended = (step.terminated | step.truncated).sum()
        floats = [x for x in jax.tree.leaves((step.final_obs, step.reward)) if jnp.issubdtype(x.dtype, jnp.floating)]
        bad = sum((~jnp.isfinite(x)).sum() for x in floats)
        return total[0] + ended, total[1] + bad

    policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
    collect = lambda obs, action, step: step  # noqa: E731
    start = jnp.int32(0), jnp.int32(0)
    return jaxenvs.rollout(envs, policy, run_key, state, obs, NUM_STEPS, collect, fold=(count, start))[2]


if __name__ == "__main__":
    main()
