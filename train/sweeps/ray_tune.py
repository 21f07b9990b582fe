"""A sweep on Ray Tune: each of its trials is a population of settings and seeds on the device of one worker.

    from ray.tune.schedulers import ASHAScheduler

    space = {"learning_rate": loguniform(1e-5, 1e-2)}
    results = ray_tune.tuner("ppo", "CartPole-v1", space, trials=64, scheduler=ASHAScheduler()).fit()
    best = ray_tune.ranking(results)[0]
    with best.checkpoint.as_directory() as folder:
        agent = train.load(folder, member=best.members[0])
    print(ray_tune.confirmed(results)[0].fresh.score)

Ray samples, schedules, restarts and stores. Needs the extra `ray`.
"""

import dataclasses
import itertools
from pathlib import PurePosixPath

import numpy as np

from jaxenvs.constants import is_static

from ..runs.stored import LARGEST_SEED
from .distributions import Distribution
from .elsewhere import check_installed, examples_of, plain, ray_space
from .metrics import metric_of
from .plan import fitting, plan_sweep
from .ray_results import Found as Found
from .ray_results import lost as lost
from .ray_results import ranking as ranking
from .ray_results import read
from .space import checked_space, field_of, member_plan
from .stored import read_sweep
from .sweep import runs_of

# Ray's population-based training may still need a checkpoint that is not the last one.
_KEPT_CHECKPOINTS = 4


def tuner(
    algorithm, env, space, *, trials=8, population=1, seeds=4, metric="final", evaluations=10, episodes=128,
    total_steps=None, config=None, constants=None, seed=0, keys="ordinary", scheduler=None, search_alg=None,
    resources=None, max_failures=3, name=None, storage_path=None, callbacks=None, **tune_config,
):  # fmt: skip
    """Ray's `Tuner` of a sweep; its `fit()` runs it.

    Ray's trials report `score` after each evaluation. `metric`, `mode` and checkpoints are set here: a scheduler or a
    search algorithm gets none. A trial whose worker dies resumes from its last checkpoint on another worker.

    Args:
        algorithm, env, space, total_steps, config, constants, seed, keys: as for `train.sweep`.
        trials: of Ray (its `num_samples`).
        population: settings in each trial, trained together; a trial is as good as the best of them.
        seeds, metric, evaluations, episodes: as for `train.sweep`.
        scheduler: Ray's, such as `ASHAScheduler(max_t=evaluations)`, or `PopulationBasedTraining` with
            `mutations(...)`; an evaluation is an iteration of Ray.
        search_alg: Ray's, such as `OptunaSearch()`.
        resources: of a trial, such as {"cpu": 1} (the default) or {"gpu": 1}. Without a GPU of its own, a trial does
            not see any.
        max_failures: how often a trial is started again.
        name, storage_path, callbacks: of the experiment, as for Ray's `RunConfig`.
        tune_config: further arguments of Ray's `TuneConfig`, such as `max_concurrent_trials`.
    Returns:
        `ray.tune.Tuner`.
    Raises:
        ValueError, TypeError: for whatever cannot be, before anything is started.
        ImportError: if Ray is not installed.
    """
    check_installed("ray", "a sweep on Ray Tune")
    runs = runs_of(algorithm, env, total_steps=total_steps, config=config, constants=constants, seed=seed, keys=keys)
    base = planned(
        runs, space, population=population, seeds=seeds, metric=metric, evaluations=evaluations, episodes=episodes
    )
    return _tuner(
        base, None, param_space(runs, space, population), resources,
        tune_config={
            "num_samples": trials, "scheduler": scheduler, "search_alg": search_alg, "reuse_actors": True,
            **tune_config,
        },
        run_config={"name": name, "storage_path": storage_path, "callbacks": callbacks}, max_failures=max_failures,
    )  # fmt: skip


def _tuner(base, fresh, space, resources, *, tune_config, run_config, max_failures):
    """Ray's `Tuner` of what `ray_trainable.Trainable` makes of a base and `Fresh`; the other arguments are Ray's."""
    from ray import tune  # pyright: ignore[reportMissingImports]

    from .ray_trainable import Trainable

    return tune.Tuner(
        tune.with_resources(tune.with_parameters(Trainable, base=base, fresh=fresh), resources or {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="score", mode="min" if metric_of(base.metric).lowest else "max", **tune_config
        ),
        run_config=tune.RunConfig(
            **run_config,
            failure_config=tune.FailureConfig(max_failures=max_failures),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1, checkpoint_at_end=True, num_to_keep=_KEPT_CHECKPOINTS
            ),
        ),
    )


def planned(runs, space, *, population, seeds, metric, evaluations, episodes):
    """The `SweepPlan` of which each Ray trial is one with settings of its own.

    Args:
        runs: `Plan`.
        space, population, seeds, metric, evaluations, episodes: as for `tuner`.
    Raises:
        ValueError, TypeError: as `tuner`.
    """
    if population < 1:
        raise ValueError(f"population must be at least 1, got {population}")
    # Ray tries each value of a grid.
    chosen = {
        name: Distribution("choice", one.arguments) if isinstance(one, Distribution) and one.kind == "grid" else one
        for name, one in space.items()
    }
    base = plan_sweep(
        runs, chosen, trials=population, seeds=seeds, metric=metric, evaluations=evaluations, episodes=episodes,
        confirm=0, chunk=population * seeds,
    )  # fmt: skip
    for example in examples_of(runs, base.space):
        fitting(dataclasses.replace(base, settings=[example] * population), asked=True)
    return base


def param_space(runs, space, population=1):
    """The space of `tuner` as Ray samples it.

    Args:
        runs: `Plan`.
        space: dict of name to `Distribution`.
        population: with more than one setting, static choices are those of all, and `settings` has the others by
            number.
    Returns:
        A dict for `param_space` of Ray's `Tuner`.
    Raises:
        ValueError: for a grid in settings of a population, of which Ray would try each combination.
    """
    from .ray_trainable import SETTINGS

    space = checked_space(runs, space)
    if population == 1:
        return ray_space(space)
    static = {name: one for name, one in space.items() if is_static(field_of(runs, name))}
    others = {name: one for name, one in space.items() if name not in static}
    for name, one in others.items():
        if one.kind == "grid":
            raise ValueError(f"{name}={one}: with a population of {population}, grid(...) is for static choices only")
    return {**ray_space(static), SETTINGS: {str(number): ray_space(others) for number in range(population)}}


def mutations(algorithm, env, space, population=1):
    """What Ray's population-based training may change: all but the static choices, which a checkpoint fits.

    Args:
        algorithm, env, space, population: as for `tuner`.
    Returns:
        A dict for `hyperparam_mutations` of `PopulationBasedTraining`.
    Raises:
        ValueError: if everything is static.
    """
    from .ray_trainable import SETTINGS

    runs = runs_of(algorithm, env)
    space = {name: one for name, one in checked_space(runs, space).items() if not is_static(field_of(runs, name))}
    if not space:
        raise ValueError("every parameter is static, and population-based training changes none of these")
    values = {name: Distribution("choice", one.arguments) if one.kind == "grid" else one for name, one in space.items()}
    if population == 1:
        return ray_space(values)
    return {SETTINGS: {str(number): ray_space(values) for number in range(population)}}


def confirmed(results, *, seeds=8, resources=None, max_failures=3, callbacks=None):
    """The settings of `ranking`, of which the best one was trained again with fresh seeds.

    The best of many scores is too high, since it was chosen for being high: the figure to report is that of the fresh
    seeds. They are trained to the end of a full run, as one trial of Ray in an experiment of its own, beside that of
    the sweep and with `-confirmed` behind its name. If a scheduler has changed the values along the way, they change
    again at the same evaluations. The evaluations have other episodes than those of the sweep.

    Args:
        results: `ResultGrid`, what `fit()` returns.
        seeds: how many fresh runs, at least 1.
        resources, max_failures, callbacks: as for `tuner`.
    Returns:
        list of `Found`, the best first; only the first one has `fresh`, a `Found`.
    Raises:
        ValueError: for fewer seeds, or if the sweep has no best setting: no trial left a checkpoint, or all runs
            diverged.
        RuntimeError: if the fresh runs failed more often than `max_failures`.
    """
    from .ray_trainable import Fresh

    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}")
    found = ranking(results)
    if not found or np.isnan(found[0].score.score):
        why = "all runs diverged" if found else "no trial left a checkpoint"
        raise ValueError(f"{results.experiment_path} has no best setting: {why}")
    best, sweeps = found[0], [sweep for sweep, *_ in read(results)]
    with best.checkpoint.as_directory() as folder:
        sweep = read_sweep(folder)
    base = dataclasses.replace(sweep, settings=[best.setting], seeds=seeds, chunk=seeds)
    plan = member_plan(sweep.runs, sweep.static_of(0))
    # A trial that was stopped early has no values for the evaluations that it did not reach.
    missing = len(sweep.looks_of(plan)) - 1 - len(best.schedule)
    fresh = Fresh(unused_seed(base, sweeps), [*best.schedule, *[best.schedule[-1]] * missing])
    path = PurePosixPath(results.experiment_path)
    again = _tuner(
        base, fresh, {name: plain(value) for name, value in best.setting.items()}, resources, tune_config={},
        run_config={
            "name": f"{path.name}-confirmed", "storage_path": str(path.parent),
            "storage_filesystem": results.filesystem, "callbacks": callbacks,
        },
        max_failures=max_failures,
    ).fit()  # fmt: skip
    if problems := lost(again):
        raise RuntimeError(f"the best setting was not trained again: {problems[0]}")
    return [best._replace(fresh=ranking(again)[0]), *found[1:]]


def unused_seed(base, sweeps):
    """The seed of a `Plan` whose members' seeds no member of some sweeps has.

    Args:
        base: `SweepPlan` that gets the seed; the search for one begins behind the seed that it has.
        sweeps: list of `SweepPlan`.
    Returns:
        An int.
    """
    taken = {sweep.seed_of(member) for sweep in sweeps for member in range(sweep.num_members)}
    plans = (
        dataclasses.replace(base, runs=dataclasses.replace(base.runs, seed=seed % (LARGEST_SEED + 1)))
        for seed in itertools.count(base.runs.seed + 1)
    )
    return next(plan.runs.seed for plan in plans if taken.isdisjoint(map(plan.seed_of, range(plan.num_members))))
