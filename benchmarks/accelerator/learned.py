"""What PPO's preset "accelerator" learns for each id, and how long its training takes."""

import dataclasses
import functools
import time

import jax
import numpy as np

import jaxenvs
from benchmarks.accelerator.common import compile_for
from benchmarks.common import spread
from train import ppo
from train.floor.evaluate import evaluate
from train.presets import PRESETS, preset
from train.runs.compiling import untuned

SEEDS, EPISODES = (0, 1), 4096


def rows(quick, ceilings):
    """(name, function that compiles and returns the function that measures) of each row."""
    # The longest comes last.
    ids = sorted((id for algorithm, id in PRESETS if algorithm == "ppo"), key=lambda id: preset("ppo", id).total_steps)
    for id in ids[: 1 if quick else None]:
        yield f"{id} preset accelerator", functools.partial(prepare, id, quick)


def prepare(id, quick):
    """Compiles the training and the evaluation as the command line does; returns the function that runs them."""
    plan, episodes = preset("ppo", id, "accelerator"), 8 if quick else EPISODES
    config = dataclasses.replace(ppo.Config(), **plan.config)
    env = jaxenvs.make(id, **plan.training)
    watched = jaxenvs.make_vec(id, episodes, **(plan.training if plan.curve_as_trained else {}))
    updates = 1 if quick else -(-plan.total_steps // ppo.steps_per_update(config))

    def train(key):
        return ppo.train(config, env, key, updates)[0]

    def returns(state, key):
        return evaluate(watched, ppo.policy(config, env, state), key).episode_return

    key = jax.random.key(0)
    ready, compile_s = compile_for(train, key, options=untuned())
    judge, _ = compile_for(returns, jax.eval_shape(train, key), key, options=untuned())

    def measure():
        seconds, found = [], []
        for seed in SEEDS:
            began = time.perf_counter()
            state = jax.block_until_ready(ready(jax.random.key(seed)))
            seconds.append(time.perf_counter() - began)
            found.append(np.asarray(judge(state, jax.random.key(5)), np.float64))
        steps = updates * ppo.steps_per_update(config)
        return {
            "id": id,
            "num_envs": config.num_envs,
            "num_steps": config.num_steps,
            "minibatches": config.minibatches,
            "steps": steps,
            "compile_s": compile_s,
            "seconds": min(seconds),
            "returns": [float(one.mean()) for one in found],
            "standard_error": float(found[0].std() / episodes**0.5),
            "mean": float(np.mean(found)),
            "steps_per_second": spread([steps / s for s in seconds]),
        }

    return measure
