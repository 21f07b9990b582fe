"""The command line: `python -m jaxenvs new | check | list`."""

import argparse
import keyword
import re
import sys
from importlib import resources
from pathlib import Path

# What the new file itself needs under these names.
_TAKEN_CLASSES = {"State", "NamedTuple"}
_TAKEN_FILES = {*sys.stdlib_module_names, "gymnasium", "jax", "jaxenvs", "jaxlib", "numpy", "train"}


class CommandError(Exception):
    """A command that cannot be carried out; the message is one line for a person."""


def main(arguments=None):
    """Runs a command; returns the exit status: 0 done, 1 refused or something to mend."""
    options = _parser().parse_args(arguments)
    from jaxenvs.loading import LoadError

    try:
        return options.command(options)
    except (CommandError, LoadError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 1


def _new(options):
    path, stem = options.path.as_posix(), options.path.stem
    name = options.name or "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", stem))
    if options.path.suffix != ".py":
        raise CommandError(f"{path}: the file's name must end in .py")
    if stem in _TAKEN_FILES:
        raise CommandError(f"{path} would hide Python's module {stem!r}: choose another name")
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN_CLASSES:
        raise CommandError(f"{name!r} cannot name the class: give another, such as --name MyEnv")
    starter = resources.files("jaxenvs.starter").joinpath("continuous.py" if options.continuous else "discrete.py")
    text = starter.read_text(encoding="utf-8").replace("my_env.py", path)
    try:
        with options.path.open("x", encoding="utf-8") as file:
            file.write(re.sub(r"\bMyEnv\b", name, text))
    except FileExistsError:
        raise CommandError(f"{path} exists already, and is left as it is: choose another name") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from None
    print(f"{path} holds the environment {name}. Next:\n")
    print(f"  python -m jaxenvs check {path}:{name}\n  python -m train ppo --env {path}:{name}")
    return 0


def _check(options):
    import jaxenvs
    from jaxenvs.loading import is_entry, load
    from jaxenvs.registry import spec

    if is_entry(options.env):
        env = load(options.env)
    else:
        try:
            spec(options.env)
        except ValueError as error:
            raise CommandError(f"{error}; an environment in a file is named my_env.py:MyEnv") from None
        env = jaxenvs.make(options.env)
    print("checking: this takes some seconds", file=sys.stderr)
    report = jaxenvs.check_env(env, raise_on_failure=False)
    print(_table(report))
    return 0 if report.ok else 1


def _table(report):
    """A `Report` as a table: for each rule a line, and below the line of a broken one what was found."""
    from jaxenvs.check import rules

    reasons = dict(report.skipped)
    lines = []
    for name, statement in rules().items():
        found = [finding for finding in report.findings if finding.rule == name]
        mark = "MEND" if found else "-" if name in reasons else "ok"
        told = f"not checked: {reasons[name]}" if name in reasons else statement
        lines.append(f"{mark:<5} {name:<20} {told}")
        lines += [line for finding in found for line in str(finding).splitlines()[1:]]
    count = len({finding.rule for finding in report.findings})
    verdict = f"{count} {'rule' if count == 1 else 'rules'} to mend" if count else "keeps the whole contract"
    return "\n".join([*lines, "", f"{report.env}: {verdict} ({len(report.held)} hold, {len(reasons)} not checked)"])


def _list(options):
    import jaxenvs
    from jaxenvs.registry import time_limit

    rows = [("id", "observation", "action", "steps")]
    for id in sorted(jaxenvs.registry):
        env, limit = jaxenvs.make(id), time_limit(id)
        steps = "no limit" if limit is None else str(limit)
        rows.append((id, _space(env.observation_space), _space(env.action_space), steps))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    return 0


def _space(space):
    """A space in a few characters: "Discrete(4)", "Box(2)", "Box(1) in [-2, 2]"."""
    import gymnasium
    import numpy as np

    if isinstance(space, gymnasium.spaces.Dict):
        return "{" + ", ".join(f"{name}: {_space(part)}" for name, part in space.spaces.items()) + "}"
    if isinstance(space, gymnasium.spaces.Tuple):
        return "(" + ", ".join(map(_space, space.spaces)) + ")"
    if not isinstance(space, gymnasium.spaces.Box):
        return str(space)
    low, high = np.unique(space.low), np.unique(space.high)
    shown = f"Box({', '.join(map(str, space.shape))})" + ("" if space.dtype == np.float32 else f" {space.dtype}")
    one_range = low.size == high.size == 1 and np.isfinite([low[0], high[0]]).all()
    return f"{shown} in [{low[0]:g}, {high[0]:g}]" if one_range else shown


def _parser():
    parser = argparse.ArgumentParser(prog="python -m jaxenvs", description="Write, check and list environments.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write a file with an environment to start from")
    new.set_defaults(command=_new)
    new.add_argument("path", type=Path, metavar="FILE", help="the file, such as my_env.py; it must not exist")
    new.add_argument("--continuous", action="store_true", help="actions that are numbers, in place of a few choices")
    new.add_argument("--name", help="the class's name (default: from the file's, MyEnv for my_env.py)")
    check = commands.add_parser("check", help="say what holds of an environment's contract, and what to mend")
    check.set_defaults(command=_check)
    check.add_argument("env", metavar="ENV", help="my_env.py:MyEnv, package.module:MyEnv, or a registered id")
    listing = commands.add_parser("list", help="list the registered environments, their spaces and time limits")
    listing.set_defaults(command=_list)
    return parser


if __name__ == "__main__":
    sys.exit(main())
