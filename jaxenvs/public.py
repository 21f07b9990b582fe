"""Every public name of jaxenvs; importing it loads JAX, which `import jaxenvs` alone does not."""

from jaxenvs import random, spaces
from jaxenvs.check import check_env
from jaxenvs.constants import constant, static
from jaxenvs.core import Environment, Step
from jaxenvs.devices import over_devices, tune_cpu
from jaxenvs.envs.acrobot import Acrobot
from jaxenvs.envs.cartpole import CartPole
from jaxenvs.envs.five_choices import FiveChoices
from jaxenvs.envs.heartpole import HeartPole
from jaxenvs.envs.heartpole_v1 import HeartPoleV1
from jaxenvs.envs.lunar_lander import LunarLander, LunarLanderContinuous
from jaxenvs.envs.mountain_car import MountainCar
from jaxenvs.envs.mountain_car_continuous import MountainCarContinuous
from jaxenvs.envs.pendulum import Pendulum
from jaxenvs.envs.point_intercept import PointIntercept, PointInterceptContinuous
from jaxenvs.envs.rocket_landing import RocketLanding
from jaxenvs.envs.simple_rocket import SimpleRocket
from jaxenvs.registry import make, make_vec, register, registry
from jaxenvs.rollout import Transitions, rollout
from jaxenvs.vector import VectorEnv, VectorState, VectorStep

__all__ = [
    "Acrobot",
    "CartPole",
    "Environment",
    "FiveChoices",
    "HeartPole",
    "HeartPoleV1",
    "LunarLander",
    "LunarLanderContinuous",
    "MountainCar",
    "MountainCarContinuous",
    "Pendulum",
    "PointIntercept",
    "PointInterceptContinuous",
    "RocketLanding",
    "SimpleRocket",
    "Step",
    "Transitions",
    "VectorEnv",
    "VectorState",
    "VectorStep",
    "check_env",
    "constant",
    "make",
    "make_vec",
    "over_devices",
    "random",
    "register",
    "registry",
    "rollout",
    "spaces",
    "static",
    "tune_cpu",
]
