"""Gymnasium's own classic environments as oracles: with other constants, from given starts, over entire episodes."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium.envs.classic_control import acrobot, cartpole, continuous_mountain_car, mountain_car, pendulum
from gymnasium.wrappers import TimeLimit

CLASSES = {
    "CartPole-v0": cartpole.CartPoleEnv,
    "CartPole-v1": cartpole.CartPoleEnv,
    "Pendulum-v1": pendulum.PendulumEnv,
    "MountainCar-v0": mountain_car.MountainCarEnv,
    "MountainCarContinuous-v0": continuous_mountain_car.Continuous_MountainCarEnv,
    "Acrobot-v1": acrobot.AcrobotEnv,
}
# Our constants by what Gymnasium calls them, where the names differ.
THEIRS = {
    cartpole.CartPoleEnv: {
        "cart_mass": "masscart",
        "pole_mass": "masspole",
        "half_length": "length",
        "force": "force_mag",
        "dt": "tau",
        "position_limit": "x_threshold",
        "angle_limit": "theta_threshold_radians",
        "sutton_barto_reward": "_sutton_barto_reward",
    },
    pendulum.PendulumEnv: {"gravity": "g", "mass": "m", "length": "l"},
    mountain_car.MountainCarEnv: {},
    continuous_mountain_car.Continuous_MountainCarEnv: {"min_force": "min_action", "max_force": "max_action"},
    acrobot.AcrobotEnv: {
        "link_length_1": "LINK_LENGTH_1",
        "link_length_2": "LINK_LENGTH_2",
        "link_mass_1": "LINK_MASS_1",
        "link_mass_2": "LINK_MASS_2",
        "link_center_1": "LINK_COM_POS_1",
        "link_center_2": "LINK_COM_POS_2",
        "link_inertia": "LINK_MOI",
        "max_velocity_1": "MAX_VEL_1",
        "max_velocity_2": "MAX_VEL_2",
    },
}


class Episodes(NamedTuple):
    """Entire episodes, steps first; values after an episode's end are zero."""

    #: [steps, episodes], whether the episode still ran when the step began.
    running: Any
    #: [steps, episodes, ...], the oracle's state when the step began.
    state: Any
    action: Any
    obs: Any
    reward: Any
    terminated: Any
    truncated: Any


def peer(id, **constants):
    """Gymnasium's environment, bare, with our names for its constants."""
    env: Any = CLASSES[id]()
    for name, value in constants.items():
        if name == "semi_implicit":
            env.kinematics_integrator = "semi-implicit euler" if value else "euler"
        elif name == "nips_equations":
            env.book_or_nips = "nips" if value else "book"
        elif name == "torque":
            env.AVAIL_TORQUE = [-value, 0.0, value]
        else:
            theirs = THEIRS[type(env)].get(name, name)
            if not hasattr(env, theirs):
                raise TypeError(f"{type(env).__name__} has no {theirs}")
            setattr(env, theirs, value)
    if isinstance(env, cartpole.CartPoleEnv):
        env.total_mass = env.masspole + env.masscart
        env.polemass_length = env.masspole * env.length
    return env


def episodes(env, limit, starts, policy):
    """Episodes until they end.

    Args:
        env: of `peer`.
        limit: steps after which Gymnasium's `TimeLimit` truncates.
        starts: [episodes, ...], the states to start from.
        policy: policy(episode, t, obs) -> action; its first obs is the start's state.
    Returns:
        `Episodes`, obs and reward as Gymnasium gives them.
    """
    limited, rows = TimeLimit(env, limit), []
    for index, start in enumerate(starts):
        limited.reset()
        env.state = start.copy()
        obs, row = start, []
        for t in range(limit):
            state, action = np.array(env.state), policy(index, t, obs)
            obs, reward, terminated, truncated, _ = limited.step(action)
            row.append((True, state, action, obs, reward, terminated, truncated))
            if terminated or truncated:
                break
        rows.append([np.stack(column) for column in zip(*row, strict=True)])
    return Episodes(*(_padded(column, limit) for column in zip(*rows, strict=True)))


def _padded(columns, limit):
    out = np.zeros((limit, len(columns), *columns[0].shape[1:]), columns[0].dtype)
    for index, column in enumerate(columns):
        out[: len(column), index] = column
    return out
