"""PPO's steps a second by batch shape and precision of matrix products, and whether it still learns."""

import functools
import math

import jax
import numpy as np

import jaxenvs
from benchmarks.common import spread, timed
from train import ppo

#: Environments, steps, minibatches.
SHAPES = ((2048, 128, 8), (65536, 32, 32), (8192, 64, 16), (256, 128, 4))
QUICK_SHAPES = ((16, 16, 2),)
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "bfloat16"}
ID, RUNS = "CartPole-v1", 5


def rows(quick, ceilings):
    """(name, function that measures) of each row."""
    for shape in QUICK_SHAPES if quick else SHAPES:
        # Few updates of large batches: a chunk is some four million steps at most.
        updates = 2 if quick else max(2, min(10, 2**22 // (shape[0] * shape[1])))
        for precision in list(PRECISIONS)[: 1 if quick else None]:
            name = f"PPO {shape[0]}x{shape[1]} minibatches={shape[2]} {precision}"
            yield name, functools.partial(measure, *shape, precision, updates)


def measure(num_envs, num_steps, minibatches, precision, updates):
    """A row: training steps a second of runs that go on from each other, and the mean returns of the first and last."""
    config = ppo.Config(num_envs=num_envs, num_steps=num_steps, epochs=4, minibatches=minibatches)
    envs = jaxenvs.make_vec(ID, num_envs)

    @jax.jit
    def chunk(config, envs, state):
        return jax.lax.scan(lambda state, _: ppo.update(config, envs, state), state, length=updates)

    returns, held = [], [ppo.init(config, envs, jax.random.key(0))]

    def go_on():
        held[0], metrics = chunk(config, envs, held[0])
        returns.append(metrics)
        return held[0]

    with jax.default_matmul_precision(PRECISIONS[precision]):
        first, seconds = timed(go_on, runs=RUNS)
    means = [mean_return(metrics) for metrics in returns]
    rates = spread([updates * num_envs * num_steps / s for s in seconds])
    return {
        "id": ID,
        "num_envs": num_envs,
        "num_steps": num_steps,
        "minibatches": minibatches,
        "precision": precision,
        "updates": updates * (RUNS + 1),
        "first_call_s": first,
        "steps_per_second": rates,
        "return_first": means[0],
        "return_last": means[-1],
    }


def mean_return(metrics):
    """Of the episodes that ended in the last update of a chunk; None where none did."""
    episodes, total = (float(np.asarray(metrics[name])[-1]) for name in ("episodes", "return_sum"))
    return total / episodes if episodes and math.isfinite(total) else None
