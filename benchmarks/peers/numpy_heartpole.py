"""HeartPole as a reader of the tutorial writes it: a Gymnasium class, a dict of Python numbers, and NumPy's functions.

It has what the tutorial's class has (V. Liventsev, "Tutorial: writing a custom OpenAI Gym environment"), in today's
Gymnasium interface. Its log is the tutorial's, but cleared at every reset, since it otherwise grows without bound.
"""

import gymnasium
import numpy as np
from gymnasium import spaces

OBSERVED = ("alertness", "hypertension", "intoxication", "time_since_slept", "time_elapsed", "work_done")
ACTIONS = ("do_nothing", "drink_coffee", "drink_beer", "sleep")


class NumpyHeartPole(gymnasium.Env):
    """The environment; `log=False` leaves out the text that the tutorial writes at each step."""

    def __init__(self, heart_attack_proclivity=0.5, max_steps=1000, log=True):
        self.action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(OBSERVED),), np.float32)
        self.heart_attack_proclivity = heart_attack_proclivity
        self.max_steps = max_steps
        self.log, self.logs = "", log

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.person: dict[str, float] = dict.fromkeys(OBSERVED, 0)
        self.steps_left = self.max_steps
        self.log = ""
        self._wake_up()
        return self._observation(), {}

    def step(self, action):
        person = self.person
        old_score = person["work_done"] / person["time_elapsed"] if person["time_elapsed"] else 0
        getattr(self, "_" + ACTIONS[action])()
        self._say(f"Chosen action: {ACTIONS[action]}\n")
        person["work_done"] += self._productivity()
        self._half_hour()
        reward = person["work_done"] / person["time_elapsed"] - old_score
        if np.random.uniform(0, 1) < self.heart_attack_proclivity * _sigmoid(person["hypertension"] - 6):
            self._say("HEART ATTACK\n")
            reward -= 100
            person["hypertension"] = 0
        if self.logs:
            self._say(f"{person}\n")
        self.steps_left -= 1
        return self._observation(), reward, False, self.steps_left <= 0, {}

    def _say(self, text):
        if self.logs:
            self.log += text

    def _observation(self):
        return np.array([self.person[name] for name in OBSERVED], np.float32)

    def _do_nothing(self):
        pass

    def _drink_coffee(self):
        self.person["alertness"] += np.random.uniform(0, 1)
        self.person["hypertension"] += np.random.uniform(0, 0.3)

    def _drink_beer(self):
        self.person["alertness"] -= np.random.uniform(0, 0.5)
        self.person["hypertension"] += np.random.uniform(0, 0.3)
        self.person["intoxication"] += np.random.uniform(0.01, 0.03)

    def _sleep(self):
        for _ in range(16):
            self._half_hour()
        self._wake_up()

    def _wake_up(self):
        self.person["alertness"] = np.random.uniform(0.7, 1.3)
        self.person["time_since_slept"] = 0

    def _half_hour(self):
        self.person["alertness"] -= _sigmoid((self.person["time_since_slept"] - 40) / 10)
        self.person["hypertension"] *= 0.97
        self.person["intoxication"] *= 0.97
        self.person["time_since_slept"] += 1
        self.person["time_elapsed"] += 1

    def _productivity(self):
        alertness, intoxication = self.person["alertness"], self.person["intoxication"]
        bump = np.exp(-np.power(intoxication - 0.135, 2.0) / (2 * np.power(0.005, 2.0)))
        return alertness * (1 - _sigmoid(alertness - 3)) * (_sigmoid((0.05 - intoxication) * 50) + 2 * bump)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
