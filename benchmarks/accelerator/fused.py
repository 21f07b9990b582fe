"""Steps a second of `jaxenvs.fused_rollout`, checked against the scan before it is timed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.accelerator.stepping import MAIN, RUNS, generators, key_of, part_of_arithmetic
from benchmarks.common import spread, timed

CHECKED_ENVS, CHECKED_STEPS = 4096, 64


def rows(quick, ceilings):
    """(name, function that measures) of each row, the most telling first."""
    on_gpu = jax.default_backend() in ("gpu", "cuda", "rocm")
    for id, power, block, kind, backend in plans(quick, "pallas" if on_gpu else "interpret"):
        name = f"{id} N=2^{power} {kind} {backend} block={block}"
        yield name, functools.partial(measure, id, 2**power, block, kind, backend, ceilings, quick)


def plans(quick, backend):
    """(id, power of 2 of environments, block, generator, backend) of each row."""
    first, kinds = MAIN[0], list(generators())
    if quick:
        return [(first, 8, 64, kinds[0], backend), (first, 8, 64, kinds[-1], "xla")]
    chosen = [(id, 20, 128, kind, backend) for kind in kinds for id in MAIN]
    chosen += [(first, 20, block, kind, backend) for kind in kinds for block in (256, 64, 512)]
    chosen += [(first, power, 128, kind, backend) for kind in kinds for power in (22, 24, 16)]
    chosen += [(id, 20, 128, "threefry", "xla") for id in MAIN]
    return chosen + [(id, 20, 128, "threefry", backend) for id in sorted(set(jaxenvs.registry) - set(MAIN))]


def measure(id, num_envs, block, kind, backend, ceilings, quick):
    """A row: how far the numbers are from the scan's, then the rate."""
    checked = compare(id, kind, block, backend, *((64, 8) if quick else (CHECKED_ENVS, CHECKED_STEPS)))
    if checked["equal"] < 0.999:
        raise AssertionError(f"only {checked['equal']:.4f} of the environments agree with jaxenvs.rollout: {checked}")
    # The kernel's own start and end must be a small part of a run.
    num_steps = 8 if quick else max(128, min(4096, 2**30 // num_envs))
    envs, key = jaxenvs.make_vec(id, num_envs), key_of(kind)

    @jax.jit
    def run(key, state, obs):
        return jaxenvs.fused_rollout(envs, key, state, obs, num_steps, block=block, backend=backend)

    state, obs = jax.block_until_ready(envs.reset(jax.random.key(0)))
    first, seconds = timed(run, key, state, obs, runs=RUNS)
    rates = spread([num_envs * num_steps / s for s in seconds])
    return {
        "id": id,
        "num_envs": num_envs,
        "num_steps": num_steps,
        "generator": kind,
        "backend": backend,
        "block": block,
        "first_call_s": first,
        "steps_per_second": rates,
        **part_of_arithmetic(id, kind, rates["median"], ceilings()),
        **checked,
    }


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
