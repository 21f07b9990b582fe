"""The ids of this package's environments, and their registration with Gymnasium; without JAX."""

import gymnasium

#: {id: (entry point of its class, steps after which an episode is truncated, constants that differ from the defaults)}.
IDS = {
    "Acrobot-v1": ("jaxenvs.envs.acrobot:Acrobot", 500, {}),
    "CartPole-v0": ("jaxenvs.envs.cartpole:CartPole", 200, {}),
    "CartPole-v1": ("jaxenvs.envs.cartpole:CartPole", 500, {}),
    "FiveChoices-v0": ("jaxenvs.envs.five_choices:FiveChoices", 1, {}),
    "HeartPole-v0": ("jaxenvs.envs.heartpole:HeartPole", 1000, {}),
    "HeartPole-v1": ("jaxenvs.envs.heartpole_v1:HeartPoleV1", 672, {}),
    "LunarLander-v3": ("jaxenvs.envs.lunar_lander:LunarLander", 1000, {}),
    "LunarLanderContinuous-v3": ("jaxenvs.envs.lunar_lander:LunarLanderContinuous", 1000, {}),
    "MountainCar-v0": ("jaxenvs.envs.mountain_car:MountainCar", 200, {}),
    "MountainCarContinuous-v0": ("jaxenvs.envs.mountain_car_continuous:MountainCarContinuous", 999, {}),
    "Pendulum-v1": ("jaxenvs.envs.pendulum:Pendulum", 200, {}),
    "PointIntercept-v0": ("jaxenvs.envs.point_intercept:PointIntercept", 1000, {}),
    "PointInterceptContinuous-v0": ("jaxenvs.envs.point_intercept:PointInterceptContinuous", 1000, {}),
    "PointInterceptContinuousRandom-v0": (
        "jaxenvs.envs.point_intercept:PointInterceptContinuous", 1000, {"random_target": True},
    ),
    "PointInterceptRandom-v0": ("jaxenvs.envs.point_intercept:PointIntercept", 1000, {"random_target": True}),
    "RocketLanding-v0": ("jaxenvs.envs.rocket_landing:RocketLanding", 250, {}),
    "SimpleRocket-v0": ("jaxenvs.envs.simple_rocket:SimpleRocket", 500, {}),
}  # fmt: skip


class _OwnTask(int):
    """The version of an id that does not replace the earlier ones.

    Gymnasium says that an id is out of date where a later version is greater: none of ours is. HeartPole-v1 is another
    task than HeartPole-v0, and CartPole-v0 the one with 200 steps.
    """

    def __gt__(self, other):
        return False


def register_all():
    """Makes `gymnasium.make("jaxenvs/HeartPole-v0")` work, and all the others."""
    # The latest version first: of versions none of which is greater, Gymnasium takes the first for an id without one.
    for id, (_, limit, _) in sorted(IDS.items(), reverse=True):
        register_with_gymnasium(id, limit)
        spec = gymnasium.registry[f"jaxenvs/{id}"]
        spec.version = _OwnTask(spec.version or 0)


def register_with_gymnasium(id, max_episode_steps, entry_point="GymnasiumEnv", force=False):
    """Makes `gymnasium.make("jaxenvs/Name-v0")` work; an id that has a namespace keeps it.

    Args:
        id: the id.
        max_episode_steps: the time limit, None for none.
        entry_point: the name of the function or class in `jaxenvs.bridges.gymnasium` that makes it.
        force: whether to replace a registration that is there.
    """
    name = id if "/" in id else f"jaxenvs/{id}"
    if name in gymnasium.registry and not force:
        return
    gymnasium.registry.pop(name, None)
    gymnasium.register(
        name,
        entry_point=f"jaxenvs.bridges.gymnasium:{entry_point}",
        vector_entry_point="jaxenvs.bridges.gymnasium_vector:GymnasiumVectorEnv",
        max_episode_steps=max_episode_steps,
        kwargs={"env_id": id},
    )
