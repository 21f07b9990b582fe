"""What the commands of the command line do: train, resume, evaluate, sweep."""

import contextlib
import json
import sys
from pathlib import Path

from .finishing import finish, show_figures
from .output import command
from .planning import devices_of, plan_of, user_errors
from .presets import ACCELERATOR, ALGORITHMS, preset


def train(options):
    from .runs import hosts, memory, run
    from .runs.plan import free_folder

    plan, devices = plan_of(options)
    episodes = preset(plan.algorithm, plan.env).episodes if options.episodes is None else options.episodes
    user_errors(memory.check_episodes, plan, episodes)
    name = options.out or ""
    if not name and hosts.first():
        name = str(free_folder(f"{plan.name.replace('/', '-')}-{plan.algorithm}"))
    folder = Path(hosts.broadcast_text(name))
    if not hosts.first():
        return _joined(user_errors(run.begin, plan, folder, devices=devices, keep=options.keep))
    print(f"{_heading(options, plan, devices)}: {folder}", file=sys.stderr)
    _say_what_is_missing(options)
    _say_what_suits_the_device(options)
    try:
        ended = user_errors(
            run.begin, plan, folder, quiet=options.quiet, devices=devices, save_every=options.save_every,
            keep=options.keep, tracker=options.tracker,
        )  # fmt: skip
    finally:
        if not options.out:
            # Nothing is left of a run that was refused, as these are removed only if they are empty.
            with contextlib.suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()
    return finish(options, folder, ended)


def resume(options):
    from .runs import hosts, run, trust
    from .runs.plan import SWEEP, read_plan

    if (options.run / SWEEP).is_file():
        from . import sweeping

        return user_errors(sweeping.resume, options)
    trust.check(options.run, options.trust)
    plan = read_plan(options.run)
    # Before anything is computed, as the CPU is split into devices then.
    devices = devices_of(options, ALGORITHMS[plan.algorithm], plan.config)
    if options.total_steps is None and _is_finished(options.run):
        hosts.stop()
        return 0
    if hosts.first():
        _say_what_is_missing(options)
    ended = user_errors(
        run.resume, options.run, quiet=options.quiet, devices=devices, total_steps=options.total_steps,
        save_every=options.save_every, keep=options.keep, accept_changes=options.accept_changes,
        tracker=options.tracker,
    )  # fmt: skip
    if not hosts.first():
        return _joined(ended)
    return finish(options, options.run, ended)


def record(options):
    from . import showing

    return user_errors(showing.record, options)


def watch(options):
    from . import showing

    return user_errors(showing.watch, options)


def export(options):
    from .exports import command

    return user_errors(command.export_run, options)


def _is_finished(folder):
    """Whether a run has come to its end and has its last evaluation; if so, says it."""
    from .runs import hosts, run

    plan, state = run.read(folder)
    steps = plan.steps_after(state.updates)
    reached = run.reached(plan, run.read_figures(folder))
    evaluation = Path(folder) / "evaluation.json"
    if not (reached or int(state.updates) >= plan.num_updates) or _steps_of(evaluation) != steps:
        return False
    if not hosts.first():
        return True
    why = f"it reached a return of {plan.until:g} at" if reached else "it made all its"
    print(f"{folder} is finished: {why} {steps:,} steps, and nothing was changed.", file=sys.stderr)
    if not reached:
        print(f"To prolong it: {command('resume', folder, '--total-steps', f'{2 * steps:_}')}", file=sys.stderr)
    return True


def _steps_of(path):
    """The steps after which an evaluation was made; None if there is none."""
    try:
        return json.loads(path.read_text()).get("steps")
    except (OSError, ValueError, AttributeError):
        return None


def _heading(options, plan, devices):
    """What a run will do: the steps that it will make, which are those of full updates."""
    steps, asked = plan.steps_after(plan.num_updates), options.total_steps
    why = "" if asked in (None, steps) else f" (--total-steps {asked:,} rounded up to full updates)"
    counted = f"{devices} device{'s' * (devices > 1)}"
    return f"{plan.algorithm} on {plan.name}, {steps:,} steps{why}, seed {plan.seed}, {counted}"


def _joined(ended):
    """The exit status of a process that is not the first: it leaves the rest to that one."""
    from .runs import hosts, run

    hosts.stop()
    return {run.Ending.TERMINATED: 143, run.Ending.FINISHED: 0}.get(ended, 130)


def evaluate(options):
    from .runs import memory, run, states, trust
    from .runs.identity import identity, require_same

    trust.check(options.run, options.trust)
    plan, state, path = states.read(options.run)
    require_same(options.run, path, identity(plan), accepted=True)
    constants = dict(options.set)
    user_errors(memory.check_episodes, plan, options.episodes)
    _, figures = user_errors(
        run.evaluate_run, plan, state, episodes=options.episodes, seed=options.seed,
        stochastic=options.stochastic, constants=constants,
    )  # fmt: skip
    show_figures({"run": str(options.run), "env": plan.env, **constants, **figures})
    return 0


def _say_what_is_missing(options):
    """Says before training which pictures there cannot be."""
    from jaxenvs.render.film import missing as no_film

    from .reports.curve import missing as no_curve

    lines = [no_curve()] if no_curve() else []
    lines += [] if options.film_episodes == 0 else no_film().values()
    for line in lines:
        print(f"warning: {line}; the run trains without it", file=sys.stderr)


def _say_what_suits_the_device(options):
    """Names the preset for accelerators to who trains with the usual one on an accelerator."""
    import jax

    if options.preset is None and options.algorithm in ACCELERATOR and jax.default_backend() != "cpu":
        device = jax.devices()[0].device_kind
        print(f"note: --preset accelerator has larger batches, which suit {device}", file=sys.stderr)


def sweep(options):
    from . import sweeping

    return user_errors(sweeping.sweep, options, plan_of)
