"""Half an hour of everything that a long-lived process does: whether memory, files, threads and compilations grow.

    python -m benchmarks.soak                            # thirty minutes
    python -m benchmarks.soak --minutes 2 --warm 1

One process trains all five algorithms, each in a run's folder of its own. A round is, for each algorithm: some updates,
a row of the log, a checkpoint and a point of the learning curve, as the driver makes them; then the checkpoint is
loaded, acts, is evaluated with a constant that was never used before; one in five is filmed. Besides, a round makes
environments with new constants: by `make_vec` with `rollout`, and by `gymnasium.make` and `gymnasium.make_vec`.

A row for each part of the time, and one of the whole: resident memory, open files, threads and rounds at its end, and
the programs that were compiled in it. After the first minutes there must be none.
"""

import argparse
import gc
import tempfile
import threading
import time
import warnings
from pathlib import Path

import gymnasium
import jax

import jaxenvs
from benchmarks.common import save
from benchmarks.memory import give_back, resident
from train.presets import ALGORITHMS
from train.runs.compiling import use_compilation_cache
from train.runs.identity import identity
from train.runs.load import load
from train.runs.log import Log
from train.runs.plan import Plan, write_plan
from train.runs.programs import Programs
from train.runs.saver import Saver

_REPLAY = {"num_envs": 8, "num_steps": 8, "gradient_steps": 4, "batch_size": 32, "capacity": 8192, "hidden": (16, 16)}
_BATCH = {"num_envs": 16, "num_steps": 32, "minibatches": 2, "hidden": (16, 16)}
#: What each algorithm is trained with, and the constant that changes with every round.
SHAPES = {
    "ppo": ("CartPole-v1", "gravity", _BATCH),
    "dqn": ("CartPole-v1", "gravity", _REPLAY),
    "pqn": ("HeartPole-v0", "heart_attack_proclivity", {**_BATCH, "segment": 8}),
    "td3": ("Pendulum-v1", "gravity", _REPLAY),
    "sac": ("Pendulum-v1", "gravity", _REPLAY),
}
#: Parts of the time; compilations count from the end of the warm-up.
PARTS = 6


class Compilations:
    """Counts the programs that JAX compiles from now on; one that its cache on the disk holds counts as well."""

    def __init__(self):
        self.count, self.names = 0, []
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, event, duration_secs, **kwargs):
        if event.endswith("backend_compile_duration"):
            self.count += 1
            self.names.append(str(kwargs.get("fun_name", "?")))


class Trainee:
    """A run that goes on a little at each call, with the pieces of the driver."""

    def __init__(self, name, folder):
        self.id, self.constant, shape = SHAPES[name]
        algorithm = ALGORITHMS[name]
        self.plan = Plan(
            algorithm=name, env=self.id, constants={}, training={}, curve_as_trained=False,
            config=algorithm.Config(**shape), total_steps=10**9, seed=0,
        )  # fmt: skip
        self.folder = Path(folder) / name
        self.folder.mkdir()
        write_plan(self.plan, self.folder)
        self._programs = Programs(self.plan, None)
        self._state, self._log = self._programs.begin(), Log(self.folder)
        self._saver = Saver(self.folder, identity(self.plan), every=30.0, keep=2)

    def round(self, number, filmed):
        """Trains, logs, saves and evaluates once, and films the agent if `filmed`."""
        self._state, metrics = self._programs.advance(self._state, 4)
        row = {"steps": self.plan.steps_after(self._state.updates), "return_mean": float(metrics.return_sum)}
        self._log.write(row | self._programs.assess(self._state))
        self._saver.save(self._state)
        self._saver.keep_if_best(self._state, self._log.rows)
        agent = load(self.folder)
        space = agent.env.observation_space
        agent.act(jax.numpy.zeros(space.shape))
        agent.evaluate(64, seed=number, **{self.constant: fresh(self.id, self.constant, number)})
        if filmed:
            agent.film(self.folder / "film.gif", episodes=1, seed=number)

    def close(self):
        self._log.close()
        self._programs.close()


def fresh(id, constant, number):
    """A value of a constant that no round had before: within a tenth of the default."""
    return getattr(jaxenvs.make(id), constant) * (0.9 + 0.2 * ((number * 0.6180339887) % 1.0))


def environments(number):
    """Makes and steps environments whose constants are new."""
    for id, constant in {shape[0]: shape[1] for shape in SHAPES.values()}.items():
        value = fresh(id, constant, number)
        envs = jaxenvs.make_vec(id, 64, **{constant: value})
        state, obs = envs.reset(jax.random.key(number))
        jaxenvs.rollout(envs, lambda key, obs, envs=envs: envs.sample_actions(key), jax.random.key(1), state, obs, 20)
        one = gymnasium.make(f"jaxenvs/{id}", **{constant: value})
        one.reset(seed=number)
        one.step(one.action_space.sample())
        one.close()
        batch = gymnasium.make_vec(f"jaxenvs/{id}", num_envs=4, **{constant: value})
        batch.reset(seed=number)
        batch.step(batch.action_space.sample())
        batch.close()


def note(compilations, rounds, began):
    """What the process holds now."""
    gc.collect()
    give_back()
    return {
        "seconds": round(time.perf_counter() - began), "rounds": rounds, "resident_mb": round(resident() / 2**20, 1),
        "files": len(list(Path("/proc/self/fd").iterdir())), "threads": len(list(Path("/proc/self/task").iterdir())),
        "python_threads": threading.active_count(), "compilations": compilations.count,
    }  # fmt: skip


def soak(minutes, warm):
    """Rows: at the end of the warm-up, and of each part of the time after it."""
    compilations, began, rows, rounds = Compilations(), time.perf_counter(), [], 0
    ends = [60 * (warm + (minutes - warm) * part / PARTS) for part in range(PARTS + 1)]
    with tempfile.TemporaryDirectory() as folder:
        trainees = [Trainee(name, folder) for name in SHAPES]
        while ends:
            for index, trainee in enumerate(trainees):
                # A film takes as long as all the rest. In the first round, each is filmed.
                trainee.round(rounds, filmed=not rounds or rounds % len(trainees) == index)
            environments(rounds)
            rounds += 1
            if time.perf_counter() - began >= ends[0]:
                ends.pop(0)
                rows.append(note(compilations, rounds, began))
                print(rows[-1], sorted(set(compilations.names)) if len(rows) > 1 else "", flush=True)
                compilations.names.clear()
        for trainee in trainees:
            trainee.close()
    return rows


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm", type=float, default=3.0, help="minutes after which nothing is compiled any more")
    parser.add_argument("--name", default="soak", help="of the file in benchmarks/results/")
    options = parser.parse_args(arguments)
    use_compilation_cache()
    # Gymnasium warns of spaces without bounds, at every environment.
    warnings.simplefilter("ignore")
    rows = soak(options.minutes, options.warm)
    late = rows[-1]["compilations"] - rows[0]["compilations"]
    grown = rows[-1]["resident_mb"] - rows[len(rows) // 2]["resident_mb"]
    save(options.name, rows, compiled_after_the_warm_up=late, mb_grown_in_the_second_half=round(grown, 1))


if __name__ == "__main__":
    main()
