"""Members of a sweep that are trained side by side, as one program."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxenvs import VectorEnv

from ..floor.evaluate import evaluate
from ..floor.memory import num_bytes
from ..floor.sharding import batch_sharding, mesh_of, per_device
from ..presets import ALGORITHMS
from ..runs.compiling import compiled, run_often, run_once, untuned
from ..runs.plan import KEYS
from ..runs.sound import looked_at
from .space import member_plan

# Lanes that a CPU trains at once, so that what an update holds fits in its caches. Milliseconds of processor time for
# an update of a member, with 1, 4 and 16 of 16 at once: PPO with 16 x 128 steps 8.8, 8.3 and 14.2, with 16 x 64 steps
# and layers of 32 units 0.67, 0.52 and 1.17, DQN 1.68, 1.67 and 2.82 (AMD EPYC; a run by itself 8.0, and DQN 1.8).
_TOGETHER = 4
# Copies of a batch's states that an evaluation holds: old, new, those of fresh episodes, and its results.
_EVALUATION_COPIES = 4


class Population:
    """Members with equal static fields, in the lanes of one program.

    A member is trained as a run with its values and its seed alone would be, but for rounding.

    Args:
        plan: a `Plan` with the static fields of all members.
        names: names of the parameters that differ, whose fields are not static.
        size: number of members, a multiple of `devices`.
        episodes: of an evaluation.
        devices: how many share the members.
    """

    def __init__(self, plan, names, size, episodes, devices=1):
        self._plan, self._episodes, self._size = plan, episodes, size
        self._algorithm, self._mesh = ALGORITHMS[plan.algorithm], mesh_of(devices)
        values = {name: jnp.zeros((size, *shape), dtype) for name, (shape, dtype) in kinds_of(plan, names).items()}
        seeds, key = jnp.zeros(size, jnp.uint32), plan.key(0)
        # One by one on a CPU: LAPACK's QR of several matrices, for orthogonal weights, waits in one of XLA's threads
        # for others of them, and two devices that wait at once have none left (jaxlib 0.10.2): the program hung.
        one_by_one = jax.default_backend() == "cpu"
        init = jax.jit(self._spread(self._begin, one_by_one=one_by_one))
        #: The states as shapes, a pytree.
        self.like = like = jax.eval_shape(init, values, seeds)
        self._layout = layout = None if self._mesh is None else batch_sharding(self._mesh, like)
        self._init = compiled(init.lower(values, seeds), run_once())
        if layout is not None:
            like = jax.tree.map(lambda x, of: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=of), like, layout)
        # The states are donated: replay buffers are not held twice.
        advance = jax.jit(self._advance, donate_argnums=1)
        counts = jnp.ones(size, jnp.int32)
        self._step = compiled(advance.lower(values, like, counts, key), {**run_often(), **untuned()})
        # Compiled at their first call: only some searches need them.
        self._replace = jax.jit(_replaced, donate_argnums=1, out_shardings=layout)
        self._copy = jax.jit(_copied, donate_argnums=0, out_shardings=layout)

    @property
    def bytes_per_member(self):
        """Memory of the program for each member, as XLA plans it; None where XLA does not say."""
        found = self._step.memory_analysis()
        if found is None:
            return None
        used = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
        return max(0, used - found.alias_size_in_bytes) / self._size

    def begin(self, values, seeds):
        """The initial states.

        Args:
            values: dict of name to array [size, ...].
            seeds: u32[size], each that of a plain run.
        Returns:
            A pytree of arrays [size, ...].
        """
        return self._init(self._arrays(values), self._placed(jnp.asarray(seeds, jnp.uint32)))

    def advance(self, values, states, count, key):
        """`count` updates of each member, and an evaluation. The states that are given cannot be used any more.

        Args:
            values: as for `begin`.
            states: of `begin` or of this function.
            count: updates, an int; or i32[size], a number or 0 for each lane. A lane with 0 is one that nobody needs:
                it may be trained all the same, and is not where that saves time.
            key: of the evaluation: all members play the same episodes.
        Returns:
            (states, f32[size] mean returns, bool[size] whether all of a member's learner is finite).
        """
        counts = self._placed(jnp.asarray(np.broadcast_to(np.asarray(count, np.int32), self._size)))
        return self._step(self._arrays(values), self.placed(states), counts, key)

    def replace(self, values, states, seeds, fresh):
        """Initial states in some lanes. The states that are given cannot be used any more.

        Args:
            values, seeds: as for `begin`; those of the other lanes are not used.
            states: of `begin` or `advance`.
            fresh: bool[size], the lanes that begin again.
        Returns:
            The states of `begin` where `fresh` is set, and the given ones elsewhere.
        """
        return self._replace(self._placed(jnp.asarray(fresh, bool)), self.placed(states), self.begin(values, seeds))

    def copy(self, states, source):
        """Copies lanes over others, with all they hold but their keys. The given states cannot be used any more.

        Args:
            states: of `begin` or `advance`.
            source: i32[size], the lane whose state each lane gets.
        Returns:
            The states. A lane keeps its own key, so that it continues with other random numbers than its source.
        """
        return self._copy(self.placed(states), jnp.asarray(source, jnp.int32))

    def placed(self, states):
        """States on the devices of the program, such as those that were read from a file."""
        # Empty arrays come back as replicated ones.
        return states if self._layout is None else jax.device_put(states, self._layout)

    def _arrays(self, values):
        kinds = kinds_of(self._plan, values)
        return {name: self._placed(jnp.asarray(np.asarray(values[name]), kinds[name][1])) for name in values}

    def _placed(self, array):
        return array if self._mesh is None else jax.device_put(array, batch_sharding(self._mesh, array))

    def _spread(self, function, one_by_one=False):
        """A function of the members' arrays, and of what they share, on all devices."""

        def lanes(both, shared):
            one = lambda both: function(*both, *shared)  # noqa: E731
            return jax.lax.map(one, both) if one_by_one else jax.vmap(one)(both)

        @functools.wraps(function)
        def call(values, parts, *shared):
            return per_device(self._mesh, lanes, (values, parts), axis=0, shared=shared)

        return call

    def _begin(self, values, seed):
        plan = member_plan(self._plan, values)
        return self._algorithm.init(plan.config, plan.training_envs(), KEYS[plan.keys](jax.random.key(seed)))

    def _advance(self, values, states, counts, key):
        states = per_device(self._mesh, self._train_lanes, (values, states, counts), axis=0)
        return states, *self._spread(self._evaluate)(values, states, key)

    def _train_lanes(self, lanes):
        """The states of a device's lanes after their updates, a few lanes after the other."""

        def train(lanes):
            values, states, counts = lanes
            # One number for all of them: with one for each, every update would select between old and new states.
            return jax.vmap(self._train, in_axes=(0, 0, None))(values, states, counts.max())

        count = len(lanes[2])
        together = _together(count)
        if together == count:
            return train(lanes)
        values, states, counts = lanes

        def block(number, states):
            cut = lambda x: jax.lax.dynamic_slice_in_dim(x, number * together, together)  # noqa: E731
            found = train(jax.tree.map(cut, (values, states, counts)))
            put = lambda x, new: jax.lax.dynamic_update_slice_in_dim(x, new, number * together, 0)  # noqa: E731
            return jax.tree.map(put, states, found)

        # Not `lax.map`, which would hold the states of all lanes twice, and refuses empty arrays.
        return jax.lax.fori_loop(0, count // together, block, states)

    def _train(self, values, state, count):
        plan = member_plan(self._plan, values)
        config, envs = self._algorithm.scheduled(plan.config, plan.num_updates), plan.training_envs()
        return jax.lax.fori_loop(0, count, lambda _, state: self._algorithm.update(config, envs, state)[0], state)

    def _evaluate(self, values, state, key):
        plan = member_plan(self._plan, values)
        envs = plan.evaluation_envs(self._episodes)
        returns = evaluate(envs, self._algorithm.policy(plan.config, envs, state), key).episode_return
        return returns.mean(), finite(state)


def _together(count):
    """How many of a device's lanes are trained at once: all, and on a CPU a divisor of their number."""
    if jax.default_backend() != "cpu":
        return count
    return max(number for number in range(1, _TOGETHER + 1) if count % number == 0)


def _replaced(fresh, states, begun):
    def one(state, new):
        return jnp.where(fresh.reshape(-1, *[1] * (new.ndim - 1)), new, state)

    return jax.tree.map(one, states, begun)


def _copied(states, source):
    return jax.tree.map(lambda leaf: leaf[source], states)._replace(key=states.key)


def finite(state):
    """bool[], whether the arrays of a training state that have to be finite are."""
    checks = [
        jnp.isfinite(leaf).all()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
        if jnp.issubdtype(leaf.dtype, jnp.floating) and looked_at(path)
    ]
    return jnp.stack(checks).all()


def kinds_of(plan, names):
    """dict of name to (shape, dtype) of the values of parameters, which are not static."""
    found = {}
    for name in names:
        owner = plan.training_envs().env if "." in name else plan.config
        default = np.asarray(type(owner).__dataclass_fields__[name.rpartition(".")[2]].default)
        kind = {"f": jnp.float32, "i": jnp.int32, "b": jnp.bool_}[default.dtype.kind]
        found[name] = default.shape, kind
    return found


def estimated_bytes(plan, episodes, copies=2):
    """Memory that a member needs at least: its states, the steps of an update, and an evaluation.

    Args:
        plan: a `Plan`.
        episodes: of an evaluation.
        copies: of its state at once: the old one and the new one, and one that takes its lane.
    """
    algorithm = ALGORITHMS[plan.algorithm]
    state = jax.eval_shape(algorithm.init, plan.config, plan.training_envs(), plan.key(0))
    one = jax.eval_shape(VectorEnv.reset, plan.evaluation_envs(1), jax.random.key(0))
    kept = num_bytes(one[1]) + 4
    steps = plan.steps_per_update * kept
    return copies * num_bytes(state) + steps + episodes * _EVALUATION_COPIES * num_bytes(one)
