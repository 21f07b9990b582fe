"""Trackers of experiments, such as Weights & Biases: any module with its `init`, `log` and `finish`."""

import importlib
import math
import os
import sys

from ..output import Unbreakable

_METHODS = "init", "log", "finish"


class Tracker:
    """Figures for a tracker. If it fails, that is said once on the standard error, and it is not called again.

        tracker = Tracker("wandb")
        tracker.begin("CartPole-v1-ppo-1", {"learning_rate": 0.001})
        tracker.log({"return_mean": 21.5}, step=4096)
        tracker.close()

    Args:
        module: a module's name, such as "wandb" or "package.module"; or an object with `init(project=, name=,
            config=)`, `log(figures, step=)` and `finish()`. None tracks nothing.
    Raises:
        ValueError: if there is no such module, or it lacks one of the three.
    """

    def __init__(self, module=None):
        self._name = module if isinstance(module, str) else getattr(module, "__name__", repr(module))
        self._module = _imported(module) if isinstance(module, str) else module
        missing = [] if module is None else [one for one in _METHODS if not callable(getattr(self._module, one, None))]
        if missing:
            raise ValueError(f"--tracker {self._name} has no {missing[0]}(...): a tracker has init, log and finish")
        self._begun = False

    def begin(self, name, config):
        """Starts a run there.

        Args:
            name: its name.
            config: dict for JSON, what decides the run. The project is that of WANDB_PROJECT, or "jaxenvs".
        """
        project = os.environ.get("WANDB_PROJECT") or "jaxenvs"
        self._begun = self._module is not None
        self._tried("init", project=project, name=name, config=config)

    def log(self, figures, step):
        """Adds figures.

        Args:
            figures: dict of name to number, text or tuple; numbers that are not finite are left out.
            step: int, which grows.
        """
        kept = {name: _plain(value) for name, value in figures.items() if _is_shown(value)}
        self._tried("log", kept, step=int(step))

    def close(self):
        """Ends the run there."""
        self._tried("finish")
        self._begun = False

    def _tried(self, method, *args, **kwargs):
        if not self._begun:
            return
        try:
            getattr(self._module, method)(*args, **kwargs)
        except Exception as error:  # whatever the tracker, its network or its disk raise
            self._begun = False
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            text = f"warning: the tracker {self._name} failed at {method}, and gets no more figures: {reason}"
            print(text, file=Unbreakable(sys.stderr))


def _imported(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"--tracker {name} cannot be imported: {error}") from error
    except Exception as error:  # the module's own code
        raise ValueError(f"--tracker {name} cannot be imported: {type(error).__name__}: {error}") from error


def _is_shown(value):
    return not isinstance(value, float) or math.isfinite(value)


def _plain(value):
    return str(value) if isinstance(value, tuple) else value
