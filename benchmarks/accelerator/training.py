"""PPO's steps a second by batch shape and precision of matrix products, and whether it still learns."""

import functools
import itertools
import math

import jax
import numpy as np

import jaxenvs
from benchmarks.accelerator.common import compile_for, profiled, rates, seconds_of
from train import ppo

#: Environments, steps, minibatches.
SHAPES = (
    (65536, 32, 8), (65536, 32, 32), (16384, 32, 8), (65536, 16, 2), (8192, 64, 16), (4096, 128, 8), (2048, 128, 4),
)  # fmt: skip
QUICK_SHAPES = ((16, 16, 2),)
PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "bfloat16"}
ID, RUNS = "CartPole-v1", 5
#: Of a gradient step of both networks: 4-64-64-2 and 4-64-64-1, forward and backward.
_EPOCHS = 4


def rows(quick, ceilings):
    """(name, function that compiles and returns the function that measures) of each row."""
    for shape in QUICK_SHAPES if quick else SHAPES:
        # Few updates of large batches: a call makes some eight million steps.
        updates = 2 if quick else max(4, min(32, 2**23 // (shape[0] * shape[1])))
        for precision in list(PRECISIONS)[: 1 if quick else None]:
            name = f"PPO {shape[0]}x{shape[1]} minibatches={shape[2]} {precision}"
            profile = not quick and shape == SHAPES[0] and precision != "bfloat16"
            yield name, functools.partial(prepare, *shape, precision, updates, ceilings, profile)


def prepare(num_envs, num_steps, minibatches, precision, updates, ceilings, profile):
    """Compiles a chunk of updates; returns the function that times runs that continue each other."""
    config = ppo.Config(num_envs=num_envs, num_steps=num_steps, epochs=_EPOCHS, minibatches=minibatches)
    envs = jaxenvs.make_vec(ID, num_envs)

    def chunk(state):
        return jax.lax.scan(lambda state, _: ppo.update(config, envs, state), state, length=updates)

    with jax.default_matmul_precision(PRECISIONS[precision]):
        like = jax.eval_shape(lambda key: ppo.init(config, envs, key), jax.random.key(0))
        ready, compile_s = compile_for(chunk, like)
        init, _ = compile_for(lambda key: ppo.init(config, envs, key), jax.random.key(0))

    def measure():
        returns, last = [], [init(jax.random.key(0))]

        def advance():
            last[0], metrics = ready(last[0])
            returns.append(metrics)
            return last[0]

        seconds = seconds_of(advance, RUNS)
        means = [mean_return(metrics) for metrics in returns]
        found = rates(updates * num_envs * num_steps, seconds)
        product = ceilings().get(f"matmul {precision}")
        row = {
            "id": ID,
            "num_envs": num_envs,
            "num_steps": num_steps,
            "minibatches": minibatches,
            "precision": precision,
            "updates": updates * (RUNS + 1),
            "compile_s": compile_s,
            "steps_per_second": found,
            "of_products": found["median"] * operations_per_step() / product if product else None,
            "return_first": means[0],
            "return_last": means[-1],
        }
        return row | ({"profile": profiled(advance, 40)} if profile else {})

    return measure


def operations_per_step():
    """Float operations of the matrix products that a step of an environment costs PPO: acting, values and gradients."""
    actor, critic = (2 * sum(a * b for a, b in itertools.pairwise(s)) for s in ((4, 64, 64, 2), (4, 64, 64, 1)))
    # The gradient of an affine layer takes two products; that of the first one's input is not needed.
    gradient = 3 * (actor + critic) - 2 * (2 * 4 * 64)
    return actor + 2 * critic + _EPOCHS * gradient


def mean_return(metrics):
    """Of the episodes that ended in the last update of a chunk; None where none did."""
    episodes, total = (float(np.asarray(x)[-1]) for x in (metrics.episodes, metrics.return_sum))
    return total / episodes if episodes and math.isfinite(total) else None
