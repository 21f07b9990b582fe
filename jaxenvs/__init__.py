"""jaxenvs: reinforcement-learning environments as pure, jitted functions, stepped in large batches.

env = jaxenvs.make("HeartPole-v0")                              one environment: env.reset(key), env.step(...)
envs = jaxenvs.make_vec("HeartPole-v0", num_envs=65_536)        a batch, with time limit and autoreset
jaxenvs.rollout(envs, policy, key, state, obs, num_steps)       a policy in a batch, scanned on the device
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING

from jaxenvs.ids import register_all

if TYPE_CHECKING:
    from jaxenvs.public import *  # noqa: F403

__version__ = "0.1.0"


class _Package(types.ModuleType):
    """Loads JAX and all public names when the first one is used: `jaxenvs --help` needs none of them."""

    def __getattr__(self, name):
        if name in ("random", "render", "spaces"):
            return importlib.import_module(f"jaxenvs.{name}")
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        public = importlib.import_module("jaxenvs.public")
        vars(self).update({known: getattr(public, known) for known in ("__all__", *public.__all__)})
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

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
