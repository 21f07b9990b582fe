"""HeartPole in NumPy and float64, one operation after another in the order of the tutorial.

Source: V. Liventsev, "Tutorial: writing a custom OpenAI Gym environment". Nothing here is random: every draw is a
standard uniform that the caller gives. A batch of people is stepped at once, one entry of each array per person.
"""

import numpy as np

OBSERVED = ("alertness", "hypertension", "intoxication", "time_since_slept", "time_elapsed", "work_done")


class HeartPole:
    """The oracle, with the tutorial's numbers by default. `person` maps each of `OBSERVED` to f64[n]."""

    heart_attack_proclivity = 0.5
    heart_attack_penalty = 100.0
    heart_attack_midpoint = 6.0
    expected_penalty = False
    wake_alertness_low = 0.7
    wake_alertness_high = 1.3
    coffee_alertness = 1.0
    coffee_hypertension = 0.3
    beer_alertness = 0.5
    beer_hypertension = 0.3
    beer_intoxication_low = 0.01
    beer_intoxication_high = 0.03
    decay_rate = 0.97
    drowsiness_midpoint = 40.0
    drowsiness_scale = 10.0
    anxiety_midpoint = 3.0
    ballmer_midpoint = 0.05
    ballmer_steepness = 50.0
    ballmer_peak = 0.135
    ballmer_width = 0.005
    ballmer_height = 2.0
    sleep_half_hours = 16

    def __init__(self, **constants):
        for name, value in constants.items():
            if not hasattr(HeartPole, name):
                raise TypeError(f"the tutorial has no {name}")
            setattr(self, name, value)
        self.deeds = (self.idle, self.coffee, self.beer, self.sleep)

    def reset(self, draw):
        """Starts n people.

        Args:
            draw: has `alertness`, f[n], a standard uniform.
        Returns:
            f64[n, 6], what is observed.
        """
        rested = _doubles(draw.alertness)
        self.person = {name: np.zeros(rested.shape) for name in OBSERVED}
        self.wake_up(self.person, rested)
        return self.observation()

    def step(self, action, draws):
        """One decision each, and the half-hour of work after it.

        Args:
            action: i[n], 0 to 3.
            draws: has `alertness`, `hypertension`, `intoxication` and `heart_attack`, f[n] each, standard uniforms.
        Returns:
            (obs f64[n, 6], reward f64[n], attack bool[n]).
        """
        person = self.person
        old_score = self.score(person)
        for choice, deed in enumerate(self.deeds):
            who = np.asarray(action) == choice
            if who.any():
                some = {name: value[who] for name, value in person.items()}
                deed(some, _Uniforms(draws, who))
                for name, value in some.items():
                    person[name][who] = value
        self.work(person)
        reward = self.score(person) - old_score
        risk = self.heart_attack_risk(person["hypertension"])
        attack = _doubles(draws.heart_attack) < risk
        reward = reward - self.heart_attack_penalty * (risk if self.expected_penalty else attack)
        person["hypertension"] = np.where(attack, 0.0, person["hypertension"])
        return self.observation(), reward, attack

    def observation(self):
        return np.stack([self.person[name] for name in OBSERVED], axis=-1)

    def score(self, person):
        worked = person["time_elapsed"] > 0
        return np.divide(person["work_done"], person["time_elapsed"], out=np.zeros(worked.shape), where=worked)

    def idle(self, person, uniforms):
        pass

    def coffee(self, person, uniforms):
        person["alertness"] += _between(0, self.coffee_alertness, uniforms.alertness)
        person["hypertension"] += _between(0, self.coffee_hypertension, uniforms.hypertension)

    def beer(self, person, uniforms):
        person["alertness"] -= _between(0, self.beer_alertness, uniforms.alertness)
        person["hypertension"] += _between(0, self.beer_hypertension, uniforms.hypertension)
        drunk = _between(self.beer_intoxication_low, self.beer_intoxication_high, uniforms.intoxication)
        person["intoxication"] += drunk

    def sleep(self, person, uniforms):
        for _ in range(self.sleep_half_hours):
            self.pass_half_an_hour(person)
        self.wake_up(person, uniforms.alertness)

    def wake_up(self, person, uniform):
        person["alertness"] = _between(self.wake_alertness_low, self.wake_alertness_high, uniform)
        person["time_since_slept"] = np.zeros_like(uniform)

    def work(self, person):
        person["work_done"] += self.productivity(person)
        self.pass_half_an_hour(person)

    def pass_half_an_hour(self, person):
        person["alertness"] -= sigmoid((person["time_since_slept"] - self.drowsiness_midpoint) / self.drowsiness_scale)
        person["hypertension"] *= self.decay_rate
        person["intoxication"] *= self.decay_rate
        person["time_since_slept"] += 1
        person["time_elapsed"] += 1

    def productivity(self, person):
        anxiety = sigmoid(person["alertness"] - self.anxiety_midpoint)
        return person["alertness"] * (1 - anxiety) * self.ballmer(person["intoxication"])

    def ballmer(self, intoxication):
        bump = np.exp(-((intoxication - self.ballmer_peak) ** 2) / (2 * self.ballmer_width**2))
        return sigmoid((self.ballmer_midpoint - intoxication) * self.ballmer_steepness) + self.ballmer_height * bump

    def heart_attack_risk(self, hypertension):
        return self.heart_attack_proclivity * sigmoid(hypertension - self.heart_attack_midpoint)


class _Uniforms:
    """The draws of some of the people."""

    def __init__(self, draws, who):
        self.alertness = _doubles(draws.alertness)[who]
        self.hypertension = _doubles(draws.hypertension)[who]
        self.intoxication = _doubles(draws.intoxication)[who]


def sigmoid(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _between(low, high, uniform):
    return low + (high - low) * uniform


def _doubles(x):
    return np.asarray(x, np.float64)
