"""What simple rules of life return in HeartPole-v1.

    python -m benchmarks.heartpole_policies

Sampled episodes of the environment as it is registered: mean return and standard error over 16384 of them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import jaxenvs
from benchmarks.common import save
from jaxenvs.envs.heartpole_v1 import BEER, CANNABIS, COFFEE, EXERCISE, MEDITATION, NAP, NOTHING, SLEEP, WATER
from train.floor.evaluate import evaluate

EPISODES = 16384


@dataclasses.dataclass(frozen=True)
class Rules:
    """The first of these whose condition holds is done; infinite thresholds switch a rule off."""

    #: Sleep after this many half-hours awake, or below this alertness.
    bedtime: float = np.inf
    exhaustion: float = -np.inf
    #: Exercise, or meditate, from this hypertension on.
    exercise_above: float = np.inf
    meditate_above: float = np.inf
    #: Nap below this alertness.
    nap_below: float = -np.inf
    #: Coffee below this alertness, unless awake for longer than the second.
    coffee_below: float = -np.inf
    coffee_until: float = np.inf
    #: Beer below this intoxication.
    beer_below: float = -np.inf
    #: Water below this alertness.
    water_below: float = -np.inf
    #: Cannabis below this high.
    cannabis_below: float = -np.inf

    def policy(self, key, obs):
        """`act(key, obs) -> action` for a batch."""
        alertness, hypertension, intoxication, awake, high, _ = jnp.moveaxis(obs, -1, 0)
        alertness, hypertension, awake = 2 * alertness, 6 * hypertension, 48 * awake
        rules = [
            ((awake >= self.bedtime) | (alertness < self.exhaustion), SLEEP),
            (hypertension >= self.exercise_above, EXERCISE),
            (hypertension >= self.meditate_above, MEDITATION),
            (alertness < self.nap_below, NAP),
            ((alertness < self.coffee_below) & (awake < self.coffee_until), COFFEE),
            (0.1 * intoxication < self.beer_below, BEER),
            (high < self.cannabis_below, CANNABIS),
            (alertness < self.water_below, WATER),
        ]
        conditions, actions = zip(*rules, strict=True)
        return jnp.select(conditions, [jnp.int32(action) for action in actions], jnp.int32(NOTHING))


POLICIES = {
    "nothing, ever": Rules(),
    "sleep, always": Rules(bedtime=0.0),
    "sleep after 12 hours awake": Rules(bedtime=24.0),
    "coffee below alertness 1.5, sleep after 16 hours": Rules(bedtime=32.0, coffee_below=1.5),
    "coffee below alertness 2, sleep after 18 hours": Rules(bedtime=36.0, coffee_below=2.0),
    "the same, and exercise above hypertension 0.8": Rules(bedtime=36.0, coffee_below=2.0, exercise_above=0.8),
    "coffee below alertness 2.2 for 16 hours, exercise above hypertension 0.75, sleep below alertness 0.6": Rules(
        exhaustion=0.6, coffee_below=2.2, coffee_until=32.0, exercise_above=0.75
    ),
    "the last, with a nap below alertness 0.8": Rules(
        exhaustion=0.4, nap_below=0.8, coffee_below=2.2, coffee_until=32.0, exercise_above=0.75
    ),
    "the last but one, with water below alertness 0.9": Rules(
        exhaustion=0.6, coffee_below=2.2, coffee_until=32.0, exercise_above=0.75, water_below=0.9
    ),
    "the same with meditation instead of exercise": Rules(
        exhaustion=0.6, coffee_below=2.2, coffee_until=32.0, meditate_above=0.75
    ),
    "beer up to the Ballmer peak, coffee below alertness 2, sleep after 18 hours": Rules(
        bedtime=36.0, coffee_below=2.0, beer_below=0.13
    ),
    "cannabis, coffee below alertness 2.5, sleep after 18 hours": Rules(
        bedtime=36.0, coffee_below=2.5, cannabis_below=0.2
    ),
}


def main():
    rows = []
    for name, rules in POLICIES.items():
        mean, error, died, length = map(float, measure(rules))
        rows.append({"policy": name, "mean": mean, "standard_error": error, "died": died, "mean_length": length})
        print(f"{mean:10.1f} +- {error:5.1f}  {100 * died:3.0f} % die  {name}", flush=True)
    save("heartpole_policies", rows, episodes=EPISODES)


def measure(rules, episodes=EPISODES, seed=0):
    """(mean return, standard error, part that died, mean length)."""
    envs = jaxenvs.make_vec("HeartPole-v1", episodes)
    played = jax.device_get(jax.jit(lambda key: evaluate(envs, rules.policy, key))(jax.random.key(seed)))
    returns = played.episode_return.astype(np.float64)
    died = played.final_obs[:, 5] < 1
    return returns.mean(), returns.std(ddof=1) / np.sqrt(episodes), died.mean(), played.episode_length.mean()


if __name__ == "__main__":
    main()
