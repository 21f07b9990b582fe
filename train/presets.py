"""What trains each environment well, so that `--env` alone is enough."""

import dataclasses

from train import ppo

ALGORITHMS = {"ppo": ppo}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """How an algorithm is run on an environment."""

    #: Environment steps of a whole run.
    total_steps: int = 1_000_000
    #: Hyperparameters that differ from the algorithm's defaults.
    config: dict = dataclasses.field(default_factory=dict)
    #: Constants of the environment while training that differ from the defaults; evaluation does not use them, but
    #: for the curve where `curve_as_trained` is set.
    training: dict = dataclasses.field(default_factory=dict)
    #: Evaluate for the learning curve with the constants of training: less noise, and said in the curve's label.
    curve_as_trained: bool = False
    #: Episodes of the last evaluation.
    episodes: int = 1000


PRESETS = {
    ("ppo", "HeartPole-v0"): Preset(
        total_steps=6_000_000,
        config={
            "num_envs": 1024,
            "num_steps": 32,
            "gamma": 0.95,
            "entropy_bonus": 0.02,
            "final_entropy_bonus": 0.1,
        },
        training={"expected_penalty": True},
        curve_as_trained=True,
        episodes=16384,
    ),
    ("ppo", "SimpleRocket-v0"): Preset(
        total_steps=32_000_000,
        config={"gamma": 0.995, "learning_rate": 5e-4, "log_std": -0.7},
        episodes=4096,
    ),
}


def preset(algorithm, env_id):
    """The preset of an algorithm for an environment; a plain one where none was made."""
    return PRESETS.get((algorithm, env_id), Preset())
