"""Steps a second of `jaxenvs.fused_rollout`, checked against the scan before it is timed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.accelerator.common import compile_for, rates, seconds_of
from benchmarks.accelerator.stepping import MAIN, RUNS, generators, key_of, part_of_arithmetic

CHECKED_ENVS, CHECKED_STEPS = 4096, 64


def rows(quick, ceilings):
    """(name, function that measures) of each row, the most telling first."""
    on_gpu = jax.default_backend() in ("gpu", "cuda", "rocm")
    for id, power, block, kind, backend in plans(quick, "pallas" if on_gpu else "interpret"):
        name = f"{id} N=2^{power} {kind} {backend} block={block}"
        yield name, functools.partial(prepare, id, 2**power, block, kind, backend, ceilings, quick)


def plans(quick, backend):
    """(id, power of 2 of environments, block, generator, backend) of each row."""
    first, kinds = MAIN[0], list(generators())
    if quick:
        return [(first, 8, 64, kinds[0], backend), (first, 8, 64, kinds[-1], "xla")]
    chosen = [(id, 20, 128, kind, backend) for kind in kinds for id in MAIN]
    chosen += [(first, 20, block, "threefry", backend) for block in (256, 64)]
    chosen += [(first, power, 128, "threefry", backend) for power in (22, 24, 16)]
    return [*chosen, (first, 20, 128, "threefry", "xla")]


def prepare(id, num_envs, block, kind, backend, ceilings, quick):
    """Compiles a kernel and checks it; returns the function that times it."""
    # The kernel's own start and end must be a small part of a run.
    num_steps = 8 if quick else max(128, min(4096, 2**31 // num_envs))
    envs, key = jaxenvs.make_vec(id, num_envs), key_of(kind)

    def run(key, state, obs):
        return jaxenvs.fused_rollout(envs, key, state, obs, num_steps, block=block, backend=backend)

    ready, compile_s = compile_for(run, key, *jax.eval_shape(envs.reset, key))
    reset, _ = compile_for(envs.reset, jax.random.key(0))

    checked = compare(id, kind, block, backend, *((64, 8) if quick else (CHECKED_ENVS, CHECKED_STEPS)))
    if checked["equal"] < 0.999:
        raise AssertionError(f"only {checked['equal']:.4f} of the environments agree with jaxenvs.rollout: {checked}")

    def measure():
        state, obs = jax.block_until_ready(reset(jax.random.key(0)))
        found = rates(num_envs * num_steps, seconds_of(lambda: ready(key, state, obs), RUNS))
        return {
            "id": id,
            "num_envs": num_envs,
            "num_steps": num_steps,
            "generator": kind,
            "backend": backend,
            "block": block,
            "compile_s": compile_s,
            "steps_per_second": found,
            **part_of_arithmetic(id, kind, found["median"], ceilings()),
            **checked,
        }

    return measure


def compare(id, kind, block, backend, num_envs, num_steps):
    """The share of environments whose numbers are the scan's, with episodes that end, and the median difference."""
    envs, key, state, obs = situation(id, kind, num_envs, num_steps)

    @jax.jit
    def run(key, state, obs):
        return jaxenvs.fused_rollout(envs, key, state, obs, num_steps, block=block, backend=backend)

    state, obs, sums = jax.device_get(run(key, state, obs))
    plain, fused = scanned(id, kind, num_envs, num_steps), (state, obs, sums[:3])
    differences = [far(a, b) for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(fused), strict=True)]
    worst = np.max(differences, axis=0)
    return {"equal": float((worst < 1e-3).mean()), "median_difference": float(np.median(worst))}


def situation(id, kind, num_envs, num_steps):
    """Environments whose episodes end within the steps, a key, and where to begin."""
    envs = jaxenvs.make_vec(id, num_envs, max_episode_steps=max(1, num_steps // 3))
    return envs, key_of(kind), *envs.reset(jax.random.key(0))


@functools.cache
def scanned(id, kind, num_envs, num_steps):
    """What `jaxenvs.rollout` makes of it, with the sums of rewards, of episodes and of their returns."""
    envs, key, state, obs = situation(id, kind, num_envs, num_steps)

    @jax.jit
    def run(key, state, obs):
        policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
        state, obs, steps = jaxenvs.rollout(envs, policy, key, state, obs, num_steps)
        done = steps.terminated | steps.truncated
        return state, obs, (steps.reward.sum(0), done.sum(0), jnp.where(done, steps.episode_return, 0.0).sum(0))

    return jax.device_get(run(key, state, obs))


def far(a, b):
    """The greatest difference within each environment, as a part of its size."""
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (a, b))
    return (np.abs(a - b) / np.maximum(1.0, np.abs(a))).max(axis=1)
