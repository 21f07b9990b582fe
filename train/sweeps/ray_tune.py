"""A sweep on Ray Tune: each of its trials is a population of settings and seeds on the device of one worker.

    from ray.tune.schedulers import ASHAScheduler

    space = {"learning_rate": loguniform(1e-5, 1e-2)}
    results = ray_tune.tuner("ppo", "CartPole-v1", space, trials=64, scheduler=ASHAScheduler()).fit()
    best = ray_tune.ranking(results)[0]
    with best.checkpoint.as_directory() as folder:
        agent = train.load(folder, member=best.members[0])

Ray samples, schedules, restarts and stores. Needs the extra `ray`.
"""

import dataclasses

from jaxenvs.constants import is_static

from .distributions import Distribution
from .elsewhere import check_installed, examples_of, ray_space
from .metrics import metric_of
from .plan import fitting, plan_sweep
from .ray_results import Found as Found
from .ray_results import lost as lost
from .ray_results import ranking as ranking
from .space import checked_space, field_of
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
    search algorithm gets none. A trial whose worker dies goes on from its last checkpoint on another one.

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
    from ray import tune  # pyright: ignore[reportMissingImports]

    from .ray_trainable import Trainable

    runs = runs_of(algorithm, env, total_steps=total_steps, config=config, constants=constants, seed=seed, keys=keys)
    base = planned(
        runs, space, population=population, seeds=seeds, metric=metric, evaluations=evaluations, episodes=episodes
    )
    return tune.Tuner(
        tune.with_resources(tune.with_parameters(Trainable, base=base), resources or {"cpu": 1}),
        param_space=param_space(runs, space, population),
        tune_config=tune.TuneConfig(
            metric="score", mode="min" if metric_of(metric).lowest else "max", num_samples=trials,
            scheduler=scheduler, search_alg=search_alg, reuse_actors=True, **tune_config,
        ),
        run_config=tune.RunConfig(
            name=name, storage_path=storage_path, callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=max_failures),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=1, checkpoint_at_end=True, num_to_keep=_KEPT_CHECKPOINTS
            ),
        ),
    )  # fmt: skip


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
