"""`Probe`: an environment in use; everything that the rules need is computed once."""

import collections
import functools
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxenvs import spaces
from jaxenvs.check.keys import recorded, watched
from jaxenvs.check.random_walk import random_walk
from jaxenvs.constants import kind_of
from jaxenvs.core import Environment
from jaxenvs.explain.blame import author_files
from jaxenvs.explain.trees import differences, labelled, on_host

#: Steps of the single environment that is stepped outside a batch.
WALK_STEPS = 100
#: Minimum size of the batch that is compared with single environments.
BATCH_SIZE = 32
#: Number of draws that are examined.
NUM_DRAWS = 512
#: Number of sets of keys, a key for each member of the batch, that randomness is looked for in.
KEY_SETS = 16


class Transition(NamedTuple):
    """One step: its arguments and its result."""

    key: Any
    state: Any
    action: Any
    #: What `step` returned: (state, Step).
    result: Any


class Batch(NamedTuple):
    """A batch of environments, some with one constant changed, and the arguments to step them with."""

    #: The single environments, and the name of the constant that is changed in each; None if unchanged.
    singles: list[Any]
    changed: list[str | None]
    #: The same with a leading batch axis: environments, keys, states and actions.
    envs: Any
    keys: Any
    states: Any
    actions: Any


class EagerRun(NamedTuple):
    """One call of a method without `jax.jit`."""

    method: str
    args: tuple
    #: Copies of the same arguments, as they were after the call.
    given: tuple
    #: What it returned, with its parts named.
    result: Any
    #: How the keys were used, a list of `keys.Use`.
    uses: list


class Probe:
    """An environment in use.

    Args:
        env: an `Environment`. Properties are computed when first used, by the environment's own code, and raise what
            that code raises.
    """

    def __init__(self, env):
        self.env = env
        #: How often JAX traced `self.reset` and `self.step`.
        self.traces = collections.Counter()
        #: What the rule that is being checked has measured, for the report.
        self.measured = {}

    @functools.cached_property
    def author_files(self):
        """The names of the files with the author's code."""
        return author_files(type(self.env))

    @staticmethod
    def key(use):
        """A separate key for each use."""
        return jax.random.key(zlib.crc32(use.encode()), impl="threefry2x32")

    def keys(self, use, count):
        return jax.random.split(self.key(use), count)

    def key_sets(self, use):
        """KEY_SETS sets of keys, one for each member of the batch."""
        return (self.keys(f"{use} {i}", len(self.batch.singles)) for i in range(KEY_SETS))

    def defines(self, method):
        """Whether the author wrote this method."""
        return getattr(type(self.env), method, None) is not getattr(Environment, method, None)

    @functools.cached_property
    def reset_result(self):
        """What `env.reset` returned, of any type."""
        return self.env.reset(self.key("start"))

    @property
    def state(self):
        return self.reset_result[0]

    @functools.cached_property
    def step_result(self):
        """What `env.step` returned, of any type."""
        action = spaces.sample(self.env.action_space, self.key("first action"))
        return self.env.step(self.key("first step"), self.state, action)

    @functools.cached_property
    def example_args(self):
        """Arguments of the two methods, including `self`: {"reset": (env, key), "step": (env, key, state, action)}."""
        action = spaces.sample(self.env.action_space, self.key("example action"))
        return {
            "reset": (self.env, self.key("example")),
            "step": (self.env, self.key("example"), self.state, action),
        }

    @functools.cached_property
    def jaxprs(self):
        """The two methods as JAX traces them."""
        return {name: jax.make_jaxpr(getattr(type(self.env), name))(*args) for name, args in self.example_args.items()}

    def reset(self, env, key):
        """`reset`, jitted, with its traces counted; also for `variants`."""
        return self._counted("reset", env, key)

    def step(self, env, key, state, action):
        """`step`, jitted, with its traces counted; also for `variants`."""
        return self._counted("step", env, key, state, action)

    def _counted(self, name, *args):
        before = TRACES[type(self.env), name]
        result = single(type(self.env), name)(*args)
        self.traces[name] += TRACES[type(self.env), name] - before
        return result

    @functools.cached_property
    def walk(self):
        """WALK_STEPS random steps of one environment, as a list of `Transition`; it is reset where it ends."""
        keys = list(self.keys("walk", WALK_STEPS))
        actions = on_host(spaces.sample(self.env.action_space, self.key("walk actions"), (WALK_STEPS,)))
        state, _ = self.reset(self.env, self.key("walk start"))
        transitions = []
        for t, key in enumerate(keys):
            action = jax.tree.map(lambda leaf: leaf[t], actions)  # noqa: B023
            transitions.append(Transition(key, state, action, self.step(self.env, key, state, action)))
            state, step = transitions[-1].result
            if bool(step.terminated):
                state, _ = self.reset(self.env, key)
        return transitions

    @functools.cached_property
    def variants(self):
        """(name, env) for each constant that can be changed; in `env` it is changed."""
        names = [path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(self.env)]
        changed = [(name, variant(self.env, name)) for name in names]
        return [(name, env) for name, env in changed if env is not None]

    @functools.cached_property
    def batch(self):
        """A `Batch`: three environments as they are, each variant, and copies up to BATCH_SIZE."""
        members = [(None, self.env)] * 3 + self.variants
        members += [(None, self.env)] * (BATCH_SIZE - len(members))
        transitions = [self.walk[i % WALK_STEPS] for i in range(len(members))]
        return Batch(
            singles=[env for _, env in members],
            changed=[name for name, _ in members],
            envs=stack([env for _, env in members]),
            keys=self.keys("batch", len(members)),
            states=stack([one.state for one in transitions]),
            actions=stack([one.action for one in transitions]),
        )

    def run_batch(self, method, keys):
        """What `reset` or `step` of the `Batch` returns for other keys, with its parts named."""
        batch = self.batch
        rest = () if method == "reset" else (batch.states, batch.actions)
        return on_host(labelled(method, batched(type(self.env), method)(batch.envs, keys, *rest)))

    @functools.cached_property
    def batch_results(self):
        """What the `Batch` returns: {"reset": ..., "step": ...}."""
        return {method: self.run_batch(method, self.batch.keys) for method in ("reset", "step")}

    @functools.cached_property
    def loop_results(self):
        """The same for each member alone: a list of such dicts."""
        batch, results = self.batch, []
        for i, (env, key) in enumerate(zip(batch.singles, batch.keys, strict=True)):
            transition = self.walk[i % WALK_STEPS]
            moved = self.step(env, key, transition.state, transition.action)
            results.append({"reset": labelled("reset", self.reset(env, key)), "step": labelled("step", moved)})
        return results

    def batch_differences(self):
        """(member, name, value in the batch, value alone) for each number that differs in a batch."""
        for i, alone in enumerate(self.loop_results):
            for method in ("reset", "step"):
                together = jax.tree.map(lambda leaf: leaf[i], self.batch_results[method])  # noqa: B023
                for difference in differences(together, alone[method], f"{method}'s ", exact=False):
                    yield i, *difference

    @functools.cached_property
    def random_walk(self):
        """1000 random steps of a small batch: (VectorState, Extremes)."""
        return random_walk(self)

    @functools.cached_property
    def disturbed_random_walk(self):
        """The same, with a different first member."""
        return random_walk(self, disturbed=True)

    @functools.cached_property
    def eager_runs(self):
        """A reset, some steps and, where there is a split, batched draws, without `jax.jit`: a list of `EagerRun`."""
        calls = [("reset", (self.key("eager reset"),))]
        calls += [("step", self.walk[t][:3]) for t in (0, 1, WALK_STEPS // 2)]
        calls += [(name, (self.key(name), (3,))) for name in ("draw_start", "draw") if self.defines(name)]
        return [self.run_eagerly(method, args) for method, args in calls]

    def run_eagerly(self, method, args):
        """Calls a method of the environment without `jax.jit`, and records the uses of its key."""
        given = jax.tree.map(lambda leaf: leaf, args)
        with jax.disable_jit(), recorded(self.author_files) as uses:
            result = getattr(self.env, method)(watched(given[0]), *given[1:])
        return EagerRun(method, args, given, labelled(method, result), uses)

    @functools.cached_property
    def draws(self):
        """For each draw method that the author wrote: {name: (one batch of NUM_DRAWS, NUM_DRAWS single draws)}."""
        drawn = {}
        for name in ("draw_start", "draw"):
            if self.defines(name):
                together = getattr(self.env, name)(self.key(f"{name} batch"), (NUM_DRAWS,))
                alone = batched(type(self.env), name, over_envs=False)
                drawn[name] = on_host(together), on_host(alone(self.env, self.keys(f"{name} single", NUM_DRAWS)))
        return drawn


#: How often JAX traced each method of `single`, by class and name.
TRACES = collections.Counter()


@functools.cache
def single(cls, name):
    """A method, jitted, with its traces counted in `TRACES`."""

    def method(env, *args):
        TRACES[cls, name] += 1
        return getattr(cls, name)(env, *args)

    return jax.jit(method)


@functools.cache
def batched(cls, name, over_envs=True):
    """A method, jitted, over a batch of keys and, by default, of environments."""
    method = getattr(cls, name)
    return jax.jit(jax.vmap(method) if over_envs else jax.vmap(method, (None, 0)))


def stack(trees):
    """One tree of NumPy arrays with a leading batch axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *trees)


def variant(env, name):
    """The environment with one constant changed a little, within its limits; None where it cannot change."""
    given = getattr(env, name)
    for candidate in _candidates(np.asarray(given)):
        # A number stays a number and an array an array, so that JAX sees the same types.
        cast: Any = type(given)
        changed = cast(candidate) if np.isscalar(given) else candidate
        if not np.array_equal(changed, given) and _allowed(env, name, changed):
            pick = lambda path, leaf: changed if path[0].name == name else leaf  # noqa: B023, E731
            return jax.tree_util.tree_map_with_path(pick, env)
    return None


def _candidates(value):
    kind = kind_of(value)
    if kind is bool:
        return [~value]
    if kind is int:
        return [value + 1, value - 1]
    moved = [value * 1.1 + 0.01, value * 0.9 - 0.01, value * 1.01, value * 0.99, value * 0.5]
    return [np.asarray(candidate, value.dtype) for candidate in moved]


def _allowed(env, name, value):
    try:
        env.replace(**{name: value})
    except (TypeError, ValueError):
        return False
    return True
