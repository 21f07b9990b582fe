"""What simple rules and control laws return, for comparison with trained agents.

    python -m benchmarks.rules
    python -m benchmarks.rules --env SimpleRocket-v0 --episodes 16384

Each is a function of one batch of observations. Mean return and standard error of full episodes, each environment with
its default constants; HeartPole-v0 with `expected_penalty`, which has the same mean and less noise. HeartPole-v1 has
`python -m benchmarks.heartpole_policies`.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.common import save
from train.floor.evaluate import evaluate


def always(action):
    """A policy that does the same at each step."""
    return lambda env, obs: jnp.full(obs.shape[:1], action)


def sleep_when_tired(env, obs):
    """HeartPole: works, and sleeps when alertness is gone."""
    return jnp.where(obs[:, 0] < 0, 3, 0)


def lean(env, obs):
    """CartPole: pushes to the side to which the pole leans and moves."""
    return (obs[:, 2] + obs[:, 3] > 0).astype(jnp.int32)


def along(env, obs):
    """MountainCar: pushes along the velocity."""
    return jnp.where(obs[:, 1] < 0, 0, 2)


def pd(position_gain, velocity_gain):
    """SimpleRocket: thrust against position and velocity, clipped."""
    return lambda env, obs: jnp.clip(-position_gain * obs[:, :1] - velocity_gain * obs[:, 1:], -1.0, 1.0)


def descend(env, obs):
    """RocketLanding: a descent that brakes at 1 m/s^2, and slows down further while it is off the pad.

    Proportional-derivative laws for the horizontal acceleration and for the attitude that gives it, and feedback of the
    descent around its reference; the thrust is what both accelerations and gravity need.
    """
    x, height = 50 * obs[:, 0], 100 * obs[:, 1]
    velocity_x, velocity_y, tilt, tilt_rate = 10 * obs[:, 2], 10 * obs[:, 3], obs[:, 4] / 2, obs[:, 5] / 2
    mass = env.dry_mass + env.start_fuel * obs[:, 6]
    off_the_pad = jnp.maximum(jnp.abs(x) + 1.5 * jnp.abs(velocity_x) - 2, 0)
    descent = jnp.sqrt(2 * jnp.maximum(height + 0.5 - 0.7 * off_the_pad, 0.5))
    braking = jnp.where(descent < 12, 1.0, 0.0)
    sideways = jnp.clip(-0.16 * x - 0.8 * velocity_x, -1.3, 1.3)
    upwards = jnp.clip(-jnp.minimum(descent, 12.0) - velocity_y + braking, -1.3, 3.0) + env.gravity
    wanted = jnp.clip(jnp.arctan2(sideways, upwards), -0.35, 0.35) * jnp.clip(height / 6, 0, 1)
    turn = 3 * (wanted - tilt) - 2.8 * tilt_rate
    authority = env.gravity * env.engine_arm * jnp.sin(env.gimbal_limit) / env.gyration_radius**2
    throttle = (mass * jnp.hypot(sideways, upwards) - env.thrust_low) / (env.thrust_high - env.thrust_low)
    return jnp.clip(jnp.stack([2 * throttle - 1, turn / authority], axis=-1), -1.0, 1.0)


RULES = {
    "HeartPole-v0": {
        "nothing, ever": always(0),
        "coffee, always": always(1),
        "sleep when alertness is gone": sleep_when_tired,
        "sleep, always": always(3),
    },
    "CartPole-v1": {"push to where the pole leans and moves": lean},
    "MountainCar-v0": {"push along the velocity": along},
    "SimpleRocket-v0": {
        "PD law, gains 4 and 4: critically damped": pd(4.0, 4.0),
        "PD law, gains 36 and 25: the best of a grid": pd(36.0, 25.0),
    },
    "RocketLanding-v0": {"classical controller": descend},
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", choices=sorted(RULES), help="one environment (default: all)")
    parser.add_argument("--episodes", type=int, default=4096)
    parser.add_argument("--name", default="rules", help="of the file in benchmarks/results/")
    options = parser.parse_args(arguments)
    rows = []
    for id in [options.env] if options.env else RULES:
        for name, rule in RULES[id].items():
            mean, error = measure(id, rule, options.episodes)
            rows.append({"env": id, "rule": name, "mean": mean, "standard_error": error})
            print(f"{mean:10.2f} +- {error:6.2f}  {id}: {name}", flush=True)
    save(options.name, rows, episodes=options.episodes)
    return rows


def measure(id, rule, episodes, seed=0):
    """(mean return, standard error)."""
    constants = {"expected_penalty": True} if id == "HeartPole-v0" else {}
    envs = jaxenvs.make_vec(id, episodes, **constants)
    play = jax.jit(lambda envs, key: evaluate(envs, lambda key, obs: rule(envs.env, obs), key).episode_return)
    returns = np.asarray(play(envs, jax.random.key(seed)), np.float64)
    return returns.mean().item(), (returns.std(ddof=1) / np.sqrt(episodes)).item()


if __name__ == "__main__":
    main()
