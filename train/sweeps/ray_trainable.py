"""What a worker of Ray Tune runs: a population of settings and seeds, evaluation by evaluation."""

import dataclasses
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ray import tune  # pyright: ignore[reportMissingImports]

from jaxenvs.precision import in_32_bits

from ..runs import checkpoint
from ..runs.compiling import allocate_as_needed, use_compilation_cache
from .elsewhere import setting_of
from .lineage import Interval, read_lineage, write_lineage
from .members import CHUNKS, Trained, chunk_path, read_curves, write_members
from .metrics import metric_of
from .population import Population
from .space import member_plan
from .statistics import ranked, score_of
from .stored import read_sweep, write_sweep

#: In a trial's `config`, the settings of a population of several: {"0": {...}, "1": {...}}.
SETTINGS = "settings"
# The full states in a checkpoint, beside what a sweep's folder has.
_STATES = "states.npz"
# The score of a population of which every setting diverged: Ray's schedulers compare, so that it must be a number.
_WORST = 3.4e38
# Trials of an experiment that have seeds of their own, for each seed of the experiment.
_TRIALS = 10_007


class Fresh(NamedTuple):
    """What trains the best setting of a sweep again."""

    #: The seed of its runs' `Plan`; no other run of the sweep has their seeds.
    seed: int
    #: The values up to each evaluation, a list of dicts.
    schedule: list


class Trainable(tune.Trainable):
    """A Ray trial: the settings of its `config`, each with the same number of seeds, trained as one program.

    A step trains up to the next evaluation and reports it. A checkpoint is a sweep's folder, from which `train.load`
    loads members. It also has the full states, and the values of each setting up to each evaluation. A checkpoint of
    another trial, as population-based training gives, is continued with the random numbers of this trial.

    Args:
        config: of Ray; a setting, or the static choices and `SETTINGS`.
        base: `SweepPlan`; its space has no values yet, and its settings are as many as a population has.
        fresh: `Fresh`, if this trial trains the best setting again; else None.
    """

    @in_32_bits
    def setup(self, config, base=None, fresh=None):
        allocate_as_needed()
        use_compilation_cache()
        self._base: Any = base
        self._fresh: Any = fresh
        self._static: Any = None
        self._population: Any = None
        self._begin(config)

    def reset_config(self, new_config):
        """Takes over another trial's place: what is compiled stays, if the static choices are the same."""
        in_32_bits(self._begin)(new_config)
        return True

    @in_32_bits
    def step(self):
        point = len(self._returns)
        count = int(self._points[point + 1] - self._points[point])
        # All trials play the same episodes, so the key is that of the experiment.
        key = self._base.evaluation_key(0 if self._fresh is None else 1, point)
        settings = self._settings_at(point)
        values = self._values_of(settings)
        self._states, returns, finite = self._population.advance(values, self._states, count, key)
        self._returns.append(np.asarray(returns))
        self._finite &= np.asarray(finite) & np.isfinite(self._returns[-1])
        self._keep(settings)
        return report(self._sweep, self._trained(), self._total) | {"done": self._is_done()}

    @in_32_bits
    def save_checkpoint(self, checkpoint_dir):
        folder = Path(checkpoint_dir)
        (folder / CHUNKS).mkdir(exist_ok=True)
        write_sweep(self._sweep, folder)
        write_members(chunk_path(folder, 0), self._trained(), self._states, self._trials)
        write_lineage(folder, self._intervals, list(self._sweep.space))
        checkpoint.save(folder / _STATES, self._states)

    @in_32_bits
    def load_checkpoint(self, checkpoint):
        folder = Path(checkpoint)
        self._states = _loaded(folder / _STATES, self._states)
        curves = read_curves(chunk_path(folder, 0))
        self._returns, self._finite = list(curves.returns), curves.finite.copy()
        self._intervals = read_lineage(folder, list(self._sweep.space))
        if read_sweep(folder).runs.seed != self._sweep.runs.seed:
            self._states = _with_keys_of(self._states, self._seeds)

    def _begin(self, config):
        seed = seed_of(self._base, self.trial_id) if self._fresh is None else self._fresh.seed
        self._sweep = sweep = population_plan(self._base, config, seed)
        static, plan = sweep.static_of(0), member_plan(sweep.runs, sweep.static_of(0))
        self._names = names = tuple(name for name in sweep.space if name not in static)
        if self._population is None or static != self._static:
            self._static = static
            self._population = Population(plan, names, sweep.num_members, sweep.episodes)
        self._trials = [sweep.trial_of(member) for member in range(sweep.num_members)]
        self._seeds = [sweep.seed_of(member) for member in range(sweep.num_members)]
        self._states = self._population.begin(self._values_of(self._settings_at(0)), self._seeds)
        self._points = sweep.looks_of(plan)
        self._steps = np.array([plan.steps_after(point) for point in self._points[1:]], np.int64)
        self._total = int(self._steps[-1])
        self._returns, self._finite, self._intervals = [], np.ones(sweep.num_members, bool), []

    def _settings_at(self, point):
        """The values of each setting until the evaluation of that number, a list of dicts."""
        return self._sweep.settings if self._fresh is None else [self._fresh.schedule[point]]

    def _values_of(self, settings):
        return {name: [settings[trial][name] for trial in self._trials] for name in self._names}

    def _keep(self, settings):
        """Writes down with which values the last evaluation was reached, and what it found."""
        trained = self._trained()
        scores = [one.score if np.isfinite(one.score) else None for one in self._scores(trained)]
        diverged = (~trained.finite).reshape(-1, self._sweep.seeds).sum(axis=1).tolist()
        own = list(range(len(settings)))
        self._intervals.append(Interval(int(trained.steps[-1]), own, settings, scores, diverged))

    def _scores(self, trained):
        return scores_of(self._sweep, trained, self._total)[0]

    def _trained(self):
        returns = np.stack(self._returns) if self._returns else np.zeros((0, len(self._finite)), np.float32)
        return Trained(self._steps[: len(returns)], returns, self._finite)

    def _is_done(self):
        return len(self._returns) == len(self._points) - 1 or not self._finite.any()


def population_plan(base, config, seed):
    """The `SweepPlan` of a Ray trial.

    Args:
        base: `SweepPlan` of the experiment.
        config: of the trial.
        seed: of its members' runs.
    Raises:
        ValueError: for a config without a value for a name of the space, or with a wrong one.
    """
    parts = config.get(SETTINGS, {"0": {}})
    settings = [setting_of(base.space, {**config, **parts[number]}) for number in sorted(parts, key=int)]
    return dataclasses.replace(base, runs=dataclasses.replace(base.runs, seed=seed), settings=settings)


def seed_of(base, trial_id):
    """The seed of a Ray trial: its members' runs have seeds that those of no other trial have.

    Args:
        base: `SweepPlan` of the experiment.
        trial_id: Ray's, which ends in the trial's number, or is a random hexadecimal number where a search algorithm
            asks for trials.
    """
    counted = re.fullmatch(r".*_(\d+)", trial_id)
    number = int(counted[1]) if counted else int(f"0{trial_id}", 16) if re.fullmatch(r"[0-9a-f]+", trial_id) else 0
    return (base.runs.seed * _TRIALS + number) % 2**32


def scores_of(sweep, trained, total):
    """(scores, values) of a population's settings after some of their evaluations.

    Args:
        sweep: `SweepPlan` of the population.
        trained: `Trained`, with at least one evaluation.
        total: steps of a full run; a return that was not reached yet counts as twice these.
    Returns:
        (list of `Score`, f64[settings, seeds]).
    """
    steps, returns = trained.steps, np.asarray(trained.returns, np.float64)
    metric = metric_of(sweep.metric)
    if metric.lowest:
        steps = np.append(steps, total)
        returns = np.concatenate([returns, np.full((1, returns.shape[1]), -np.inf)])
    values = metric.of(steps, returns).reshape(-1, sweep.seeds)
    diverged = ~trained.finite.reshape(values.shape)
    scores = [score_of(value, bad, seed=number) for number, (value, bad) in enumerate(zip(values, diverged))]
    return scores, np.where(diverged, np.nan, values)


def report(sweep, trained, total):
    """What a trial reports after an evaluation, a dict.

    `score` is that of the population's best setting, `best` that setting's number, `steps` the environment steps of
    each run, and `diverged` the runs that diverged.
    """
    scores, _ = scores_of(sweep, trained, total)
    lowest = metric_of(sweep.metric).lowest
    best = ranked(scores, lowest=lowest)[0]
    score = scores[best].score if np.isfinite(scores[best].score) else _WORST * (1 if lowest else -1)
    return {
        "score": score, "best": best, "steps": int(trained.steps[-1]), "diverged": int((~trained.finite).sum())
    }  # fmt: skip


def _loaded(path, like):
    return checkpoint.load(path, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like))


def _with_keys_of(states, seeds):
    """States whose keys, copies of another trial's, are made those of these seeds: the copies would play alike."""

    def changed(leaf):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        return jax.vmap(jax.random.fold_in)(leaf, jnp.asarray(seeds, jnp.uint32))

    return jax.tree.map(changed, states)
