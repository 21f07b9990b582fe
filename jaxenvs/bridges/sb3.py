"""Stable-Baselines3: a batch of environments as its `VecEnv`, and a policy of ours with its `predict`."""

import itertools
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from stable_baselines3.common.vec_env import VecEnv  # pyright: ignore[reportMissingImports]

from jaxenvs.registry import make_vec
from jaxenvs.vector import member


class JaxVecEnv(VecEnv):
    """A batch of environments for Stable-Baselines3: autoreset in the same step, NumPy arrays, an info dict each.

    An episode's last info contains `terminal_observation`, `TimeLimit.truncated` (true only if the episode did not
    also terminate), and `episode` with its return `r` and length `l`, as SB3's `Monitor` writes them.

    Args:
        env_id: a registered id, an `Environment`, or a `VectorEnv`.
        num_envs: size of the batch.
        seed: the seed of all random numbers; `seed()` changes it from the next reset on.
        constants: as for `jaxenvs.make_vec`, `max_episode_steps` included.
    """

    def __init__(self, env_id, num_envs, *, seed=0, render_mode=None, **constants):
        self.envs = make_vec(env_id, num_envs, **constants)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": self.envs.env.render_fps}
        # Before and after: SB3's own constructor asks for it, and overwrites it.
        self.render_mode = render_mode
        super().__init__(num_envs, self.envs.single_observation_space, self.envs.single_action_space)
        self.render_mode = render_mode
        self.spec = _spec(env_id)
        self._seed, self._resets, self._steps = seed, 0, 0
        self._state: Any = None
        self._actions: Any = None
        self._key: Any = None

    def reset(self):
        """Resets all environments; returns the observations as NumPy arrays."""
        if self._seeds[0] is not None:
            self._seed, self._resets = int(self._seeds[0]), 0
        self._reset_seeds()
        self._reset_options()
        self._key = jax.random.fold_in(jax.random.key(self._seed), self._resets)
        self._resets, self._steps = self._resets + 1, 0
        self._state, obs = self.envs.reset(self._key)
        return jax.tree.map(np.array, obs)

    def step_async(self, actions):
        """Stores the actions for `step_wait`; a ValueError for any outside the space."""
        if self._state is None:
            raise RuntimeError("step() needs a reset() first")
        self._actions = np.asarray(actions)

    def step_wait(self):
        """(observations, rewards, dones, infos) of the step that `step_async` started."""
        self._steps += 1
        self._state, step = self.envs.step(_step_key(self._key, self._steps), self._state, self._actions)
        obs, reward = jax.tree.map(np.array, step.obs), np.array(step.reward)
        done = np.asarray(step.terminated) | np.asarray(step.truncated)
        infos = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        if done.any():
            _write_last_infos(infos, jax.tree.map(np.asarray, step), np.flatnonzero(done))
        return obs, reward, done, infos

    def close(self):
        """Does nothing: there is nothing to close."""

    def seed(self, seed=None):
        """One seed for the entire batch, used at the next reset."""
        return [super().seed(seed)[0]] * self.num_envs

    def get_attr(self, attr_name, indices=None):
        """An attribute or constant of each environment; `render_mode` and `spec` are those of the batch."""
        if attr_name in ("metadata", "render_mode", "spec"):
            return [getattr(self, attr_name, None) for _ in self._get_indices(indices)]
        return [getattr(member(self.envs, index), attr_name) for index in self._get_indices(indices)]

    def set_attr(self, attr_name, value, indices=None):
        """Sets a constant in all or some environments, after checking it; other attributes are refused.

        Raises:
            TypeError, ValueError: as `Environment.replace` does.
        """
        old = getattr(self.envs.env, attr_name, None)
        self._replaced(attr_name, value)
        if indices is not None:
            everyone = np.broadcast_to(np.asarray(old), (self.num_envs, *np.shape(value))).copy()
            everyone[list(self._get_indices(indices))] = value
            value = everyone
        self.envs = make_vec(self.envs, self.num_envs, **{attr_name: value})

    def env_method(self, method_name, *method_args, indices=None, **method_kwargs):
        """Calls a method of each environment, such as `observe`; `render` gets the environment's current state."""
        found = list(self._get_indices(indices))
        if method_name == "render":
            return [self._picture(index) for index in found]
        return [getattr(member(self.envs, index), method_name)(*method_args, **method_kwargs) for index in found]

    def env_is_wrapped(self, wrapper_class, indices=None):
        """False for each: there are no wrappers."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self):
        """A picture of each environment."""
        return [self._picture(index) for index in range(self.num_envs)]

    def _replaced(self, name, value):
        return self.envs.env.replace(**{name: value})

    def _picture(self, index):
        return member(self.envs, index).render(jax.tree.map(lambda x: np.asarray(x)[index], self._state.env_state))


class Predictor:
    """A policy of ours with Stable-Baselines3's `predict`, so that its `evaluate_policy` runs it.

    Args:
        greedy: `act(key, obs) -> action` for a batch of observations, used if `deterministic`.
        stochastic: used otherwise; `greedy` by default.
        seed: the seed of the stochastic actions.
    """

    def __init__(self, greedy, stochastic=None, *, seed=0):
        self._acts = {True: jax.jit(greedy), False: jax.jit(stochastic or greedy)}
        self._keys = (jax.random.fold_in(jax.random.key(seed), count) for count in itertools.count())

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        """(actions, None) for a batch of observations."""
        return np.asarray(
            self._acts[bool(deterministic)](next(self._keys), jax.tree.map(jnp.asarray, observation))
        ), None


def _spec(env_id):
    """Gymnasium's `EnvSpec` of a registered id, or None."""
    return gymnasium.registry.get(env_id if "/" in env_id else f"jaxenvs/{env_id}") if isinstance(env_id, str) else None


@jax.jit
def _step_key(key, count):
    return jax.random.fold_in(key, count)


def _write_last_infos(infos, step, ended):
    for index in ended:
        infos[index] = {
            "terminal_observation": jax.tree.map(lambda x, i=index: x[i].copy(), step.final_obs),
            "TimeLimit.truncated": bool(step.truncated[index] and not step.terminated[index]),
            "episode": {"r": float(step.episode_return[index]), "l": int(step.episode_length[index]), "t": 0.0},
        }
