"""The command line: `python -m train ppo | evaluate | resume`."""

import argparse
import ast
import dataclasses
import json
import math
import re
import sys
from pathlib import Path

from jaxenvs.show import field_texts

from .presets import ALGORITHMS, preset

# The smallest allowed values of these options.
_MINIMA = {"total_steps": 1, "episodes": 1, "film_steps": 0, "devices": 1}


def main(arguments=None, program="python -m train"):
    """Runs a command; returns the exit status: 0 done, 1 refused, 130 stopped by Ctrl-C.

    Args:
        arguments: those of the process by default.
        program: what the person called: `python -m train`, which has all commands, `jaxenvs train`, which has the
            algorithms, or `jaxenvs`, which has the others.
    """
    options = _parser(program).parse_args(arguments)
    from .runs.compiling import allocate_as_needed
    from .runs.plan import RunError

    allocate_as_needed()
    try:
        for name, least in _MINIMA.items():
            value = getattr(options, name, None)
            if value is not None and value < least:
                raise RunError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
        return options.command(options)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _train(options):
    from .runs import run
    from .runs.plan import free_folder

    plan, devices = _plan(options)
    folder = Path(options.out) if options.out else free_folder(f"{plan.name.replace('/', '-')}-{plan.algorithm}")
    steps = f"{plan.total_steps:,} steps, seed {plan.seed}, {_counted(devices)}"
    print(f"{plan.algorithm} on {plan.name}, {steps}: {folder}", file=sys.stderr)
    ended = _user_errors(run.begin, plan, folder, quiet=options.quiet, devices=devices)
    return _finish(options, folder, ended)


def _resume(options):
    from .runs import run
    from .runs.plan import read_plan

    plan = read_plan(options.run)
    devices = _devices(options, ALGORITHMS[plan.algorithm], plan.config)
    return _finish(options, options.run, _user_errors(run.resume, options.run, quiet=options.quiet, devices=devices))


def _counted(devices):
    return f"{devices} device{'s' * (devices > 1)}"


def _devices(options, algorithm, config):
    """How many devices train: those asked for, or as many of the CPU's cores as are worth it."""
    from jaxenvs.devices import num_cores

    from .runs.compiling import request_cpu_devices, wake

    _user_errors(algorithm.check, config)
    wanted = options.devices or algorithm.useful_devices(config, num_cores())
    _user_errors(algorithm.check, config, wanted)
    there = request_cpu_devices(wanted)
    wake()
    return options.devices or there


def _evaluate(options):
    from .runs import run

    plan, state = run.read(options.run)
    constants = dict(options.set)
    _, figures = _user_errors(
        run.evaluate_run, plan, state, episodes=options.episodes, seed=options.seed,
        stochastic=options.stochastic, constants=constants,
    )  # fmt: skip
    print(_json({"run": str(options.run), "env": plan.env, **constants, **figures}))
    return 0


def _finish(options, folder, ended):
    """The pictures and the last evaluation of a run that has come to its end or was stopped."""
    from .reports import report
    from .runs import run

    plan, state = run.read(folder)
    if int(state.updates) == 0:
        print(f"stopped before the first figures; resume with: python -m jaxenvs resume {folder}", file=sys.stderr)
        return 130
    curve = report.write_curve(plan, folder)
    if curve:
        print(f"curve: {curve}", file=sys.stderr)
    if options.film_steps:
        films = report.write_film(plan, state, folder, seed=plan.seed, num_steps=options.film_steps)
        print(f"film: {', '.join(map(str, films)) or 'none, the environment has no picture'}", file=sys.stderr)
    episodes = preset(plan.algorithm, plan.env).episodes if options.episodes is None else options.episodes
    _, figures = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1)
    if plan.training:
        _, trained = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1, constants=plan.training)
        shown = {name: trained[name] for name in ("mean", "standard_error")}
        figures["as_trained"] = {**plan.training, **shown}
    if plan.until is not None:
        ends = {
            "reached": run.reached(plan, run.read_figures(folder)),
            "steps": int(state.updates) * plan.steps_per_update,
        }
        figures["until"] = {"return": plan.until, **ends}
    (Path(folder) / "evaluation.json").write_text(_json(figures) + "\n")
    print(_json({"run": str(folder), "env": plan.env, **figures}))
    if not ended:
        print(f"stopped early; resume with: python -m jaxenvs resume {folder}", file=sys.stderr)
    return 0 if ended else 130


def _plan(options):
    from jaxenvs.loading import absolute, is_entry

    from .runs.plan import Plan
    from .runs.trial import try_a_step

    chosen = preset(options.algorithm, options.env)
    algorithm = ALGORITHMS[options.algorithm]
    given = {field.name: getattr(options, field.name) for field in dataclasses.fields(algorithm.Config)}
    config = {**chosen.config, **{name: value for name, value in given.items() if value is not None}}
    total = chosen.total_steps if options.total_steps is None else options.total_steps
    env = _user_errors(absolute, options.env) if is_entry(options.env) else options.env
    settings = algorithm.Config(**config)
    devices = _devices(options, algorithm, settings)
    plan = Plan(
        algorithm=options.algorithm, env=env, constants=dict(options.set),
        training={name: value for name, value in chosen.training.items() if name not in dict(options.set)},
        curve_as_trained=chosen.curve_as_trained, config=settings, total_steps=total, seed=options.seed,
        until=options.until, keys=options.keys,
    )  # fmt: skip
    envs = _user_errors(plan.training_envs)
    if is_entry(env):
        _user_errors(try_a_step, envs, options.env)
    return plan, devices


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


def _parser(program="python -m train"):
    text = "Train agents, and look at what they learned."
    ppo = f"{program.removesuffix(' train')} train ppo"
    examples = f"{ppo} --env HeartPole-v0", f"{ppo} --env CartPole-v1 --until 475"
    parser = argparse.ArgumentParser(prog=program, description=text, epilog=_epilog(*examples), formatter_class=_Raw)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    if program != "jaxenvs":
        for name, algorithm in ALGORITHMS.items():
            _add_algorithm(commands, program, name, algorithm)
    if program != "jaxenvs train":
        _add_resume(commands, program)
        _add_evaluate(commands, program)
    return parser


def _epilog(*examples):
    return "examples:\n" + "\n".join(f"  {example}" for example in examples)


def _add_algorithm(commands, program, name, algorithm):
    title = (algorithm.__doc__ or name).splitlines()[0]
    examples = (
        f"{program} {name} --env HeartPole-v0 --seed 1",
        f"{program} {name} --env my_env.py:MyEnv --total-steps 1_000_000 --out runs/mine",
    )
    command = commands.add_parser(
        name, help=title, description=title, epilog=_epilog(*examples), formatter_class=_Formatter
    )
    command.set_defaults(command=_train, algorithm=name)
    _add_training_options(command, algorithm)


def _add_resume(commands, program):
    text = "resume a run from its last checkpoint"
    examples = f"{program} resume runs/HeartPole-v0-ppo-1", f"{program} resume runs/mine --devices 1 --film-steps 0"
    resume = commands.add_parser("resume", help=text, epilog=_epilog(*examples), formatter_class=_Formatter)
    resume.set_defaults(command=_resume)
    resume.add_argument("run", type=Path, help="the run's folder")
    _add_report_options(resume)


def _add_evaluate(commands, program):
    text = "evaluate a run's policy, as JSON"
    examples = (
        f"{program} evaluate runs/HeartPole-v0-ppo-1 --episodes 16384",
        f"{program} evaluate runs/mine --seed 1 --set heart_attack_proclivity=0.3",
    )
    evaluate = commands.add_parser("evaluate", help=text, epilog=_epilog(*examples), formatter_class=_Formatter)
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("run", type=Path, help="the run's folder")
    evaluate.add_argument("--episodes", type=_integer, default=1000, help="full episodes, played in parallel")
    evaluate.add_argument("--seed", type=int, default=0, help="of the episodes")
    evaluate.add_argument("--stochastic", action="store_true", help="sample actions instead of the most likely ones")
    _add_set(evaluate)


_Raw = argparse.RawDescriptionHelpFormatter


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, _Raw):
    def _get_help_string(self, action):
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


def _add_training_options(command, algorithm):
    command.add_argument("--env", required=True, help="a registered id, such as HeartPole-v0, or my_env.py:MyEnv")
    command.add_argument("--total-steps", type=_integer, help="environment steps of the run (default: the preset's)")
    command.add_argument(
        "--until", type=_finite, metavar="RETURN",
        help="end the run when the evaluation of its curve, the mean return of 1024 full episodes, reaches this",
    )  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="of everything random")
    command.add_argument(
        "--keys", choices=("ordinary", "fast"), default="ordinary",
        help="the random numbers: JAX's own, or those of jaxenvs.random.fast",
    )  # fmt: skip
    command.add_argument("--out", help="the run's folder (default: the first free runs/ENV-ALGORITHM-N)")
    _add_set(command)
    _add_report_options(command)
    group = command.add_argument_group("hyperparameters", "defaults in brackets; the environment's preset may differ")
    texts = field_texts(algorithm.Config)
    for field in dataclasses.fields(algorithm.Config):
        flag = "--" + field.name.rstrip("_").replace("_", "-")
        text = f"{texts.get(field.name, '')} [{field.default}]".replace("%", "%%")
        group.add_argument(flag, dest=field.name, type=_type_of(field.default), default=None, help=text)


def _add_report_options(command):
    command.add_argument("--episodes", type=_integer, help="episodes of the last evaluation (default: the preset's)")
    command.add_argument("--film-steps", type=_integer, default=240, help="length of the film, steps; 0 makes none")
    command.add_argument(
        "--devices",
        type=_integer,
        help="how many share the training (default: as many processor cores as are worth it)",
    )
    command.add_argument("--quiet", action="store_true", help="no progress")


def _add_set(command):
    command.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="a constant of the environment, such as heart_attack_proclivity=0.3; may be repeated",
    )  # fmt: skip


def _type_of(default):
    if isinstance(default, bool):
        return _truth
    if isinstance(default, tuple):
        return lambda text: tuple(_integer(part) for part in text.split(","))
    if isinstance(default, str):
        return str
    return _integer if isinstance(default, int) else float


def _integer(text):
    """1_000_000, 1000000 and 1e6 alike."""
    try:
        value = int(text) if re.fullmatch(r"[+-]?[\d_]+", text) else float(text)
        if value != int(value):
            raise ValueError
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
    return int(value)


def _finite(text):
    try:
        if math.isfinite(value := float(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a finite number, got {text!r}")


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, got {text!r}")
    return text.lower() == "true"


def _setting(text):
    name, equals, value = text.partition("=")
    try:
        if not (equals and name.isidentifier()):
            raise ValueError
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE with a number, True or False, got {text!r}") from None


if __name__ == "__main__":
    from .runs.compiling import use_compilation_cache

    use_compilation_cache()
    sys.exit(main())
