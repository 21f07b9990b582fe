"""The command line: `python -m train ppo | evaluate | resume | record | watch | export | sweep`."""

import sys
from pathlib import Path

from . import commands
from .options import (
    Formatter,
    Parser,
    Raw,
    add_hyperparameters,
    add_set,
    add_tracker,
    add_trust,
    described,
    epilog,
    finite,
    integer,
    names_of,
    seconds,
    seed,
)  # fmt: skip
from .output import unbreakable_stderr
from .presets import ALGORITHMS
from .sweep_options import add_sweep

# The smallest allowed values of these options.
_MINIMA = {
    "total_steps": 1, "episodes": 1, "film_episodes": 0, "devices": 1, "keep": 1, "trials": 1, "top": 0,
    "num_processes": 1, "process_id": 0,
}  # fmt: skip
# Episodes of a film are played together, and kept to be drawn.
_LONGEST_FILM = 1000


def main(arguments=None, program="python -m train"):
    """Runs a command; returns the exit status: 0 done, 1 refused or failed, 130 stopped by Ctrl-C, 143 by SIGTERM.

    Args:
        arguments: those of the process by default.
        program: what the person called: `python -m train`, which has all commands, `jaxenvs train`, which has the
            algorithms, or `jaxenvs`, which has the others.
    """
    with unbreakable_stderr():
        return _run(_parser(program).parse_args(arguments))


def _run(options):
    from jaxenvs.precision import in_32_bits

    from .runs import hosts
    from .runs.compiling import allocate_as_needed
    from .runs.plan import RunError

    allocate_as_needed()
    try:
        for name, least in _MINIMA.items():
            value = getattr(options, name, None)
            if value is not None and value < least:
                raise RunError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
        flag = "episodes" if options.command is commands.record else "film_episodes"
        if (getattr(options, flag, None) or 0) > _LONGEST_FILM:
            count = getattr(options, flag)
            raise RunError(f"--{flag.replace('_', '-')} must be at most {_LONGEST_FILM:,} in a film, got {count:,}")
        return in_32_bits(options.command)(options)
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return hosts.failed(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}; what was saved before is kept", file=sys.stderr)
        return hosts.failed(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return hosts.failed(130)
    except BaseException:
        # The others must not wait for this process.
        hosts.stop(failed=True)
        raise


def _parser(program="python -m train"):
    text = "Train agents, evaluate them, and record films of them."
    ppo = f"{program.removesuffix(' train')} train ppo"
    examples = f"{ppo} --env HeartPole-v0", f"{ppo} --env CartPole-v1 --until 475"
    parser = Parser(prog=program, description=text, epilog=epilog(*examples), formatter_class=Raw)
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    if program != "jaxenvs":
        for name, algorithm in ALGORITHMS.items():
            _add_algorithm(subparsers, program, name, algorithm)
    if program != "jaxenvs train":
        _add_resume(subparsers, program)
        _add_evaluate(subparsers, program)
        _add_record(subparsers, program)
        _add_watch(subparsers, program)
        _add_export(subparsers, program)
        add_sweep(subparsers, program, commands.sweep)
    return parser


def _add_algorithm(subparsers, program, name, algorithm):
    title = (algorithm.__doc__ or name).splitlines()[0]
    examples = (
        f"{program} {name} --env HeartPole-v0 --seed 1",
        f"{program} {name} --env my_env.py:MyEnv --total-steps 1_000_000 --out runs/mine",
    )
    command = subparsers.add_parser(
        name, help=title, description=title, epilog=epilog(*examples), formatter_class=Formatter
    )
    command.set_defaults(command=commands.train, algorithm=name)
    _add_training_options(command, algorithm)


def _add_resume(subparsers, program):
    text = "resume a run or a sweep from its last checkpoint"
    examples = f"{program} resume runs/HeartPole-v0-ppo-1", f"{program} resume runs/mine --total-steps 2_000_000"
    resume = subparsers.add_parser("resume", **described(text), epilog=epilog(*examples), formatter_class=Formatter)
    resume.set_defaults(command=commands.resume)
    resume.add_argument("run", type=Path, help="the folder of the run or sweep")
    resume.add_argument("--total-steps", type=integer, help="prolong the run to this total number of steps")
    resume.add_argument(
        "--accept-changes", action="store_true",
        help="resume although the environment's file, the seed or a hyperparameter has changed",
    )  # fmt: skip
    add_trust(resume)
    _add_report_options(resume)


def _add_evaluate(subparsers, program):
    text = "evaluate a run's policy; print a table on a terminal, JSON otherwise"
    examples = (
        f"{program} evaluate runs/HeartPole-v0-ppo-1 --episodes 16384",
        f"{program} evaluate runs/mine --seed 1 --set heart_attack_proclivity=0.3",
    )
    evaluate = subparsers.add_parser("evaluate", **described(text), epilog=epilog(*examples), formatter_class=Formatter)
    evaluate.set_defaults(command=commands.evaluate)
    evaluate.add_argument("run", type=Path, help="the run's folder")
    evaluate.add_argument("--episodes", type=integer, default=1000, help="number of full episodes, run in parallel")
    evaluate.add_argument("--seed", type=seed, default=0, help="seed of the episodes")
    evaluate.add_argument(
        "--stochastic", action="store_true", help="sample actions instead of taking the most likely ones"
    )
    add_set(evaluate)
    add_trust(evaluate)


def _add_record(subparsers, program):
    text = "record a film of a run's agent, or of a random policy"
    examples = (
        f"{program} record runs/HeartPole-v0-ppo-1 --to heartpole.mp4",
        f"{program} record CartPole-v1 --random --to cartpole.gif --episodes 3",
    )
    record = subparsers.add_parser("record", **described(text), epilog=epilog(*examples), formatter_class=Formatter)
    record.set_defaults(command=commands.record)
    record.add_argument("what", metavar="RUN|ID", help="a run's folder, a registered id, or my_env.py:MyEnv")
    record.add_argument("--to", type=Path, required=True, metavar="FILE", help="file of the film, .mp4 or .gif")
    record.add_argument("--episodes", type=integer, help="number of episodes (default: as many as fit into 14 s)")
    record.add_argument("--seed", type=seed, default=0, help="seed of the episodes")
    policy = record.add_mutually_exclusive_group()
    policy.add_argument("--random", action="store_true", help="use random actions; required for an id")
    policy.add_argument("--untrained", action="store_true", help="use the policy before training")
    add_set(record)
    add_trust(record)


def _add_watch(subparsers, program):
    text = "show a run's agent in a window, until you close it"
    examples = f"{program} watch runs/HeartPole-v0-ppo-1", f"{program} watch runs/mine --best --stochastic"
    watch = subparsers.add_parser("watch", **described(text), epilog=epilog(*examples), formatter_class=Formatter)
    watch.set_defaults(command=commands.watch)
    watch.add_argument("run", type=Path, help="the run's folder")
    watch.add_argument(
        "--best", action="store_true", help="use the checkpoint with the best evaluation, not the newest"
    )
    watch.add_argument(
        "--stochastic", action="store_true", help="sample actions instead of taking the most likely ones"
    )
    watch.add_argument("--seed", type=seed, default=0, help="seed of the episodes")
    watch.add_argument("--fps", type=finite, help="steps per second (default: the environment's frames per second)")
    add_set(watch)
    add_trust(watch)


def _add_export(subparsers, program):
    text = "export a run's policy to StableHLO, NumPy, ONNX and a C header"
    examples = (
        f"{program} export runs/HeartPole-v0-ppo-1 --to policy",
        f"{program} export runs/mine --to policy --forms numpy,c --best",
    )
    export = subparsers.add_parser("export", **described(text), epilog=epilog(*examples), formatter_class=Formatter)
    export.set_defaults(command=commands.export)
    export.add_argument("run", type=Path, help="the run's folder")
    export.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="the output folder; it must not exist")
    export.add_argument(
        "--forms", type=names_of("stablehlo", "numpy", "onnx", "c"), metavar="NAMES",
        help="some of stablehlo,numpy,onnx,c (default: all that support the policy)",
    )  # fmt: skip
    export.add_argument(
        "--best", action="store_true", help="use the checkpoint with the best evaluation, not the newest"
    )
    add_trust(export)


def _add_training_options(command, algorithm):
    command.add_argument(
        "--env", required=True, metavar="ID", help="a registered id, such as HeartPole-v0, or my_env.py:MyEnv"
    )
    command.add_argument(
        "--preset", metavar="NAME",
        help="use another preset: accelerator, for GPUs and TPUs (ppo, pqn), few-steps, for few environment steps, or "
        "a JSON file from a sweep",
    )  # fmt: skip
    command.add_argument("--total-steps", type=integer, help="environment steps of the run (default: the preset's)")
    command.add_argument(
        "--until", type=finite, metavar="RETURN",
        help="end the run when an evaluation of the curve, the mean return of 1024 full episodes, reaches this return",
    )  # fmt: skip
    command.add_argument("--seed", type=seed, default=0, help="seed of all random numbers")
    command.add_argument(
        "--keys", choices=("ordinary", "fast"), default="ordinary",
        help="the random number generator: JAX's own, or jaxenvs.random.fast",
    )  # fmt: skip
    command.add_argument("--out", help="the run's folder (default: the first free runs/ENV-ALGORITHM-N)")
    add_set(command)
    _add_report_options(command)
    add_hyperparameters(command, algorithm)


def _add_report_options(command):
    command.add_argument("--episodes", type=integer, help="episodes of the final evaluation (default: the preset's)")
    command.add_argument(
        "--film-episodes", type=integer, help="episodes of the film; 0 for no film (default: as many as fit into 14 s)"
    )
    command.add_argument(
        "--devices",
        type=integer,
        help="number of devices (default: as many processor cores as make the run faster)",
    )
    command.add_argument(
        "--save-every", type=seconds, default=30.0, metavar="SECONDS",
        help="longest time between two checkpoints, such as 30 or 30s; a run also saves at points of its curve",
    )  # fmt: skip
    command.add_argument("--keep", type=integer, default=2, help="number of checkpoints to keep")
    add_tracker(command)
    command.add_argument("--quiet", action="store_true", help="do not show the progress")
    command.add_argument(
        "--distributed", action="store_true",
        help="train in several processes, on one or several machines; a cluster (Slurm, Open MPI, Kubernetes) or the "
        "next three options define them, and --devices is the number for each process",
    )  # fmt: skip
    command.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0")
    command.add_argument("--num-processes", type=integer, metavar="N", help="number of processes")
    command.add_argument("--process-id", type=integer, metavar="I", help="number of this process, from 0")


if __name__ == "__main__":
    from .runs.compiling import use_compilation_cache

    use_compilation_cache()
    sys.exit(main())
