"""The options of the command line: their types, and parsers that name the flag that was meant."""

import argparse
import contextlib
import dataclasses
import difflib
import math
import re

from jaxenvs import settings
from jaxenvs.settings import add_set as add_set
from jaxenvs.show import field_texts

from .floor.config import range_text
from .runs.stored import LARGEST_SEED

# Names that other libraries have, and the flag here.
_KNOWN_AS = {
    "lr": "learning-rate", "steps": "total-steps", "timesteps": "total-steps", "total-timesteps": "total-steps",
    "n-timesteps": "total-steps", "n-envs": "num-envs", "envs": "num-envs", "n-steps": "num-steps",
    "num-env": "num-envs", "rollout-length": "num-steps", "n-epochs": "epochs", "update-epochs": "epochs",
    "num-epochs": "epochs", "num-minibatches": "minibatches", "n-minibatches": "minibatches",
    "gae-lambda": "lambda", "lam": "lambda", "discount": "gamma", "clip-range": "clip", "clip-coef": "clip",
    "clip-eps": "clip", "clip-range-vf": "value-clip", "ent-coef": "entropy-bonus", "entropy-coef": "entropy-bonus",
    "entropy-cost": "entropy-bonus", "vf-coef": "value-cost", "value-coef": "value-cost",
    "max-gradient-norm": "max-grad-norm", "buffer-size": "capacity", "memory-size": "capacity",
    "train-freq": "num-steps", "train-frequency": "num-steps", "target-update-interval": "target-every",
    "target-network-frequency": "target-every", "exploration-initial-eps": "epsilon", "start-e": "epsilon",
    "exploration-final-eps": "final-epsilon", "end-e": "final-epsilon", "q-lambda": "lambda",
    "n-quantiles": "quantiles", "polyak": "tau",
    "env-id": "env", "environment": "env", "id": "env", "output": "out", "folder": "out", "logdir": "out",
    "layers": "hidden", "net-arch": "hidden", "act": "activation", "target": "until", "random-seed": "seed",
    "n-eval-episodes": "episodes", "eval-episodes": "episodes", "num-episodes": "episodes", "n-episodes": "episodes",
    "exploration-noise": "noise", "target-policy-noise": "target-noise",
    "policy-noise": "target-noise", "target-noise-clip": "noise-clip", "policy-frequency": "policy-delay",
    "alpha": "temperature", "policy-lr": "learning-rate", "q-lr": "learning-rate",
    "constants": "set", "kwargs": "set", "silent": "quiet", "film-steps": "film-episodes", "num-devices": "devices",
}  # fmt: skip

Raw = argparse.RawDescriptionHelpFormatter


class Formatter(argparse.ArgumentDefaultsHelpFormatter, Raw):
    def _get_help_string(self, action):
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


class Parser(settings.Parser):
    """A parser that says which flag was probably meant."""

    def _unrecognized(self, unknown):
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        for word in unknown:
            meant = _meant(word, flags) if word.startswith("--") else None
            if meant:
                return f"unrecognized arguments: {word}; did you mean {meant}?"
        return super()._unrecognized(unknown)


def _meant(word, flags):
    name = word.partition("=")[0].removeprefix("--").lower().replace("_", "-")
    known = f"--{_KNOWN_AS.get(name, name)}"
    if known in flags:
        return known
    return next(iter(difflib.get_close_matches(f"--{name}", flags, n=1, cutoff=0.75)), None)


def add_hyperparameters(command, algorithm):
    """A flag for each field of an algorithm's `Config`, with its comment, its range and its default."""
    group = command.add_argument_group("hyperparameters", "defaults in brackets; the environment's preset may differ")
    texts = field_texts(algorithm.Config)
    for field in dataclasses.fields(algorithm.Config):
        allowed = range_text(field)
        range_ = f" {allowed[:1].upper()}{allowed[1:]}." if allowed else ""
        text = f"{texts.get(field.name, '')}{range_} [{field.default}]".replace("%", "%%")
        group.add_argument(flag_of(field.name), dest=field.name, type=_type_of(field.default), default=None, help=text)


def flag_of(name):
    """The flag of a field: "--num-envs" of "num_envs"."""
    return "--" + name.rstrip("_").replace("_", "-")


def described(text):
    """The help and the description of a command that reads a run."""
    executes = "A run's folder names its environment's file or module, and that code is executed: see --trust."
    return {"help": text, "description": f"{text[:1].upper()}{text[1:]}. {executes}"}


def add_trust(command):
    """The flag of commands that execute what a run's folder names."""
    command.add_argument(
        "--trust", action="store_true",
        help="execute the environment's file even if it is outside the working directory",
    )  # fmt: skip


def add_tracker(command):
    """The flag that sends metrics to a tracker."""
    command.add_argument(
        "--tracker", metavar="MODULE",
        help="send the metrics to a tracker: wandb, or another module with the same init, log and finish",
    )  # fmt: skip


def epilog(*examples):
    return "examples:\n" + "\n".join(f"  {example}" for example in examples)


def _type_of(default):
    if isinstance(default, bool):
        return _truth
    if isinstance(default, tuple):
        return _integers
    if isinstance(default, str):
        return str
    return integer if isinstance(default, int) else float


def _integers(text):
    """64,64 and (64, 64) alike."""
    return tuple(integer(part.strip()) for part in text.strip(" ()[]").split(",") if part.strip())


def integer(text):
    """1_000_000, 1000000 and 1e6 alike."""
    try:
        value = int(text) if re.fullmatch(r"[+-]?[\d_]+", text) else float(text)
        if value != int(value):
            raise ValueError
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
    return int(value)


def finite(text):
    try:
        if math.isfinite(value := float(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a finite number, got {text!r}")


def seconds(text):
    """A number of seconds above 0: 30, 0.5 and 30s."""
    value = finite(text.removesuffix("s"))
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0 seconds, got {text!r}")
    return value


def seed(text):
    """An integer that JAX makes a key of its own for; `--seed -1` would be that of 2**32 - 1."""
    with contextlib.suppress(ValueError):
        if 0 <= (value := int(text)) <= LARGEST_SEED:
            return value
    raise argparse.ArgumentTypeError(f"must be an integer from 0 to {LARGEST_SEED:,}, got {text!r}")


def names_of(*allowed):
    """The type of an option that is a list of some names: "a,b"."""

    def parse(text):
        names = [name.strip() for name in text.split(",") if name.strip()]
        wrong = next((name for name in names if name not in allowed), None)
        if wrong is not None or not names:
            raise argparse.ArgumentTypeError(f"must be some of {','.join(allowed)}, got {wrong or text!r}")
        return list(dict.fromkeys(names))

    return parse


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, got {text!r}")
    return text.lower() == "true"
