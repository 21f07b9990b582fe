"""Populations of PPO agents on CartPole in one program: agents a minute, bytes an agent, and how many solve it."""

import functools
import time

import jax
import numpy as np

import jaxenvs
from benchmarks.accelerator.common import compile_for
from benchmarks.common import spread
from train import ppo
from train.floor.evaluate import evaluate

ID, SOLVED = "CartPole-v1", 475.0
#: Steps an agent, as in the notebook of purejaxrl that trains 2048 agents.
STEPS = 500_000
CONFIG = ppo.Config(num_envs=16, num_steps=64, minibatches=4, epochs=4, learning_rate=2e-3)


def rows(quick, ceilings):
    """(name, function that compiles and returns the function that measures) of each row."""
    for agents in (2,) if quick else (256, 2048):
        yield f"PPO {agents} agents", functools.partial(prepare, agents, 2 if quick else STEPS)


def prepare(agents, steps):
    """Compiles the training of a population from keys to returns; returns the function that times it."""
    env, watched = jaxenvs.make(ID), jaxenvs.make_vec(ID, 32)
    updates = -(-steps // (CONFIG.num_envs * CONFIG.num_steps))

    def train(keys):
        return jax.vmap(lambda key: ppo.train(CONFIG, env, key, updates)[0])(keys)

    def returns(states, key):
        play = lambda state: evaluate(watched, ppo.policy(CONFIG, env, state), key).episode_return.mean()  # noqa: E731
        return jax.vmap(play)(states)

    keys = jax.random.split(jax.random.key(0), agents)
    ready, compile_s = compile_for(train, keys)
    memory = ready.memory_analysis()
    judge, _ = compile_for(returns, jax.eval_shape(train, keys), jax.random.key(1))

    def measure():
        began = time.perf_counter()
        states = jax.block_until_ready(ready(keys))
        seconds = time.perf_counter() - began
        found = np.asarray(judge(states, jax.random.key(1)))
        assert memory is not None
        total = memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes
        return {
            "id": ID,
            "agents": agents,
            "steps_per_agent": updates * CONFIG.num_envs * CONFIG.num_steps,
            "seconds": seconds,
            "compile_s": compile_s,
            "agents_per_minute": 60 * agents / seconds,
            "bytes_per_agent": total // agents,
            "steps_per_second": spread([agents * updates * CONFIG.num_envs * CONFIG.num_steps / seconds]),
            "solved": float((found >= SOLVED).mean()),
            "mean": float(found.mean()),
        }

    return measure
