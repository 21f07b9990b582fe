"""The contract of a trainer: what the driver, the command line, films and populations need of an algorithm.

An algorithm is a module, one file in this folder, with the names of `Algorithm` at its top level. There is no base
class. It is listed in `presets.ALGORITHMS`, by the name that the command line has for it.
`tests/train/test_algorithms*.py` keep the contract for each algorithm that is listed, and for a small one of its own.

The driver works in updates. One `update` plays some steps in every environment of a batch, learns, and returns the
next state. The driver compiles a loop of updates, and between loops it logs metrics, evaluates the policy and saves
the state. So everything that training needs later is in the state: parameters, optimiser, statistics, environments, a
replay buffer, keys. A run that is resumed from a saved state equals one that was never stopped.

A run ends with an error where an array of the state is not finite any more. The driver looks at all of them but those
below fields called `env_state`, `obs`, `recent` and `replay`. It names rewards as the cause if `return_moments` or
`discounted` are among the first, and observations for `obs_moments`.

All functions are pure, and `update` can be differentiated, mapped and compiled as any JAX function. Random numbers of
update u come from `fold_in(state.key, u)`, so that they depend on nothing but the run's key and the update.
"""

from typing import Any, Protocol

from .floor.episodes import Metrics

__all__ = ["Algorithm", "Exportable", "Metrics", "State"]


class State(Protocol):
    """A pytree of arrays with at least this field."""

    #: i32[], updates made.
    updates: Any


class Algorithm(Protocol):
    """The names of an algorithm's module."""

    #: A frozen dataclass and pytree of hyperparameters, made by `floor.config.hyperparameters`. Each has a default, a
    #: range, which is checked at construction, and a `#:` comment; `--help` shows all three.
    #: Rates are leaves, so that `vmap` maps over them; counts, switches and names are static. It has `num_envs`, the
    #: number of environments played together.
    Config: Any
    #: The kinds of action spaces that it acts in: what `floor.heads.acts_in` returned for its name.
    ACTIONS: tuple[str, ...]

    def check(self, config, devices=1) -> None:
        """Refuses counts that do not fit together or on this number of devices; ranges were checked at construction.

        Raises:
            ValueError: naming the hyperparameter, its value and what is allowed.
        """
        ...

    def useful_devices(self, config, available) -> int:
        """The largest useful number of devices, at most `available` and at least 1; `check` accepts it."""
        ...

    def steps_per_update(self, config) -> int:
        """Environment steps of an update, over all environments; a Python int."""
        ...

    def warmup_steps(self, config) -> int:
        """Environment steps that `init` plays, over all environments; a Python int, 0 where it plays none.

        A run's steps are those of `init` and those of its updates together: the driver counts both.
        """
        ...

    def scheduled(self, config, num_updates) -> Any:
        """The `Config` of a run of `num_updates` updates: schedules that have no length of their own get the run's."""
        ...

    def init(self, config, envs, key) -> Any:
        """The initial training state.

        An algorithm that learns from a replay buffer plays the steps here that fill it before the first update, so
        that all updates are one program.

        Args:
            config: `Config`.
            envs: a `VectorEnv` of `config.num_envs` environments.
            key: a JAX key, ordinary or fast; it decides everything random of the run.
        Returns:
            `State`.
        Raises:
            TypeError: for spaces that the algorithm cannot observe or act in.
            ValueError: as `check`, or for a batch of another size.
        """
        ...

    def update(self, config, envs, state, mesh=None) -> tuple[Any, Metrics]:
        """Plays and learns once.

        Args:
            config, envs: as for `init`; `config` is what `scheduled` returned.
            state: `State`.
            mesh: a mesh of `floor.sharding`, or None. With a mesh, the state is sharded as `shardings` says, and the
                results are those of one device, but for the order of sums.
        Returns:
            (State, Metrics): a state of the same structure, shapes and dtypes, and what happened.
        """
        ...

    def policy(self, config, envs, state, *, greedy=True) -> Any:
        """The present policy.

        Args:
            config, state: as for `update`.
            envs: an `Environment`, or a `VectorEnv` of any size, with the spaces of the training.
            greedy: the best known action; if False, one as in training.
        Returns:
            `act(key, obs) -> action`, for one observation or a batch.
        """
        ...

    def shardings(self, mesh, state) -> Any:
        """A pytree of shardings like `state`: how a run on several devices holds it."""
        ...

    def train(self, config, env, key, num_updates) -> tuple[Any, Metrics]:
        """An entire run as one pure function; `vmap` it over keys and over rates of `config` for a population.

        Args:
            config: `Config`; `scheduled` is applied to it.
            env: an `Environment`, or a `VectorEnv` whose environment and time limit are used.
            key: as for `init`.
            num_updates: a Python int.
        Returns:
            (State, Metrics): the last state, and the metrics of each update, f32[num_updates] each.
        """
        ...


class Exportable(Protocol):
    """One more name, which an algorithm may have: without it, its policy is exported as StableHLO alone."""

    def actor(self, config, envs, state) -> Any:
        """What the greedy policy computes, as data.

        Args:
            config, envs, state: as for `Algorithm.policy`.
        Returns:
            `floor.actors.Actor`.
        """
        ...
