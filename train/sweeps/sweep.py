"""The driver of a sweep: trains its chunks, ranks the settings, and trains the winner again."""

import contextlib
from pathlib import Path

from jaxenvs.loading import absolute, is_entry
from jaxenvs.precision import in_32_bits

from ..output import command
from ..presets import ALGORITHMS, preset
from ..runs.files import unfinished_files
from ..runs.lock import locked
from ..runs.plan import Plan, RunError, claim, free_folder
from ..runs.tracker import Tracker
from . import asha, optuna_search, pbt, results
from .lineage import read_lineage, schedule_of
from .members import CHUNKS, WINNER, write_members
from .plan import memory_of, plan_sweep, shown
from .progress import Progress
from .searches import OPTUNA
from .stored import is_sweep, read_sweep, stored_sweep, write_sweep
from .trainer import Trainer, train_chunks

# What a tracker does not get: the URL of a storage may have a password, and settings come trial by trial.
_PRIVATE = "storage", "asker", "settings"


@in_32_bits
def begin(sweep, folder, *, devices=1, quiet=False, top=3, tracker=None):
    """Trains a sweep in a folder, or the rest of it if the folder holds the same sweep.

    Args:
        sweep: `SweepPlan`, of `plan_sweep`.
        folder: a folder that does not exist yet, is empty, or holds this sweep.
        devices: how many share the members of a chunk.
        quiet: show no progress.
        top: how many of the best settings become presets.
        tracker: a module or its name, as `runs.tracker.Tracker` takes it; None for none.
    Returns:
        `results.Result`.
    Raises:
        RunError: if the folder holds something else, or is being trained by another process.
        ValueError: for devices that are not there, or what is no tracker.
    """
    folder, tracked = Path(folder), Tracker(tracker)
    if is_sweep(folder):
        _check_same(sweep, folder)
        return resume(folder, devices=devices, quiet=quiet, top=top, tracker=tracker)
    claim(folder)
    with locked(folder):
        claim(folder)
        _remove_unfinished(folder)
        write_sweep(sweep, folder)
        return _run(sweep, folder, devices, quiet, top, tracked)


@in_32_bits
def resume(folder, *, devices=1, quiet=False, top=3, tracker=None):
    """Trains what is left of a sweep; finished chunks are not trained again.

    Args, Returns: as for `begin`.
    Raises:
        RunError: if the folder holds no sweep, or is being trained by another process.
    """
    sweep, folder, tracker = read_sweep(folder), Path(folder), Tracker(tracker)
    with locked(folder):
        _remove_unfinished(folder)
        return _run(sweep, folder, devices, quiet, top, tracker)


def sweep(
    algorithm, env, space, *, out=None, total_steps=None, config=None, constants=None, seed=0, keys="ordinary",
    devices=1, quiet=False, top=3, tracker=None, **options,
):  # fmt: skip
    """Tries many settings of an algorithm on an environment, and finds the best one.

    Args:
        algorithm: its name, such as "ppo".
        env: an id, or "my_env.py:MyEnv".
        space: dict of name to `Distribution`. A name is a field of the algorithm's `Config`; `env.NAME` is a constant
            of the environment, and `training.NAME` a constant that changes only in training.
        out: the sweep's folder (default: the first free sweeps/ENV-ALGORITHM-N). If it contains this sweep, the sweep
            continues.
        total_steps: environment steps of each run (default: the preset's).
        config: dict of hyperparameters that differ from the preset's for all trials.
        constants: dict of constants of the environment for all trials.
        seed: seed of all random numbers, at least 0.
        keys: "ordinary" or "fast".
        devices, quiet, top, tracker: as for `begin`.
        options: `trials`, `seeds`, `search`, `metric`, `evaluations`, `episodes`, `confirm`, `chunk` of `plan_sweep`,
            and the options of a search: `eta` and `rungs`, `quantile` and `resample`, `storage` and `study`.
    Returns:
        `results.Result`.
    Raises:
        ValueError, TypeError: for an invalid argument.
        ImportError: if the search needs a library that is not installed.
        RunError: as `begin`.
    """
    runs = runs_of(algorithm, env, total_steps=total_steps, config=config, constants=constants, seed=seed, keys=keys)
    planned = plan_sweep(runs, space, **options)
    folder = free_folder(f"{runs.name.replace('/', '-')}-{algorithm}", "sweeps") if out is None else out
    return begin(planned, folder, devices=devices, quiet=quiet, top=top, tracker=tracker)


def runs_of(algorithm, env, *, total_steps=None, config=None, constants=None, seed=0, keys="ordinary"):
    """The `Plan` of a sweep's runs, but for what its space decides.

    Args, Raises: as for `sweep`.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    chosen, constants = preset(algorithm, env), dict(constants or {})
    hyperparameters = ALGORITHMS[algorithm].Config(**{**chosen.config, **(config or {})})
    return Plan(
        algorithm=algorithm, env=absolute(env) if is_entry(env) else env, constants=constants,
        training={name: value for name, value in chosen.training.items() if name not in constants},
        curve_as_trained=chosen.curve_as_trained, config=hyperparameters,
        total_steps=chosen.total_steps if total_steps is None else total_steps, seed=seed, keys=keys,
    )  # fmt: skip


def _check_same(sweep, folder):
    there = read_sweep(folder)
    # These come with time where Optuna chooses settings.
    later = () if sweep.trials is None else ("settings", "asker")
    names = [name for name in sweep.__dataclass_fields__ if name not in later]
    differing = [name for name in names if getattr(sweep, name) != getattr(there, name)]
    if differing:
        raise RunError(
            f"{folder} holds another sweep, which differs in {differing[0]}: choose another --out, or "
            f"continue it: `{command('resume', folder)}`"
        )


def _remove_unfinished(folder):
    for path in [*unfinished_files(folder), *unfinished_files(folder / CHUNKS)]:
        path.unlink(missing_ok=True)


def _run(sweep, folder, devices, quiet, top, tracker):
    (folder / CHUNKS).mkdir(exist_ok=True)
    trainer = Trainer(sweep, devices)
    searches = {"asha": asha.search, "pbt": pbt.search, OPTUNA: optuna_search.search}
    progress = Progress(sweep, sweep.num_members + sweep.confirm, quiet=quiet, tracker=tracker)
    config = {name: value for name, value in stored_sweep(sweep).items() if name not in _PRIVATE}
    tracker.begin(folder.resolve().name, config)
    with contextlib.closing(progress), contextlib.closing(tracker):
        if sweep.search in searches:
            searches[sweep.search](sweep, folder, trainer, progress)
        else:
            train_chunks(sweep, folder, sweep.chunks(), trainer, progress)
        # Some settings are known now only.
        sweep = read_sweep(folder)
        table = results.rank(sweep, folder)
        results.write(sweep, folder, table, top=top)
        if table[0].score.diverged == sweep.seeds:
            raise RunError(f"all runs of {folder} diverged: try lower rates than {shown(table[0].setting)}")
        if sweep.confirm and not (folder / WINNER).is_file():
            _confirm(sweep, folder, table, trainer, progress)
        result = results.conclude(sweep, folder, table)
        progress.track(results.figures(result))
    return result


def _confirm(sweep, folder, table, trainer, progress):
    """Trains the winner again, with seeds that no other member had; the values of a population's change as they did."""
    trial = table[0].trial
    members = list(range(sweep.num_members, sweep.num_members + sweep.confirm))
    progress.say(f"training the best setting again with {sweep.confirm} fresh seeds: {shown(table[0].setting)}")
    schedule = None
    if sweep.search == "pbt":
        schedule = schedule_of(read_lineage(folder, list(sweep.space)), trial)

    def settings_at(point):
        return [schedule[point] if schedule else sweep.settings[trial]] * sweep.confirm

    trained, states = trainer.train(sweep.static_of(trial), members, settings_at, len(members), 1, progress)
    write_members(folder / WINNER, trained, states, [trial] * sweep.confirm)


def describe(sweep):
    """What a sweep will train, in one sentence."""
    if sweep.search == OPTUNA:
        return (
            f"{sweep.num_trials} trials x {sweep.seeds} seeds = {sweep.num_members:,} runs; Optuna "
            f"chooses the settings of {min(sweep.batch, sweep.num_trials)} trials at once"
        )
    groups = sweep.groups()
    needed = max(memory_of(sweep, static) for static, _ in groups)
    together, how = _together(sweep, groups)
    return (
        f"{len(sweep.settings)} trials x {sweep.seeds} seeds = {sweep.num_members:,} runs, {len(groups)} "
        f"group{'s' * (len(groups) > 1)} to compile, {how}, at least {needed / 1e6:.3g} MB a run and "
        f"{needed * together / 1e9:.3g} GB at once"
    )


def _together(sweep, groups):
    """(the largest number of runs that are trained together, how they are, as words)."""
    if sweep.search == "asha":
        slots = min(max(len(trials) for _, trials in groups), sweep.chunk // sweep.seeds)
        ladder = sweep.ladder_of(sweep.run_plan(groups[0][0]))
        ends = ", ".join(f"{rung / ladder.looks:.2g}" for rung in ladder.rungs)
        return slots * sweep.seeds, f"{slots} trials together, which may stop after {ends} of a run"
    if sweep.search == "pbt":
        return sweep.num_members, f"one population, which changes {sweep.evaluations - 1} times"
    chunks = sweep.chunks()
    largest = max(len(chunk.members) for chunk in chunks)
    return largest, f"{len(chunks)} chunk{'s' * (len(chunks) > 1)} of at most {largest} runs together"
