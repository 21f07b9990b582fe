"""The option `--set NAME=VALUE` of the commands: constants of an environment."""

import argparse
import ast


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
