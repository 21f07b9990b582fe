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
        which: "newest", the last checkpoint, or "best", the one with the highest evaluation of the learning curve.
        member: the number of a run of the sweep, trial by trial; the winner's fresh runs come last. A sweep keeps the
            last checkpoint of each run. Parts of the state that a policy does not need are None.
    Returns:
        `Trained`.
    Raises:
        TypeError: for a folder that is not a path.
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
        env: the `Environment` for evaluation, without the constants that change only in training.
        config: the algorithm's `Config`.
        state: the algorithm's state from the checkpoint.
    """

    def __init__(self, plan, state):
        self.plan, self.state, self.config = plan, state, plan.config
        self.env = plan.evaluation_envs(1).env
        self._keys = 0

    def __repr__(self):
        return f"Trained({self.plan.algorithm} on {self.plan.name}, {self.steps:,} steps)"

    @property
    def steps(self):
        """Number of environment steps of its training."""
        return self.plan.steps_after(self.state.updates)

    def act(self, obs, key=None):
        """An action for one observation, or actions for a batch of any size.

        Args:
            obs: an element of the observation space, with any leading axes; JAX or NumPy arrays.
            key: a JAX key, to sample the action as in training. Without a key, returns the best known action.
        Returns:
            An element of the action space, or a batch of them, as JAX arrays. You can call this method inside `jit` and
            `vmap`.
        Raises:
            ValueError: for observations of another shape.
        """
        _check_shape(self.env.observation_space, obs)
        arguments = self.config, self.env, self.state, jax.tree.map(jax.numpy.asarray, obs)
        return _act(ALGORITHMS[self.plan.algorithm], *arguments, key)

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Returns an action with the interface of Stable-Baselines3's `predict`.

        Args:
            observation: NumPy arrays; one observation or a batch.
            state, episode_start: not used; for compatibility with Stable-Baselines3.
            deterministic: if True, the best known action; if False, an action sampled as in training.
        Returns:
            (action, None): NumPy arrays. The second value is the state of a recurrent policy, which is not used.
        Raises:
            ValueError: as `act`.
        """
        key = None
        if not deterministic:
            key = jax.random.fold_in(jax.random.key(self.plan.seed), self._keys)
            self._keys += 1
        return jax.tree.map(np.asarray, self.act(observation, key)), None

    def evaluate(self, episodes=1000, *, seed=0, stochastic=False, **constants):
        """Runs full episodes in parallel.

        Args:
            episodes: number of episodes, at least 1.
            seed: seed of the episodes.
            stochastic: sample actions instead of taking the best known ones.
            constants: constants of the environment that differ from the run's.
        Returns:
            dict of Python numbers: `mean`, `standard_error`, `std`, `median`, `quantiles`, `mean_length`,
            `terminated` (fraction of the episodes) and `episodes`.
        Raises:
            TypeError, ValueError: for a number of episodes that is not an integer of at least 1, or does not fit in
                memory.
        """
        memory.check_episodes(self.plan, checked_int("evaluate: episodes", episodes, 1))
        return run.evaluate_run(
            self.plan, self.state, episodes=episodes, seed=seed, stochastic=stochastic, constants=constants
        )[1]

    def film(self, path, *, episodes=None, seed=0, untrained=False):
        """Films full episodes of the greedy policy.

        Args:
            path: a path that ends in .mp4 or .gif, in an existing folder.
            episodes: number of episodes, at least 1; by default as many as fit into 14 seconds.
            seed: seed of the episodes.
            untrained: first show the policy before training.
        Returns:
            The path, a `pathlib.Path`.
        Raises:
            ValueError: for another file extension, or an environment without a picture.
            FileNotFoundError: if the folder doesn't exist.
            ImportError: if a library that writes the film is not installed.
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
