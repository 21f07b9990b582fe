"""The algorithms that are tried against the contract of `train/algorithm.py`, with counts that are small enough."""

import functools
from typing import Any, NamedTuple

import jax
import pytest
from reference import random_search
from reference.probes import Probe, Pushed

import jaxenvs
from train import dqn, ppo, pqn, sac, td3
from train.presets import ALGORITHMS


class Case(NamedTuple):
    """An algorithm, with counts that are small enough for tests."""

    module: Any
    #: Few steps an update, to try the contract.
    tiny: Any
    #: Enough to learn a probe in `updates` updates.
    learner: Any
    updates: int
    #: A rate, and two values of it under which training differs.
    rate: tuple[str, float, float]
    #: Whether it acts in boxes.
    box: bool = True
    #: Whether it acts by choices.
    choices: bool = True

    def probe(self, **constants):
        return (Probe if self.choices else Pushed)(**constants)

    def envs(self, **constants):
        """Four environments, as many as `tiny` has."""
        return jaxenvs.make_vec(self.probe(horizon=2, **{"by_match": 1.0, **constants}), 4)

    @property
    def brief(self):
        """The id of an environment with episodes of at most 20 steps."""
        return "Brief-v0" if self.choices else "BriefPush-v0"


# For both learners from boxes alone.
BOX_TINY = {"num_envs": 4, "num_steps": 4, "gradient_steps": 2, "batch_size": 8, "capacity": 64, "hidden": (4,)}
BOX_TINY |= {"learning_starts": 16, "n_step": 3}
BOX_LEARNER = {"num_envs": 16, "num_steps": 8, "gradient_steps": 8, "batch_size": 64, "capacity": 4096, "gamma": 0.8}
BOX_LEARNER |= {"learning_starts": 256, "hidden": (16,), "learning_rate": 0.01, "tau": 0.05}

CASES = {
    "ppo": Case(
        ppo,
        ppo.Config(num_envs=4, num_steps=4, segment=4, minibatches=2, epochs=1, hidden=(4,)),
        ppo.Config(num_envs=16, num_steps=8, segment=4, minibatches=2, hidden=(16,), learning_rate=0.01, gamma=0.8),
        100,
        ("learning_rate", 0.01, 0.03),
    ),
    "td3": Case(
        td3,
        td3.Config(**BOX_TINY),
        td3.Config(**BOX_LEARNER),
        100,
        ("learning_rate", 0.01, 0.03),
        choices=False,
    ),
    "sac": Case(
        sac,
        sac.Config(**BOX_TINY),
        sac.Config(**BOX_LEARNER, temperature=0.2),
        100,
        ("learning_rate", 0.01, 0.03),
        choices=False,
    ),
    "dqn": Case(
        dqn,
        dqn.Config(
            num_envs=4,
            num_steps=4,
            gradient_steps=2,
            batch_size=8,
            capacity=64,
            learning_starts=16,
            n_step=3,
            hidden=(4,),
            target_every=3,
        ),
        dqn.Config(
            num_envs=16,
            num_steps=8,
            gradient_steps=8,
            batch_size=64,
            capacity=4096,
            learning_starts=256,
            n_step=2,
            hidden=(16,),
            learning_rate=0.01,
            gamma=0.8,
            target_every=20,
        ),
        100,
        ("learning_rate", 0.01, 0.03),
        box=False,
    ),
    "pqn": Case(
        pqn,
        pqn.Config(num_envs=4, num_steps=4, segment=4, minibatches=2, epochs=1, hidden=(4,)),
        pqn.Config(num_envs=16, num_steps=8, segment=4, minibatches=2, hidden=(16,), learning_rate=0.01, gamma=0.8),
        100,
        ("learning_rate", 0.01, 0.03),
        box=False,
    ),
    "search": Case(
        random_search,
        random_search.Config(num_envs=4, num_steps=4),
        random_search.Config(num_envs=16, num_steps=8),
        100,
        ("noise", 1.0, 0.3),
    ),
}
each = pytest.mark.parametrize("name", CASES)
LISTED = set(ALGORITHMS)


@functools.cache
def program(name):
    """The jitted `train`: one for all tests, so that it compiles once a configuration."""
    return jax.jit(CASES[name].module.train, static_argnums=3)
