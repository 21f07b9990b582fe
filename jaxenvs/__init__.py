"""jaxenvs: reinforcement-learning environments as pure, jitted functions that step large batches.

env = jaxenvs.make("HeartPole-v0")                              one environment: env.reset(key), env.step(...)
envs = jaxenvs.make_vec("HeartPole-v0", num_envs=65_536)        a batch, with time limit and autoreset
jaxenvs.rollout(envs, policy, key, state, obs, num_steps)       run a policy in a batch, as a scan on the device
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING

from jaxenvs.ids import IDS, register_all

if TYPE_CHECKING:
    from jaxenvs.public import *  # noqa: F403

__version__ = "0.1.0"


#: The module of each public name; jaxenvs/public.py has the same names for type checkers.
_MODULES = {
    "check_env": "check", "constant": "constants", "static": "constants", "Environment": "core", "Step": "core",
    "over_devices": "devices", "tune_cpu": "devices", "make": "registry", "make_vec": "registry",
    "register": "registry", "registry": "registry", "Transitions": "rollout", "rollout": "rollout",
    "VectorEnv": "vector", "VectorState": "vector", "VectorStep": "vector",
}  # fmt: skip
_MODULES = {name: f"jaxenvs.{module}" for name, module in _MODULES.items()}
_MODULES |= {name: module for module, _, name in (entry.partition(":") for entry, *_ in IDS.values())}


class _Package(types.ModuleType):
    """Loads a public name when it is first used, and JAX with it: `jaxenvs --help` needs none, and training few."""

    def __getattr__(self, name):
        if name in ("random", "render", "spaces"):
            return importlib.import_module(f"jaxenvs.{name}")
        if name == "__all__":
            return importlib.import_module("jaxenvs.public").__all__
        if name not in _MODULES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULES[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name, value):
        # The import system makes every submodule an attribute; these two are a dict and a function.
        if name not in ("registry", "rollout") or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)

    def __reduce__(self):
        # cloudpickle knows plain modules only, and functions refer to this one.
        return importlib.import_module, (self.__name__,)

    def __dir__(self):
        return sorted({*vars(self), *importlib.import_module("jaxenvs.public").__all__})


sys.modules[__name__].__class__ = _Package
register_all()
