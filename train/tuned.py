"""The settings that train each environment well: figures that were found by trying, and nothing that computes."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """How an algorithm is run on an environment."""

    #: Environment steps of a run.
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
    #: Constants of the environment, in training and evaluation, that differ from the defaults.
    constants: dict = dataclasses.field(default_factory=dict)
    #: Values that change along the run, as `runs.schedule` has them.
    schedule: list = dataclasses.field(default_factory=list)


# Without normalised layers, tanh learned these environments sooner than normalised relu, and compiles in half the time.
_PQN = {"activation": "tanh", "layer_norm": False}

# Deaths are noise to a learner; the penalty stands for them: one attack in seven kills, and takes half of the 440 that
# a fortnight is worth.
_DEADLY = {"heart_attack_fatality": 0.0, "heart_attack_penalty": 131.0}

PRESETS = {
    ("dqn", "Acrobot-v1"): Preset(
        total_steps=500_000,
        config={
            "learning_rate": 1.2e-3,
            "final_learning_rate": 0.02,
            "gamma": 0.994,
            "tau": 0.02,
            "final_epsilon": 0.015,
            "exploration_fraction": 0.1,
            "n_step": 3,
        },
    ),
    ("dqn", "CartPole-v0"): Preset(total_steps=100_000),
    ("dqn", "CartPole-v1"): Preset(total_steps=100_000),
    ("dqn", "FiveChoices-v0"): Preset(total_steps=20_000),
    ("dqn", "HeartPole-v0"): Preset(
        total_steps=1_000_000,
        config={
            "learning_rate": 6e-4,
            "final_learning_rate": 0.0,
            "gamma": 0.943,
            "tau": 0.01,
            "final_epsilon": 0.02,
            "exploration_fraction": 0.25,
            "num_envs": 32,
            "gradient_steps": 32,
            "capacity": 262_144,
            "n_step": 3,
        },
        training={"expected_penalty": True},
        curve_as_trained=True,
        episodes=16384,
    ),
    ("dqn", "HeartPole-v1"): Preset(
        total_steps=1_000_000,
        config={
            "learning_rate": 6e-4,
            "final_learning_rate": 0.0,
            "gamma": 0.9985,
            "tau": 0.01,
            "final_epsilon": 0.02,
            "exploration_fraction": 0.3,
            "num_envs": 32,
            "gradient_steps": 32,
            "capacity": 262_144,
            "n_step": 6,
            "hidden": (128, 128),
        },
        training=_DEADLY,
        episodes=16384,
    ),
    ("dqn", "LunarLander-v3"): Preset(
        total_steps=500_000,
        config={
            "learning_rate": 8e-4,
            "final_learning_rate": 0.02,
            "gamma": 0.995,
            "tau": 0.01,
            "final_epsilon": 0.02,
            "exploration_fraction": 0.3,
            "num_envs": 16,
            "gradient_steps": 32,
            "capacity": 262_144,
            "n_step": 3,
            "hidden": (128, 128),
        },
    ),
    ("dqn", "MountainCar-v0"): Preset(
        total_steps=250_000,
        config={
            "learning_rate": 1.5e-3,
            "final_learning_rate": 0.01,
            "gamma": 0.996,
            "tau": 0.02,
            "final_epsilon": 0.0125,
            "n_step": 3,
            "hidden": (128, 128),
        },
    ),
    ("pqn", "Acrobot-v1"): Preset(total_steps=12_000_000, config={"hidden": (128, 128), **_PQN}),
    ("pqn", "CartPole-v0"): Preset(total_steps=1_000_000, config={"learning_rate": 2e-3, **_PQN}),
    ("pqn", "CartPole-v1"): Preset(total_steps=1_000_000, config={"learning_rate": 2e-3, **_PQN}),
    ("pqn", "FiveChoices-v0"): Preset(total_steps=200_000, config=_PQN),
    ("pqn", "HeartPole-v0"): Preset(
        total_steps=6_000_000,
        config={"learning_rate": 2e-3, "gamma": 0.95, "exploration_fraction": 0.8, **_PQN},
        training={"expected_penalty": True},
        curve_as_trained=True,
        episodes=16384,
    ),
    ("pqn", "HeartPole-v1"): Preset(
        total_steps=8_000_000,
        config={
            "gamma": 0.9995,
            "lambda_": 0.95,
            "epsilon": 0.5,
            "final_epsilon": 0.02,
            "exploration_fraction": 0.6,
            "num_envs": 512,
            "num_steps": 64,
            "minibatches": 16,
            **_PQN,
        },
        training=_DEADLY,
        episodes=16384,
    ),
    ("pqn", "MountainCar-v0"): Preset(
        total_steps=6_000_000,
        config={
            "learning_rate": 2e-3,
            "lambda_": 0.75,
            "epochs": 1,
            "minibatches": 16,
            "final_epsilon": 0.15,
            "exploration_fraction": 0.8,
            "hidden": (128, 128),
            **_PQN,
        },
    ),
    ("ppo", "Acrobot-v1"): Preset(
        total_steps=4_000_000,
        config={"gamma": 0.995, "entropy_bonus": 0.02, "final_entropy_bonus": 0.0},
    ),
    ("ppo", "CartPole-v0"): Preset(total_steps=2_000_000),
    ("ppo", "CartPole-v1"): Preset(total_steps=2_000_000),
    ("ppo", "FiveChoices-v0"): Preset(total_steps=200_000, config={"num_envs": 64, "num_steps": 32}),
    ("ppo", "HeartPole-v0"): Preset(
        total_steps=6_000_000,
        config={
            "num_envs": 1024,
            "num_steps": 32,
            "gamma": 0.94,
            "entropy_bonus": 0.05,
            "final_entropy_bonus": 0.4,
        },
        training={"expected_penalty": True},
        curve_as_trained=True,
        episodes=16384,
    ),
    ("ppo", "HeartPole-v1"): Preset(
        total_steps=20_000_000,
        config={
            "num_envs": 1024,
            "num_steps": 64,
            "gamma": 1.0,
            "learning_rate": 2e-3,
            "entropy_bonus": 0.1,
            "final_entropy_bonus": 0.0,
            "epochs": 3,
            "minibatches": 8,
        },
        training=_DEADLY,
        episodes=16384,
    ),
    # A fall asleep pays 100 some two hundred steps later than the landing that leads to it.
    ("ppo", "LunarLander-v3"): Preset(
        total_steps=5_000_000,
        config={
            "gamma": 0.999,
            "lambda_": 0.98,
            "entropy_bonus": 0.01,
            "final_entropy_bonus": 0.0,
            "minibatches": 16,
        },
    ),
    ("ppo", "LunarLanderContinuous-v3"): Preset(
        total_steps=5_000_000,
        config={"gamma": 0.999, "lambda_": 0.98, "log_std": -0.5, "minibatches": 16},
    ),
    ("ppo", "MountainCar-v0"): Preset(
        total_steps=8_000_000,
        config={
            "num_envs": 1024,
            "num_steps": 64,
            "gamma": 0.998,
            "lambda_": 0.98,
            "entropy_bonus": 0.05,
            "final_entropy_bonus": 0.0,
            "minibatches": 16,
        },
    ),
    # Each push costs, and hundreds of steps pay nothing: little noise and a long horizon.
    ("ppo", "MountainCarContinuous-v0"): Preset(
        total_steps=5_000_000, config={"gamma": 0.9999, "lambda_": 0.99, "log_std": -0.7}
    ),
    ("ppo", "Pendulum-v1"): Preset(total_steps=5_000_000, config={"gamma": 0.97, "lambda_": 0.9}),
    ("ppo", "PointIntercept-v0"): Preset(),
    ("ppo", "PointInterceptContinuous-v0"): Preset(),
    ("ppo", "PointInterceptContinuousRandom-v0"): Preset(total_steps=2_000_000),
    ("ppo", "PointInterceptRandom-v0"): Preset(total_steps=2_000_000),
    ("ppo", "RocketLanding-v0"): Preset(
        total_steps=10_000_000,
        config={"gamma": 0.995, "learning_rate": 5e-4, "log_std": -0.7},
    ),
    ("ppo", "SimpleRocket-v0"): Preset(
        total_steps=32_000_000,
        config={"gamma": 0.998, "lambda_": 0.99, "learning_rate": 3e-4, "log_std": -0.7, "epochs": 8},
        episodes=4096,
    ),
}

# Of learners from a replay buffer in boxes: a gradient step for every four steps of 16 environments.
_BOX = {
    "num_envs": 16, "num_steps": 4, "gradient_steps": 16, "learning_starts": 6400, "capacity": 128_000,
    "final_learning_rate": 0.02,
}  # fmt: skip
PRESETS |= {
    # The best way takes hundreds of steps, of which none pays, so the discount is near 1 and each push lasts.
    ("td3", "MountainCarContinuous-v0"): Preset(
        total_steps=396_000,
        config={
            **_BOX,
            "num_steps": 16,
            "gradient_steps": 32,
            "learning_starts": 16_384,
            "capacity": 256_000,
            "learning_rate": 1.6e-3,
            "gamma": 0.99998,
            "tau": 0.03,
            "n_step": 10,
            "noise": 0.26,
            "final_noise": 0.05,
            "noise_correlation": 0.94,
            "target_noise": 0.07,
            "activation": "tanh",
        },
    ),
    ("td3", "Pendulum-v1"): Preset(
        total_steps=200_000,
        config={
            **_BOX,
            "learning_rate": 2e-3,
            "tau": 0.02,
            "policy_delay": 1,
            "batch_size": 256,
            "noise": 1.0,
            "final_noise": 0.2,
            "target_noise": 0.1,
        },
        episodes=16384,
    ),
    ("sac", "MountainCarContinuous-v0"): Preset(
        total_steps=249_856,
        config={
            "num_envs": 16,
            "num_steps": 16,
            "gradient_steps": 32,
            "learning_starts": 16_384,
            "capacity": 256_000,
            "final_learning_rate": 0.02,
            "gamma": 0.99998,
            "tau": 0.03,
            "n_step": 10,
            "noise_correlation": 0.94,
            "activation": "tanh",
        },
    ),
    ("sac", "Pendulum-v1"): Preset(
        total_steps=200_000, config={**_BOX, "learning_rate": 2e-3, "tau": 0.02}, episodes=16384
    ),
    ("sac", "RocketLanding-v0"): Preset(
        total_steps=500_000,
        config={
            **_BOX,
            "num_envs": 32,
            "gradient_steps": 32,
            "capacity": 256_000,
            "gamma": 0.995,
            "tau": 0.02,
            "n_step": 3,
            "noise_correlation": 0.9,
            "hidden": (128, 128),
        },
    ),
    ("td3", "SimpleRocket-v0"): Preset(
        total_steps=262_544,
        config={
            **_BOX,
            "num_steps": 8,
            "gradient_steps": 24,
            "capacity": 256_000,
            "tau": 0.02,
            "n_step": 10,
            "noise": 0.3,
            "final_noise": 0.3,
            "noise_correlation": 0.8,
            "activation": "tanh",
        },
        episodes=4096,
    ),
}


#: Returns to compare with, by environment and with its default constants; docs/environments.md has where they are from.
REFERENCES = {
    "Acrobot-v1": {"goal": -80.0},
    "CartPole-v0": {"optimum": 200.0},
    "CartPole-v1": {"optimum": 500.0},
    "FiveChoices-v0": {"optimum": 1.0},
    "HeartPole-v0": {"optimum": -123.31},
    "HeartPole-v1": {"best simple policy": 437.2},
    "LunarLander-v3": {"solved": 200.0},
    "LunarLanderContinuous-v3": {"solved": 200.0},
    "MountainCar-v0": {"optimum, about": -98.0},
    "MountainCarContinuous-v0": {"goal": 93.0},
    "Pendulum-v1": {"goal": -150.0},
    "PointIntercept-v0": {"optimum": 1.0},
    "PointInterceptContinuous-v0": {"optimum": 1.0},
    "PointInterceptContinuousRandom-v0": {"optimum": 1.0},
    "PointInterceptRandom-v0": {"optimum": 1.0},
    "RocketLanding-v0": {"classical controller": 142.5},
    "SimpleRocket-v0": {"PD law": 732.7},
}


#: Other presets, by algorithm, environment and the name that `--preset` has for them. "few-steps" reaches a good return
#: with few steps of the environment, at more gradient steps for each.
VARIANTS = {
    ("dqn", "CartPole-v1", "few-steps"): Preset(total_steps=50_000, config={"gradient_steps": 32}),
    ("td3", "MountainCarContinuous-v0", "few-steps"): Preset(
        total_steps=49_984,
        config={
            **PRESETS["td3", "MountainCarContinuous-v0"].config,
            "num_envs": 8,
            "num_steps": 8,
            "learning_starts": 4096,
            "capacity": 49_984,
        },
    ),
    ("sac", "Pendulum-v1", "few-steps"): Preset(
        total_steps=19_200,
        config={
            **_BOX,
            "num_envs": 4,
            "learning_starts": 1600,
            "capacity": 20_000,
            "tau": 0.02,
            "final_learning_rate": 0.05,
        },
        episodes=16384,
    ),
    ("td3", "Pendulum-v1", "few-steps"): Preset(
        total_steps=19_200,
        config={
            **_BOX,
            "num_envs": 4,
            "learning_starts": 1600,
            "capacity": 20_000,
            "tau": 0.02,
            "gamma": 0.98,
            "noise": 0.2,
            "final_learning_rate": 0.05,
        },
        episodes=16384,
    ),
}
