"""`load`: a trained run as an object that acts, is evaluated and is filmed."""

import functools
import os
from pathlib import Path

import jax
import numpy as np
from gymnasium import spaces

from jaxenvs.misuse import brief, checked_int
from jaxenvs.render import film

from ..presets import ALGORITHMS
from ..reports import report
from ..sweeps.members import read_member
from . import memory, run

_CHECKPOINTS = {"newest": run.STATE, "best": run.BEST}


def load(folder, which="newest", *, member=None):
    """Loads the agent of a run, or of a member of a sweep.

    Args:
        folder: the run's folder, such as "runs/HeartPole-v0-ppo-1", or a sweep's.
        which: "newest", the last checkpoint, or "best", that with the highest evaluation of the learning curve.
        member: the number of a run of the sweep, trial by trial; the winner's fresh runs follow the others. A sweep
            keeps the last checkpoint of each, without what no policy needs, which is None in the state.
    Returns:
        `Trained`.
    Raises:
        TypeError: for a folder that is no path.
        ValueError: for another `which`, or a member that the sweep does not have.
        RunError: if the folder holds no run, a damaged one, or no such checkpoint.
    """
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"load: folder must be a path, got {brief(folder)}")
    if not isinstance(which, str) or which not in _CHECKPOINTS:
        raise ValueError(f"load: which must be one of {', '.join(map(repr, _CHECKPOINTS))}, got {brief(which)}")
    if member is not None:
        return Trained(*read_member(folder, member))
    return Trained(*run.read(folder, _CHECKPOINTS[which]))


class Trained:
    """The agent of a run.

    Attributes:
        plan: `Plan` of the run: its environment, constants, algorithm and seed.
        env: the `Environment` of its evaluations, without the constants that differ while training.
        config: the algorithm's `Config`.
        state: the algorithm's state, as its checkpoint has it.
    """

    def __init__(self, plan, state):
        self.plan, self.state, self.config = plan, state, plan.config
        self.env = plan.evaluation_envs(1).env
        self._keys = 0

    def __repr__(self):
        return f"Trained({self.plan.algorithm} on {self.plan.name}, {self.steps:,} steps)"

    @property
    def steps(self):
        """Environment steps of its training."""
        return self.plan.steps_after(self.state.updates)

    def act(self, obs, key=None):
        """An action for one observation, or actions for a batch of any size.

        Args:
            obs: as the observation space declares it, with any axes in front; JAX or NumPy arrays.
            key: a JAX key; then the action is sampled as in training. Without one it is the best known action.
        Returns:
            An element of the action space, or a batch of them, JAX arrays. It can be called inside `jit` and `vmap`.
        Raises:
            ValueError: for observations of another shape.
        """
        _check_shape(self.env.observation_space, obs)
        arguments = self.config, self.env, self.state, jax.tree.map(jax.numpy.asarray, obs)
        return _act(ALGORITHMS[self.plan.algorithm], *arguments, key)

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """An action as Stable-Baselines3's `predict` gives it.

        Args:
            observation: NumPy arrays; one observation or a batch.
            state, episode_start: not used; they are there because Stable-Baselines3 has them.
            deterministic: the best known action; if False, one sampled as in training.
        Returns:
            (action, None): NumPy arrays. The second is the state of a recurrent policy, and there is none.
        Raises:
            ValueError: as `act`.
        """
        key = None
        if not deterministic:
            key = jax.random.fold_in(jax.random.key(self.plan.seed), self._keys)
            self._keys += 1
        return jax.tree.map(np.asarray, self.act(observation, key)), None

    def evaluate(self, episodes=1000, *, seed=0, stochastic=False, **constants):
        """Plays full episodes in parallel.

        Args:
            episodes: how many, at least 1.
            seed: of the episodes.
            stochastic: sample actions instead of the best known ones.
            constants: constants of the environment that differ from the run's.
        Returns:
            dict of Python numbers: `mean`, `standard_error`, `std`, `median`, `quantiles`, `mean_length`,
            `terminated` (share of the episodes) and `episodes`.
        Raises:
            TypeError, ValueError: for a number of episodes that is no integer of at least 1, or does not fit in memory.
        """
        memory.check_episodes(self.plan, checked_int("evaluate: episodes", episodes, 1))
        return run.evaluate_run(
            self.plan, self.state, episodes=episodes, seed=seed, stochastic=stochastic, constants=constants
        )[1]

    def film(self, path, *, episodes=None, seed=0, untrained=False):
        """Films full episodes of the greedy policy.

        Args:
            path: ending in .mp4 or .gif; its folder exists.
            episodes: how many, at least 1; by default as many as fit into 14 seconds.
            seed: of the episodes.
            untrained: show the policy with which the run began first.
        Returns:
            The path, a `pathlib.Path`.
        Raises:
            ValueError: for another ending, or an environment without a picture.
            FileNotFoundError: if the folder doesn't exist.
            ImportError: if what writes the film is not installed.
        """
        film.check_name(path)
        parts = [report.untrained(self.plan)] if untrained else []
        parts.append(report.trained(self.plan, self.state, episodes))
        return film.save(report.frames_of(self.plan, parts, seed), Path(path))


@functools.partial(jax.jit, static_argnums=0)
def _act(algorithm, config, env, state, obs, key):
    """One program for all agents of the same shapes: one that is loaded again compiles nothing."""
    act = algorithm.policy(config, env, state, greedy=key is None)
    return act(jax.random.key(0) if key is None else key, obs)


def _check_shape(space, obs, name="obs"):
    """Refuses what cannot be an element of a space, or a batch of them, by its shape."""
    if isinstance(space, spaces.Dict):
        for part in space.spaces:
            _check_shape(space.spaces[part], obs[part], f"{name}[{part!r}]")
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            _check_shape(part, obs[index], f"{name}[{index}]")
    else:
        shape, wanted = np.shape(obs), space.shape or ()
        if len(shape) < len(wanted) or shape[len(shape) - len(wanted) :] != wanted:
            raise ValueError(f"{name} must have the shape {wanted}, or end in it for a batch, got {shape}")
