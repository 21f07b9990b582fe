"""What the precision of matrix products does to what PPO learns: presets, several seeds side by side."""

import dataclasses
import functools
import time

import jax
import numpy as np

import jaxenvs
from benchmarks.accelerator.common import compile_for
from benchmarks.accelerator.training import PRECISIONS
from benchmarks.common import spread
from train import ppo
from train.floor.evaluate import evaluate
from train.presets import preset

IDS, SEEDS, EPISODES = ("HeartPole-v0", "Pendulum-v1", "CartPole-v1"), 16, 1024


def rows(quick, ceilings):
    """(name, function that compiles and returns the function that measures) of each row."""
    for id in IDS[: 1 if quick else None]:
        for precision in list(PRECISIONS)[: 1 if quick else None]:
            yield f"{id} preset {precision}", functools.partial(prepare, id, precision, quick)


def prepare(id, precision, quick):
    """Compiles the training and the evaluation of several seeds; returns the function that runs them."""
    plan, seeds = preset("ppo", id), 2 if quick else SEEDS
    config = dataclasses.replace(ppo.Config(), **plan.config)
    env = jaxenvs.make(id, **plan.training)
    watched = jaxenvs.make_vec(id, 8 if quick else EPISODES, **(plan.training if plan.curve_as_trained else {}))
    updates = 1 if quick else -(-plan.total_steps // (config.num_envs * config.num_steps))

    def train(keys):
        return jax.vmap(lambda key: ppo.train(config, env, key, updates)[0])(keys)

    def returns(states, key):
        play = lambda state: evaluate(watched, ppo.policy(config, env, state), key).episode_return.mean()  # noqa: E731
        return jax.lax.map(play, states)

    keys = jax.random.split(jax.random.key(0), seeds)
    with jax.default_matmul_precision(PRECISIONS[precision]):
        ready, compile_s = compile_for(train, keys)
        judge, _ = compile_for(returns, jax.eval_shape(train, keys), jax.random.key(1))

    def measure():
        began = time.perf_counter()
        states = jax.block_until_ready(ready(keys))
        seconds = time.perf_counter() - began
        found = np.asarray(judge(states, jax.random.key(1)), np.float64)
        steps = seeds * updates * config.num_envs * config.num_steps
        return {
            "id": id,
            "precision": precision,
            "seeds": seeds,
            "returns": found.tolist(),
            "mean": float(found.mean()),
            "spread": float(found.std(ddof=1)),
            "seconds": seconds,
            "compile_s": compile_s,
            "steps_per_second": spread([steps / seconds]),
        }

    return measure
