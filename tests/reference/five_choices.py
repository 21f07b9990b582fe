"""FiveChoices as the tutorial's example 1 has it: one step, and action 2 pays."""

import numpy as np


class FiveChoices:
    """The oracle, with the tutorial's numbers by default."""

    paying_choice = 2
    payment = 1.0
    other_payment = -1.0

    def __init__(self, **constants):
        for name, value in constants.items():
            if not hasattr(FiveChoices, name):
                raise TypeError(f"the tutorial has no {name}")
            setattr(self, name, value)

    def reset(self, count):
        """i[count], what is observed."""
        return np.zeros(count, int)

    def step(self, action):
        """(obs i[n], reward f64[n], terminated bool[n]) of i[n]."""
        reward = [self.payment if choice == self.paying_choice else self.other_payment for choice in action]
        return np.ones(len(action), int), np.array(reward, np.float64), np.ones(len(action), bool)
