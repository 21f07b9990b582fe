"""What the command lines share: their parser, and the option `--set NAME=VALUE`, constants of an environment."""

import argparse
import ast


class Parser(argparse.ArgumentParser):
    """A parser whose errors show one short line of usage, that of the command whose arguments are wrong."""

    def parse_known_args(self, args=None, namespace=None):
        found, unknown = super().parse_known_args(args, namespace)
        # A command is given all that follows it; one without help stands for a command that another parser reads.
        if unknown and self._subparsers is None and self.add_help:
            self.error(self._unrecognized(unknown))
        return found, unknown

    def error(self, message):
        """Ends the process with status 2."""
        self.exit(2, f"{self._short_usage()}\n{self.prog}: error: {message}\n")

    def _unrecognized(self, unknown):
        return f"unrecognized arguments: {' '.join(unknown)}"

    def _short_usage(self):
        """The usage without what may be left out."""
        words, more = [], False
        for action in self._actions:
            name = str(action.metavar or action.dest)
            if isinstance(action, argparse._SubParsersAction):
                words.append(f"{name} ...")
                more = True
            elif not action.option_strings:
                words.append(name)
            elif action.required:
                words.append(f"{action.option_strings[0]} {action.metavar or action.dest.upper()}")
            else:
                more = more or action.dest != "help"
        options = " [options]" if more and self._subparsers is None else ""
        return f"usage: {' '.join([self.prog, *words])}{options}" + ("   (--help lists them)" if more else "")


def add_set(command):
    """Adds the option to a parser; `dict(options.set)` are the constants."""
    command.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="NAME=VALUE",
        help="a constant of the environment, such as heart_attack_proclivity=0.3; may be repeated",
    )  # fmt: skip


def _setting(text):
    name, equals, value = text.partition("=")
    if equals and name in ("id", "env"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a constant: name the environment by --env {value}")
    if equals and name in ("num_envs", "num-envs"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a constant of the environment but the size of the batch: --num-envs {value} when training"
        )
    try:
        if not (equals and name.isidentifier()):
            raise ValueError
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE with a number, True or False, got {text!r}") from None
