"""What the commands of the command line do: train, resume, evaluate, sweep."""

import contextlib
import dataclasses
import json
import math
import sys
from pathlib import Path

from .output import show
from .presets import ACCELERATOR, ALGORITHMS, preset


def train(options):
    from .runs import hosts, memory, run
    from .runs.plan import free_folder

    plan, devices = plan_of(options)
    episodes = preset(plan.algorithm, plan.env).episodes if options.episodes is None else options.episodes
    _user_errors(memory.check_episodes, plan, episodes)
    name = options.out or ""
    if not name and hosts.first():
        name = str(free_folder(f"{plan.name.replace('/', '-')}-{plan.algorithm}"))
    folder = Path(hosts.told_text(name))
    if not hosts.first():
        return _joined(_user_errors(run.begin, plan, folder, devices=devices, keep=options.keep))
    steps = f"{plan.total_steps:,} steps, seed {plan.seed}, {_counted(devices)}"
    print(f"{plan.algorithm} on {plan.name}, {steps}: {folder}", file=sys.stderr)
    _say_what_is_missing(options)
    _say_what_suits_the_device(options)
    try:
        ended = _user_errors(
            run.begin, plan, folder, quiet=options.quiet, devices=devices, save_every=options.save_every,
            keep=options.keep, tracker=options.tracker,
        )  # fmt: skip
    finally:
        if not options.out:
            # Nothing is left of a run that was refused, as these are removed only if they are empty.
            with contextlib.suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()
    return _finish(options, folder, ended)


def resume(options):
    from .runs import hosts, run, trust
    from .runs.plan import SWEEP, read_plan

    if (options.run / SWEEP).is_file():
        from . import sweeping

        return _user_errors(sweeping.resume, options)
    trust.check(options.run, options.trust)
    plan = read_plan(options.run)
    # Before anything is computed, as the CPU is split into devices then.
    devices = _devices(options, ALGORITHMS[plan.algorithm], plan.config)
    if options.total_steps is None and _is_finished(options.run):
        hosts.stop()
        return 0
    if hosts.first():
        _say_what_is_missing(options)
    ended = _user_errors(
        run.resume, options.run, quiet=options.quiet, devices=devices, total_steps=options.total_steps,
        save_every=options.save_every, keep=options.keep, accept_changes=options.accept_changes,
        tracker=options.tracker,
    )  # fmt: skip
    if not hosts.first():
        return _joined(ended)
    return _finish(options, options.run, ended)


def record(options):
    from . import showing

    return _user_errors(showing.record, options)


def watch(options):
    from . import showing

    return _user_errors(showing.watch, options)


def export(options):
    from .exports import command

    return _user_errors(command.export_run, options)


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
        print(f"To prolong it: python -m jaxenvs resume {folder} --total-steps {2 * steps:_}", file=sys.stderr)
    return True


def _steps_of(path):
    """The steps after which an evaluation was made; None if there is none."""
    try:
        return json.loads(path.read_text()).get("steps")
    except (OSError, ValueError, AttributeError):
        return None


def _counted(devices):
    return f"{devices} device{'s' * (devices > 1)}"


def _joined(ended):
    """The exit status of a process that is not the first: it leaves the rest to that one."""
    from .runs import hosts, run

    hosts.stop()
    return {run.Ending.TERMINATED: 143, run.Ending.FINISHED: 0}.get(ended, 130)


def _shared_devices(options, algorithm, config):
    """How many devices train, of all processes together; joins the processes."""
    import jax

    from jaxenvs.devices import num_cores

    from .runs import hosts
    from .runs.compiling import request_cpu_devices

    processes = hosts.start(options.coordinator, options.num_processes, options.process_id)
    useful = [n for n in range(1, num_cores() + 1) if algorithm.useful_devices(config, n * processes) == n * processes]
    wanted = options.devices or max(useful, default=1)
    there = request_cpu_devices(wanted)
    mine = there if jax.default_backend() == "cpu" else options.devices or jax.local_device_count()
    hosts.meet(mine)
    _user_errors(algorithm.check, config, mine * processes)
    return mine * processes


def _devices(options, algorithm, config):
    """How many devices train: those asked for, or as many of the CPU's cores as are worth it."""
    from jaxenvs.devices import num_cores

    from .runs.compiling import request_cpu_devices, wake
    from .runs.plan import RunError

    _user_errors(algorithm.check, config)
    if options.distributed:
        return _shared_devices(options, algorithm, config)
    alone = [name for name in ("coordinator", "num_processes", "process_id") if getattr(options, name) is not None]
    if alone:
        raise RunError(f"--{alone[0].replace('_', '-')} needs --distributed")
    wanted = options.devices or algorithm.useful_devices(config, num_cores())
    _user_errors(algorithm.check, config, wanted)
    there = request_cpu_devices(wanted)
    wake()
    return options.devices or there


def evaluate(options):
    from .runs import memory, run, states, trust
    from .runs.identity import identity, require_same

    trust.check(options.run, options.trust)
    plan, state, path = states.read(options.run)
    require_same(options.run, path, identity(plan), accepted=True)
    constants = dict(options.set)
    _user_errors(memory.check_episodes, plan, options.episodes)
    _, figures = _user_errors(
        run.evaluate_run, plan, state, episodes=options.episodes, seed=options.seed,
        stochastic=options.stochastic, constants=constants,
    )  # fmt: skip
    _show({"run": str(options.run), "env": plan.env, **constants, **figures})
    return 0


def _finish(options, folder, ended):
    """The pictures and the last evaluation of a run that has come to its end or was stopped; returns the exit status.

    There are none after a SIGTERM or a second Ctrl-C: there, the process must end soon.
    """
    from .runs import hosts, run
    from .runs.checkpoint import replacing

    hosts.stop()
    if ended in (run.Ending.TERMINATED, run.Ending.INTERRUPTED):
        print(f"stopped, and saved; resume with: python -m jaxenvs resume {folder}", file=sys.stderr)
        return 143 if ended is run.Ending.TERMINATED else 130
    plan, state = run.read(folder)
    if int(state.updates) == 0:
        print(f"stopped before the first figures; resume with: python -m jaxenvs resume {folder}", file=sys.stderr)
        return 130
    episodes = preset(plan.algorithm, plan.env).episodes if options.episodes is None else options.episodes
    _, figures = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1)
    if plan.training:
        _, trained = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1, constants=plan.training)
        shown = {name: trained[name] for name in ("mean", "standard_error")}
        figures["as_trained"] = {**plan.training, **shown}
    if plan.until is not None:
        ends = {
            "reached": run.reached(plan, run.read_figures(folder)),
            "steps": plan.steps_after(state.updates),
        }
        figures["until"] = {"return": plan.until, **ends}
    figures["steps"] = plan.steps_after(state.updates)
    with replacing(Path(folder) / "evaluation.json") as file:
        file.write((_json(figures) + "\n").encode())
    _pictures(options, folder, plan, state)
    _show({"run": str(folder), "env": plan.env, **figures})
    if not ended:
        print(f"stopped early; resume with: python -m jaxenvs resume {folder}", file=sys.stderr)
    return 0 if ended else 130


def _pictures(options, folder, plan, state):
    """The curve and the films of a run; what cannot be made is a sentence, and costs nothing else."""
    from .reports import report

    try:
        print(f"curve: {report.write_curve(plan, folder) or 'none'}", file=sys.stderr)
    except (ImportError, OSError) as error:
        print(f"curve: none: {error}", file=sys.stderr)
    if options.film_episodes == 0:
        return
    try:
        films, problems = report.write_film(plan, state, folder, seed=plan.seed, episodes=options.film_episodes)
    except (ImportError, OSError) as error:
        films, problems = [], [str(error)]
    nothing = "none" if problems else "none, the environment has no picture"
    print(f"film: {', '.join(map(str, films)) or nothing}", file=sys.stderr)
    for problem in problems:
        print(f"film: not made: {problem}", file=sys.stderr)


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

    return _user_errors(sweeping.sweep, options, plan_of)


def plan_of(options, devices_of=None):
    """(Plan, number of devices) of a command line; `devices_of` chooses the latter as `_devices` does."""
    from jaxenvs.loading import absolute, is_entry

    from .runs.memory import check_run
    from .runs.plan import Plan
    from .runs.schedule import check_schedule
    from .runs.trial import try_a_step

    chosen = _user_errors(preset, options.algorithm, options.env, options.preset)
    algorithm = ALGORITHMS[options.algorithm]
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(algorithm.Config)}
    config = {**chosen.config, **{name: value for name, value in given.items() if value is not None}}
    total = chosen.total_steps if options.total_steps is None else options.total_steps
    env = _user_errors(absolute, options.env) if is_entry(options.env) else options.env
    settings = _user_errors(algorithm.Config, **config)
    devices = (devices_of or _devices)(options, algorithm, settings)
    plan = Plan(
        algorithm=options.algorithm, env=env, constants={**chosen.constants, **dict(options.set)},
        training={name: value for name, value in chosen.training.items() if name not in dict(options.set)},
        curve_as_trained=chosen.curve_as_trained, config=settings, total_steps=total, seed=options.seed,
        until=getattr(options, "until", None), keys=options.keys, schedule=chosen.schedule,
    )  # fmt: skip
    envs = _user_errors(plan.training_envs)
    _user_errors(check_schedule, plan)
    _user_errors(check_run, plan)
    if is_entry(env):
        _user_errors(try_a_step, envs, options.env)
    return plan, devices


def _show(figures):
    """Prints figures: a short table on a terminal, and one JSON object otherwise."""
    show(_table(figures) if sys.stdout and sys.stdout.isatty() else _json(figures))


def _table(figures):
    """An evaluation as lines for a person.

    >>> print(_table({"env": "A-v0", "mean": 1.5, "standard_error": 0.25, "quantiles": {"0%": 1.0, "100%": 2.0}}))
    env             A-v0
    mean            1.5 +- 0.25 (standard error)
    quantiles       0%: 1, 100%: 2
    """

    def text(value):
        if isinstance(value, dict):
            return ", ".join(f"{name}: {text(part)}" for name, part in value.items())
        return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)

    shown = {name.replace("_", " "): text(value) for name, value in figures.items() if name != "standard_error"}
    if "standard_error" in figures:
        shown["mean"] += f" +- {figures['standard_error']:.3g} (standard error)"
    return "\n".join(f"{name:<15} {value}" for name, value in shown.items())


def _json(figures):
    """One line of JSON, which has null for what is not finite, such as the spread of a single episode."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(figures))


def _user_errors(function, *args, **kwargs):
    """Calls a function whose ValueErrors and TypeErrors are about what the person asked for."""
    from .runs.plan import RunError

    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise RunError(str(error)) from error
