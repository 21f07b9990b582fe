"""HeartPole-v1 in NumPy and float64: the tutorial's oracle, with the homework's actions, deadline and deaths.

Nothing here is random: every draw is a standard uniform that the caller gives. Pauses and sleep are lived through
half-hour by half-hour.
"""

import numpy as np
from reference.heartpole import HeartPole, sigmoid

PERSON = ("alertness", "hypertension", "intoxication", "time_since_slept", "time_elapsed", "work_done", "high")


class HeartPoleV1(HeartPole):
    """The oracle. `person` maps each of `PERSON` to f64[n]."""

    expected_penalty = True
    deadline = 672.0
    heart_attack_fatality = 0.14
    rested_alertness = 1.0
    nap_recovery = 0.8
    nap_relief = 2.0
    exercise_alertness = 0.4
    exercise_relief = 0.5
    water_recovery = 0.3
    meditation_relief = 0.3
    meditation_alertness = 2.0
    cannabis_alertness = 0.4
    cannabis_hypertension = 0.3
    cannabis_decay = 0.84
    cannabis_calm = 1.0
    cannabis_impairment = 0.5
    cannabis_danger = 4.8

    def __init__(self, **constants):
        known = {name: constants.pop(name) for name in list(constants) if hasattr(HeartPole, name)}
        super().__init__(**known)
        for name, value in constants.items():
            if not hasattr(HeartPoleV1, name):
                raise TypeError(f"the homework has no {name}")
            setattr(self, name, value)
        self.deeds += (self.nap, self.exercise, self.water, self.meditate, self.cannabis)

    def reset(self, draw):
        """As v0's; returns f64[n, 6]."""
        rested = np.asarray(draw.alertness, np.float64)
        self.person = {name: np.zeros(rested.shape) for name in PERSON}
        self.wake_up(self.person, rested)
        return self.observation()

    def step(self, action, draws):
        """One decision each, and the half-hour of work after it.

        Args:
            action: i[n], 0 to 8.
            draws: has `alertness`, `hypertension`, `intoxication` and `heart_attack`, f[n] each, standard uniforms.
        Returns:
            (obs f64[n, 6], reward f64[n], attack bool[n], dead bool[n], terminated bool[n]).
        """
        person, began = self.person, self.person["time_elapsed"].copy()
        uniforms = {name: np.asarray(getattr(draws, name), np.float64) for name in draws._fields}
        for choice, deed in enumerate(self.deeds):
            who = np.asarray(action) == choice
            if who.any():
                some = {name: value[who] for name, value in person.items()}
                deed(some, type(draws)(**{name: value[who] for name, value in uniforms.items()}))
                for name, value in some.items():
                    person[name][who] = value
        in_time = person["time_elapsed"] < self.deadline
        reward = np.where(in_time, self.productivity(person), 0.0)
        person["work_done"] += reward
        self.pass_half_an_hour(person)
        danger = 1 + (self.cannabis_danger - 1) * np.minimum(person["high"], 1)
        each = np.minimum(danger * self.heart_attack_risk(person["hypertension"]), 1)
        risk = 1 - (1 - each) ** (person["time_elapsed"] - began)
        attack = uniforms["heart_attack"] < risk
        dead = uniforms["heart_attack"] < risk * self.heart_attack_fatality
        reward = reward - self.heart_attack_penalty * (risk if self.expected_penalty else attack)
        person["hypertension"] = np.where(attack, 0.0, person["hypertension"])
        return self.observation(), reward, attack, dead, dead | (person["time_elapsed"] >= self.deadline)

    def observation(self):
        units = {"alertness": 2, "hypertension": 6, "intoxication": 0.1, "time_since_slept": 48, "high": 1}
        parts = [self.person[name] / unit for name, unit in units.items()]
        return np.stack([*parts, self.person["time_elapsed"] / self.deadline], axis=-1)

    def nap(self, person, uniforms):
        self.pass_half_an_hour(person)
        self.restore(person, self.nap_recovery * (1 + uniforms.alertness) / 2)
        person["time_since_slept"] = np.maximum(person["time_since_slept"] - self.nap_relief, 0)

    def exercise(self, person, uniforms):
        self.pass_half_an_hour(person)
        person["alertness"] += self.exercise_alertness * uniforms.alertness
        person["hypertension"] -= self.exercise_relief * uniforms.hypertension * person["hypertension"]

    def water(self, person, uniforms):
        self.restore(person, self.water_recovery * uniforms.alertness)

    def meditate(self, person, uniforms):
        self.pass_half_an_hour(person)
        excess = np.maximum(person["alertness"] - self.meditation_alertness, 0)
        person["alertness"] -= self.meditation_relief * uniforms.alertness * excess
        person["hypertension"] -= self.meditation_relief * uniforms.hypertension * person["hypertension"]

    def cannabis(self, person, uniforms):
        person["alertness"] -= self.cannabis_alertness * uniforms.alertness
        person["hypertension"] += self.cannabis_hypertension * uniforms.hypertension
        person["high"] += (1 + uniforms.intoxication) / 2

    def restore(self, person, part):
        missing = self.rested_alertness - person["alertness"]
        person["alertness"] += np.where(missing > 0, part * missing, 0)

    def pass_half_an_hour(self, person):
        super().pass_half_an_hour(person)
        person["high"] *= self.cannabis_decay

    def productivity(self, person):
        anxiety = sigmoid(person["alertness"] - self.anxiety_midpoint - self.cannabis_calm * person["high"])
        skill = self.ballmer(person["intoxication"]) * np.exp(-self.cannabis_impairment * person["high"])
        return person["alertness"] * (1 - anxiety) * skill
