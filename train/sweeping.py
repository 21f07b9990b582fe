"""`jaxenvs sweep`, and `jaxenvs resume` of a sweep."""

import contextlib
import sys
from pathlib import Path

import jax

from jaxenvs.devices import num_cores

from .output import command
from .runs import trust
from .runs.compiling import request_cpu_devices, wake
from .runs.plan import RunError, free_folder
from .sweeps import plots, results
from .sweeps import sweep as driver
from .sweeps.plan import plan_sweep
from .sweeps.space import parse_space
from .sweeps.stored import read_sweep


def sweep(options, plan_of):
    """Runs the command; see `jaxenvs sweep --help`.

    Args:
        options: of the command line.
        plan_of: `planning.plan_of`.
    Returns:
        The exit status.
    Raises:
        RunError: for a folder that holds something else, or is being trained.
        ValueError, TypeError: for whatever else cannot be.
    """
    space = parse_space(options.space)
    runs, devices = plan_of(options, lambda options, algorithm, config: _devices(options.devices))
    try:
        planned = plan_sweep(
            runs, space, trials=options.trials, seeds=options.seeds, search=options.search, metric=options.metric,
            evaluations=options.evaluations, episodes=options.episodes, confirm=options.confirm, chunk=options.chunk,
            eta=options.eta, rungs=options.rungs, quantile=options.quantile, resample=options.resample,
            storage=options.storage, study=options.study,
        )  # fmt: skip
    except ImportError as error:
        raise RunError(str(error)) from error
    folder = (
        Path(options.out) if options.out else free_folder(f"{runs.name.replace('/', '-')}-{runs.algorithm}", "sweeps")
    )
    print(f"{runs.algorithm} on {runs.name}: {driver.describe(planned)}: {folder}", file=sys.stderr)
    try:
        return _finish(planned, folder, driver.begin, (planned, folder), devices, options)
    finally:
        if not options.out:
            # Nothing is left of a sweep that was refused, as these are removed only if they are empty.
            with contextlib.suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()


def resume(options):
    """Runs `jaxenvs resume` of a sweep's folder; as `sweep`."""
    if options.total_steps is not None:
        raise RunError(f"--total-steps cannot prolong a sweep, which {options.run} holds: start another one")
    planned = read_sweep(options.run)
    trust.check_entry(planned.runs.env, options.run, options.trust)
    return _finish(planned, options.run, driver.resume, (options.run,), _devices(options.devices), options)


def _finish(planned, folder, train, arguments, devices, options):
    try:
        result = train(
            *arguments, devices=devices, quiet=options.quiet, top=getattr(options, "top", 3), tracker=options.tracker
        )
    except KeyboardInterrupt:
        print(f"stopped; finished chunks are kept: {command('resume', folder)}", file=sys.stderr)
        return 130
    for line in results.sentences(planned, result, folder):
        print(line)
    try:
        print(f"plots: {', '.join(map(str, plots.write(planned, result, folder)))}", file=sys.stderr)
    except (ImportError, OSError) as error:
        print(f"plots: none: {error}", file=sys.stderr)
    return 0


def _devices(wanted):
    there = request_cpu_devices(wanted or num_cores())
    wake()
    if jax.default_backend() != "cpu":
        return wanted or jax.device_count()
    return wanted or there
