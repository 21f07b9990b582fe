"""Steps a second of the ordinary scan, by batch size and generator, against the ceilings."""

import functools

import jax

import jaxenvs
from benchmarks.common import spread, timed

MAIN = "HeartPole-v0", "SimpleRocket-v0", "CartPole-v1"
RUNS = 5


def rows(quick, ceilings):
    """(name, function that measures) of each row, the most telling first."""
    powers, other = ([8], 7) if quick else ([20, 16, 24, 22, 18, 10, 12, 14], 20)
    for kind in generators():
        for power in powers:
            for id in MAIN if power in (16, 20, 24) else MAIN[:1]:
                yield f"{id} N=2^{power} {kind}", functools.partial(measure, id, 2**power, kind, ceilings, quick)
    for power in () if quick else (20, 16):
        # The device's own generator, without a branch around it.
        yield f"{MAIN[0]} N=2^{power} rbg", functools.partial(measure, MAIN[0], 2**power, "rbg", ceilings, quick)
    for id in sorted(set(jaxenvs.registry) - set(MAIN))[: 1 if quick else None]:
        yield f"{id} N=2^{other}", functools.partial(measure, id, 2**other, "threefry", ceilings, quick)


def generators():
    """{name: function of an ordinary key}; a faster generator where `jaxenvs.random` has one."""
    fast = getattr(jaxenvs.random, "fast", None)
    return {"threefry": lambda key: key} | ({"fast": fast} if fast else {})


def key_of(kind):
    return jax.random.key(1, impl="rbg") if kind == "rbg" else generators()[kind](jax.random.key(1))


def steps_of(num_envs, quick):
    """How many steps a run makes, so that small batches run long enough and large ones not too long."""
    return 8 if quick else max(16, min(1024, 2**28 // num_envs))


def measure(id, num_envs, kind, ceilings, quick):
    """A row: the rate, and the parts of bandwidth and arithmetic that it takes at least."""
    envs, num_steps, key = jaxenvs.make_vec(id, num_envs), steps_of(num_envs, quick), key_of(kind)

    @jax.jit
    def run(key, state, obs):
        policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
        return jaxenvs.rollout(envs, policy, key, state, obs, num_steps, collect=lambda *_: None)[:2]

    state, obs = jax.block_until_ready(envs.reset(jax.random.key(0)))
    first, seconds = timed(run, key, state, obs, runs=RUNS)
    rates = spread([num_envs * num_steps / s for s in seconds])
    return {
        "id": id,
        "num_envs": num_envs,
        "num_steps": num_steps,
        "generator": kind,
        "first_call_s": first,
        "steps_per_second": rates,
        **parts_of_ceilings(envs, state, id, kind, rates["median"], ceilings()),
    }


def parts_of_ceilings(envs, state, id, kind, rate, ceilings):
    """What a step costs at least, in bytes and operations, and what part of the device that is at a rate."""
    # A step of the scan reads the state and writes it; were it in registers, it would do neither.
    size = 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(state)) // envs.num_envs
    row = {"bytes_per_step": size, "of_bandwidth": size * rate / ceilings["copy"] if "copy" in ceilings else None}
    return row | part_of_arithmetic(id, kind, rate, ceilings)


def part_of_arithmetic(id, kind, rate, ceilings):
    """Operations of a step, and what part of the device's arithmetic they are at a rate."""
    operations = step_operations(id, kind)
    known = operations is not None and "multiply-add" in ceilings
    share = operations * rate / ceilings["multiply-add"] if known else None
    return {"operations_per_step": operations, "of_arithmetic": share}


@functools.cache
def step_operations(id, kind):
    """Operations of one step of one environment, whole numbers' too, as the compiler counts them; None if it doesn't.

    It counts those of fused code again wherever it computes them again.
    """
    envs, key = jaxenvs.make_vec(id, 4096), jaxenvs.random.fusable(key_of(kind))

    @jax.jit
    def step(key, state):
        action_key, step_key = jax.random.split(key)
        return envs.step(step_key, state, envs.sample_actions(action_key))

    state, _ = jax.eval_shape(envs.reset, key)
    costs = step.lower(key, state).compile().cost_analysis()
    costs = costs[0] if isinstance(costs, list) else costs
    return costs["flops"] / envs.num_envs if costs and "flops" in costs else None
