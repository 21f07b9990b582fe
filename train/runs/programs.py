"""The programs of a run: its initial state, a chunk of updates, and the evaluation for its curve."""

import functools
from concurrent.futures import ThreadPoolExecutor

import jax

from ..floor.episodes import merged, no_metrics
from ..floor.evaluate import evaluate, summary
from ..floor.sharding import place, replicated
from ..presets import ALGORITHMS
from . import hosts
from .compiling import compiled, host, run_often, run_once, untuned
from .schedule import plan_at

# From this number of steps on, autotuning on a GPU pays for its time (measured on an H200).
_TUNED_FROM = 300_000_000
#: Episodes of an evaluation for the learning curve.
CURVE_EPISODES = 1024


class Programs:
    """What a run computes on its devices, compiled in parallel while the caller continues.

    Args:
        plan: `Plan` of the run.
        mesh: of `sharding.mesh_of`, or None.
    """

    def __init__(self, plan, mesh):
        self._plan, self._mesh = plan, mesh
        self._algorithm = ALGORITHMS[plan.algorithm]
        first = plan_at(plan, 0)
        self._config = self._algorithm.scheduled(first.config, plan.num_updates)
        self._envs = first.training_envs()
        self._watched = plan.evaluation_envs(CURVE_EPISODES, **(plan.training if plan.curve_as_trained else {}))
        self._key = plan.key(plan.seed + 1)
        like = jax.eval_shape(self._algorithm.init, plan.config, self._envs, self._key)
        self._shardings = None if mesh is None else self._algorithm.shardings(mesh, like)
        if mesh is not None:
            like = jax.tree.map(
                lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like, self._shardings
            )
        # XLA compiles without Python's lock. The longest goes first.
        self._pool = ThreadPoolExecutor(2)
        stays = None if mesh is None else (self._shardings, replicated(mesh, 0))
        # The state is donated: a replay buffer is not copied, and is not held twice.
        advance = jax.jit(self._chunk, out_shardings=stays, donate_argnums=2)
        advance = advance.lower(self._config, self._envs, like, 1)
        hints = run_often() if plan.total_steps >= _TUNED_FROM else {**run_often(), **untuned()}
        self._advance = self._pool.submit(compiled, advance, hints)
        watch = jax.jit(self._watch, out_shardings=None if mesh is None else replicated(mesh, 0))
        watch = watch.lower(self._config, self._watched, like, self._key)
        self._look = self._pool.submit(compiled, watch, untuned())

    @property
    def devices(self):
        """How many share the training."""
        return 1 if self._mesh is None else self._mesh.size

    def begin(self):
        """The initial state of a run.

        It is made on the CPU: a GPU takes seconds to compile orthogonal matrices, and to load what makes them.
        """
        if jax.default_backend() == "cpu":
            return self._initial(self._shardings)
        with jax.default_device(host()):
            state = self._initial(None)
        return self.placed(state) if self._mesh else jax.device_put(state, jax.local_devices()[0])

    def _initial(self, layout):
        arguments = plan_at(self._plan, 0).config, self._envs, self._plan.key(self._plan.seed)
        init = jax.jit(self._algorithm.init, out_shardings=layout).lower(*arguments)
        return compiled(init, run_once())(*arguments)

    def placed(self, state):
        """The state where `advance` has it. The state that is given cannot be used any more."""
        return state if self._shardings is None else place(state, self._shardings)

    def wait(self):
        """Returns once all is compiled."""
        for program in (self._look, self._advance):
            program.result()

    def close(self):
        self._pool.shutdown()

    def advance(self, state, count):
        """`count` updates: (state, their merged metrics). The state that is given cannot be used any more.

        All of them have the values of the first one: see `schedule.updates_until_change`.
        """
        config, envs = self._config, self._envs
        if self._plan.schedule:
            plan = plan_at(self._plan, int(state.updates))
            config, envs = self._algorithm.scheduled(plan.config, plan.num_updates), plan.training_envs()
        return self._advance.result()(config, envs, state, count)

    def assess(self, state):
        """A point of the learning curve."""
        figures = summary(self._look.result()(self._config, self._watched, state, self._key))
        return {"eval_mean": figures["mean"], "eval_se": figures["standard_error"]}

    def _chunk(self, config, envs, state, count):
        update = self._algorithm.update
        if self._mesh is not None:
            update = functools.partial(update, mesh=self._mesh)

        def one(_, carry):
            state, total = carry
            state, metrics = update(config, envs, state)
            return state, merged(total, metrics)

        like = jax.eval_shape(update, config, envs, state)[1]
        return jax.lax.fori_loop(0, count, one, (state, no_metrics(like)))

    def _watch(self, config, envs, state, key):
        # Devices that share episodes wait for each other every few steps: over a network, that takes longer than
        # playing all of them on each device.
        shared = self._mesh is not None and CURVE_EPISODES % self._mesh.size == 0 and not hosts.several()
        return evaluate(envs, self._algorithm.policy(config, envs, state), key, self._mesh if shared else None)
