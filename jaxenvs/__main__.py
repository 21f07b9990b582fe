"""The command line: `jaxenvs --help`, or `python -m jaxenvs --help`."""

import argparse
import builtins
import importlib
import importlib.util
import json
import keyword
import os
import re
import shlex
import sys
import time
from importlib import resources
from pathlib import Path

from jaxenvs.settings import Parser, add_set

# Names that the new file itself needs.
_RESERVED_CLASSES = {"Canvas", "NamedTuple", "State", "gymnasium", "jax", "jaxenvs", "jnp", "np", *dir(builtins)}
_RESERVED_FILES = {*sys.stdlib_module_names, "gymnasium", "jax", "jaxenvs", "jaxlib", "numpy", "train"}

#: The commands that the trainers' own command line runs.
TRAINING = {
    "train": "train an agent: jaxenvs train ppo --env ID",
    "evaluate": "evaluate a run's policy",
    "resume": "continue a run or a sweep from its last checkpoint, or prolong a run",
    "record": "record a film of a run's agent, or of a random policy",
    "watch": "show a run's agent in a window",
    "export": "export a run's policy to StableHLO, NumPy, ONNX and a C header",
    "sweep": "search for good hyperparameters: jaxenvs sweep ppo --env ID --space ...",
}
#: What the trainers import, which the extra `train` installs.
TRAINERS_NEED = ("chex", "flax", "imageio_ffmpeg", "matplotlib", "optax", "PIL", "tensorboardX", "tqdm")
_INSTALL = 'pip install "jaxenvs[train]"'


class CommandError(Exception):
    """A command that cannot be run; the message is one line."""


def main(arguments=None):
    """Runs a command; returns the exit status: 0 success, 1 an error or a broken rule, 130 stopped by Ctrl-C.

    Args:
        arguments: those of the process by default; compiled programs are then cached between runs.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if given and given[0] in TRAINING:
            return _train(given, cached=arguments is None)
        return _run(_parser().parse_args(given))
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe; Python flushes its output once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"error: {error.filename or 'the standard output'}: {error.strerror or error}", file=sys.stderr)
    return 1


def _run(options):
    from jaxenvs.loading import LoadError

    try:
        return options.command(options)
    except LoadError as error:
        raise CommandError(str(error)) from error


def _new(options):
    path, stem = options.path.as_posix(), options.path.stem
    name = options.name or "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", stem))
    if options.path.suffix != ".py":
        raise CommandError(f"{path}: the file's name must end in .py")
    if stem in _RESERVED_FILES:
        raise CommandError(f"{path} would hide Python's module {stem!r}: choose another name")
    if not name.isidentifier() or keyword.iskeyword(name) or name in _RESERVED_CLASSES:
        raise CommandError(f"{name!r} cannot name the class: give another, such as --name MyEnv")
    starter = resources.files("jaxenvs.starter").joinpath("continuous.py" if options.continuous else "discrete.py")
    text = starter.read_text(encoding="utf-8").replace("my_env.py", path)
    try:
        with options.path.open("x", encoding="utf-8") as file:
            file.write(re.sub(r"\bMyEnv\b", name, text))
    except FileExistsError:
        raise CommandError(f"{path} already exists and is not changed: choose another name") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    print(f"{path} contains the environment {name}. Next:\n")
    entry = shlex.quote(f"{path}:{name}")
    print(f"  python -m jaxenvs check {entry}\n  python -m jaxenvs train ppo --env {entry}")
    return 0


def _check(options):
    import jaxenvs
    from jaxenvs.check.table import table
    from jaxenvs.loading import is_entry, load
    from jaxenvs.registry import spec

    if options.json is not None and options.json.suffix != ".json":
        raise CommandError(f"--json must name a file that ends in .json, got {options.json}")
    if is_entry(options.env):
        env = load(options.env)
    else:
        try:
            spec(options.env)
        except ValueError as error:
            raise CommandError(f"{error}; name an environment in a file as my_env.py:MyEnv") from None
        env = jaxenvs.make(options.env)
    if options.json is not None:
        _make_empty(options.json)
    print("checking: this takes a few seconds", file=sys.stderr)
    start = time.monotonic()
    report = jaxenvs.check_env(env, raise_on_failure=False)
    if options.json is not None:
        from jaxenvs.check.certificate import certificate

        seconds = time.monotonic() - start
        written = certificate(env, report, name=options.env, seconds=seconds, version=jaxenvs.__version__)
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    return 0 if report.ok else 1


def _make_empty(path):
    """Makes an empty file, so that a path that cannot be written is refused before anything takes time."""
    try:
        path.write_text("")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None


def _list(options):
    import jaxenvs
    from jaxenvs.registry import time_limit
    from jaxenvs.show import aligned, space_text

    rows = [("id", "observation", "action", "steps")]
    for id in sorted(jaxenvs.registry):
        env, limit = jaxenvs.make(id), time_limit(id)
        steps = "no limit" if limit is None else str(limit)
        rows.append((id, space_text(env.observation_space), space_text(env.action_space), steps))
    print("\n".join(aligned(rows, indent="")))
    return 0


def _show(options):
    from jaxenvs.show import show

    try:
        print(show(options.env))
    except ValueError as error:
        raise CommandError(str(error)) from None
    print(f"\n{_presets(options.env)}")
    return 0


def _play(options):
    from jaxenvs.play import play

    given = {name: getattr(options, name) for name in ("seed", "fps", "record")}
    try:
        scores = play(options.env, **given, **dict(options.set))
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise CommandError(str(error)) from error
    print(f"scores: {', '.join(f'{score:g}' for score in scores) or 'no episode was played to its end'}")
    return 0


def _presets(id):
    """The trainers' presets for an environment, as text."""
    missing = _missing()
    if missing:
        return f"presets: unknown without {_listed(missing)}: {_INSTALL}"
    presets = importlib.import_module(f"{_trainers()}.presets")
    lines = []
    for algorithm in presets.ALGORITHMS:
        preset = presets.preset(algorithm, id)
        known = "" if (algorithm, id) in presets.PRESETS else " (no preset: the defaults)"
        lines.append(f"  {algorithm}: {preset.total_steps:,} steps{known}")
        for title, values in (("hyperparameters", preset.config), ("constants while training", preset.training)):
            if values:
                lines.append(f"    {title}: {', '.join(f'{name}={value}' for name, value in values.items())}")
    return "\n".join(["presets:", *lines])


def _train(arguments, *, cached):
    """Runs a command of the trainers' own command line, which reads its arguments itself."""
    missing = _missing()
    if missing:
        raise CommandError(f"training needs {_listed(missing)}: {_INSTALL}")
    trainers = _trainers()
    if cached:
        importlib.import_module(f"{trainers}.runs.compiling").use_compilation_cache()
    command, rest = arguments[0], arguments[1:]
    main = importlib.import_module(f"{trainers}.__main__").main
    return main(rest, "jaxenvs train") if command == "train" else main(arguments, "jaxenvs")


def _missing():
    return [name for name in TRAINERS_NEED if importlib.util.find_spec(name) is None]


def _listed(names):
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _trainers():
    """The name of the trainers' package: `jaxenvs.train`, or `train` if this process has loaded it under that name.

    Under two names it would be loaded twice.
    """
    folder = Path(__file__).resolve().parents[1] / "train"
    source = folder / "__init__.py"
    loaded = getattr(sys.modules.get("train"), "__file__", None)
    if loaded is not None and Path(loaded).resolve() == source:
        return "train"
    name = "jaxenvs.train"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        # A checkout that is not installed.
        found = importlib.util.spec_from_file_location(name, source, submodule_search_locations=[str(folder)])
        assert found is not None and found.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(found)
        found.loader.exec_module(sys.modules[name])
    return name


def _parser():
    parser = _command(None, Parser, "Write, check, show and list environments; train agents in them.",
                      "jaxenvs show HeartPole-v0", "jaxenvs train ppo --env HeartPole-v0", prog="jaxenvs")  # fmt: skip
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    new = _command(
        "new", commands.add_parser, "write a file with an example environment",
        "jaxenvs new my_env.py", "jaxenvs new bath_tub.py --continuous --name BathTub",
    )  # fmt: skip
    new.set_defaults(command=_new)
    new.add_argument("path", type=Path, metavar="FILE", help="the file, such as my_env.py; it must not exist")
    new.add_argument("--continuous", action="store_true", help="use continuous actions instead of discrete ones")
    new.add_argument("--name", help="name of the class (default: from the file name, MyEnv for my_env.py)")
    check = _command(
        "check", commands.add_parser, "check an environment, and say what to fix",
        "jaxenvs check my_env.py:MyEnv", "jaxenvs check CartPole-v1 --json cartpole.json",
    )  # fmt: skip
    check.set_defaults(command=_check)
    check.add_argument(
        "env", metavar="ENV", help="my_env.py:MyEnv, package.module:MyEnv, or a registered id; the code is executed"
    )
    check.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results and measurements to a .json file"
    )
    listing = _command(
        "list", commands.add_parser, "list the registered environments, their spaces and time limits",
        "jaxenvs list", "jaxenvs list | grep Box",
    )  # fmt: skip
    listing.set_defaults(command=_list)
    showing = _command(
        "show", commands.add_parser, "show an environment's spaces, constants, time limit and presets",
        "jaxenvs show HeartPole-v0", "jaxenvs show my_env.py:MyEnv",
    )  # fmt: skip
    showing.set_defaults(command=_show)
    showing.add_argument("env", metavar="ID", help="a registered id, my_env.py:MyEnv or package.module:MyEnv")
    _add_play(commands)
    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _add_play(commands):
    play = _command(
        "play", commands.add_parser, "play an environment in a window: F1 shows the keys",
        "jaxenvs play CartPole-v1", "jaxenvs play PointIntercept-v0      # with the mouse",
        "jaxenvs play SimpleRocket-v0 --set bound=3 --record film.mp4", "jaxenvs play my_env.py:MyEnv",
    )  # fmt: skip
    play.set_defaults(command=_play)
    play.add_argument("env", metavar="ID", help="a registered id, my_env.py:MyEnv or package.module:MyEnv")
    play.add_argument("--seed", type=int, default=0, help="seed of the episodes (default: 0)")
    play.add_argument(
        "--fps", type=float, help="steps per second; 0 waits for a key (default: depends on the environment)"
    )
    play.add_argument("--record", type=Path, metavar="FILE", help="record a film of the episodes, .mp4 or .gif")
    add_set(play)


def _command(name, make, text, *examples, **options):
    """A parser whose help ends with examples."""
    named = {} if name is None else {"name": name, "help": text}
    description = text[:1].upper() + text[1:].removesuffix(".") + "."
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples)
    formatter = argparse.RawDescriptionHelpFormatter
    return make(**named, description=description, epilog=epilog, formatter_class=formatter, **options)


if __name__ == "__main__":
    sys.exit(main())
