"""Policies: functions of a key and observations, made of what a learner chooses at features."""

from jaxenvs import VectorEnv, make_vec
from jaxenvs.precision import in_32_bits

from .heads import features, to_action


def batch_of(envs):
    """A `VectorEnv` as it is, and of an `Environment` one with these spaces."""
    return envs if isinstance(envs, VectorEnv) else make_vec(envs, 1)


def policy_of(envs, choose):
    """`act(key, obs) -> action`, for one observation or a batch.

    Args:
        envs: a `VectorEnv`.
        choose: `choose(key, features) -> sample`, of f32[..., features] that are not standardised yet; `to_action`
            makes an action of the sample.
    """

    @in_32_bits
    def act(key, obs):
        return to_action(envs.single_action_space, choose(key, features(envs.single_observation_space, obs)))

    return act
