"""Steps a second of `jaxenvs.rollout`, by batch size and generator, against the ceilings."""

import functools

import jax

import jaxenvs
from benchmarks.accelerator.common import compile_for, profiled, rates, seconds_of

MAIN = "HeartPole-v0", "SimpleRocket-v0", "CartPole-v1"
RUNS = 5


def rows(quick, ceilings):
    """(name, function that compiles and returns the function that measures) of each row, the most telling first."""
    for id, power, kind, kept in plans(quick):
        name = f"{id} N=2^{power} {kind}{' all kept' if kept else ''}"
        profile = not quick and id == MAIN[0] and power in (16, 20) and kind == "threefry" and not kept
        yield name, functools.partial(prepare, id, 2**power, kind, kept, ceilings, quick, profile)


def plans(quick):
    """(id, power of 2 of environments, generator, whether every step is kept) of each row."""
    if quick:
        return [(MAIN[0], 8, kind, False) for kind in generators()] + [("Acrobot-v1", 7, "threefry", True)]
    chosen = [(id, power, kind, False) for power in (20, 24, 16) for id in MAIN for kind in generators()]
    chosen += [(MAIN[0], power, "threefry", False) for power in (12, 14, 18, 22)]
    chosen += [(MAIN[0], 16, "threefry", True), (MAIN[0], 20, "rbg", False)]
    return chosen + [(id, 20, "threefry", False) for id in sorted(set(jaxenvs.registry) - set(MAIN))]


def generators():
    """{name: function of an ordinary key}."""
    return {"threefry": lambda key: key, "fast": jaxenvs.random.fast}


def key_of(kind):
    return jax.random.key(1, impl="rbg") if kind == "rbg" else generators()[kind](jax.random.key(1))


def steps_of(num_envs, kept, quick):
    """How many steps a run makes, so that small batches run long enough and large ones not too long."""
    return 8 if quick else 128 if kept else max(64, min(4096, 2**30 // num_envs))


def prepare(id, num_envs, kind, kept, ceilings, quick, profile):
    """Compiles a rollout; returns the function that times it."""
    envs, num_steps, key = jaxenvs.make_vec(id, num_envs), steps_of(num_envs, kept, quick), key_of(kind)
    options = {} if kept else {"collect": lambda *_: None}

    def run(key, state, obs):
        policy = lambda key, obs: envs.sample_actions(key)  # noqa: E731
        return jaxenvs.rollout(envs, policy, key, state, obs, num_steps, **options)

    like = jax.eval_shape(envs.reset, key)
    ready, compile_s = compile_for(run, key, *like)
    reset, _ = compile_for(envs.reset, jax.random.key(0))

    def measure():
        state, obs = jax.block_until_ready(reset(jax.random.key(0)))
        seconds = seconds_of(lambda: ready(key, state, obs), RUNS)
        found = rates(num_envs * num_steps, seconds)
        row = {
            "id": id,
            "num_envs": num_envs,
            "num_steps": num_steps,
            "generator": kind,
            "compile_s": compile_s,
            "steps_per_second": found,
            "microseconds_per_step": 1e6 * min(seconds) / num_steps,
            **parts_of_ceilings(envs, state, id, kind, found["median"], ceilings()),
        }
        return row | ({"profile": profiled(lambda: ready(key, state, obs))} if profile else {})

    return measure


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
    """Operations of one step of one environment, integer ones too, as XLA counts them before it optimises; or None."""
    envs, key = jaxenvs.make_vec(id, 4096), jaxenvs.random.fusable(key_of(kind))

    @jax.jit
    def step(key, state):
        action_key, step_key = jax.random.split(key)
        return envs.step(step_key, state, envs.sample_actions(action_key))

    state, _ = jax.eval_shape(envs.reset, key)
    costs = step.lower(key, state).cost_analysis()
    costs = costs[0] if isinstance(costs, list) else costs
    return costs["flops"] / envs.num_envs if costs and "flops" in costs else None
