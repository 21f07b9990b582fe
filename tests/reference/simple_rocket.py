"""SimpleRocket in NumPy, with the tutorial's Runge-Kutta integrator and precision: float32 states, float64 rewards.

Source: "gymnasium と Pytorch で強化学習のカスタム環境を作る". Nothing here is random: a start is given, or made from
standard uniforms that the caller gives. A batch of rockets is stepped at once.
"""

import numpy as np


class SimpleRocket:
    """The oracle, with the tutorial's numbers by default.

    `rocket` is [n, 2], position and velocity, in `precision`.
    """

    dt = 0.01
    bound = 2.0
    failure_penalty = 500.0
    goal_position = 0.0
    goal_velocity = 0.0
    goal_tolerance = 1e-8
    goal_bonus = 500.0
    retreat_cost = 10.0
    start_low = 0.5
    start_high = 1.0

    def __init__(self, *, precision=None, **constants):
        for name, value in constants.items():
            if not hasattr(SimpleRocket, name):
                raise TypeError(f"the tutorial has no {name}")
            setattr(self, name, value)
        self.precision = precision or np.float32
        self.goal = np.array([self.goal_position, self.goal_velocity])

    def reset(self, draw):
        """Starts n rockets.

        Args:
            draw: has `position` and `velocity`, f[n] each, standard uniforms: the side is negative below 1/2, and
                the position of a uniform in its half is the position of the start in the range of magnitudes.
        Returns:
            [n, 2], what is observed.
        """
        uniform = np.stack([np.asarray(draw.position, np.float64), np.asarray(draw.velocity, np.float64)], axis=-1)
        positive = uniform >= 0.5
        depth = 2 * uniform - positive
        size = self.start_low + (self.start_high - self.start_low) * depth
        return self.reset_at(np.where(positive, size, -size))

    def reset_at(self, initial):
        """Starts rockets at `initial`, [n, 2]."""
        self.rocket = np.asarray(initial, self.precision)
        return self.rocket.copy()

    def step(self, action, draws=()):
        """Applies a thrust to each rocket for `dt`.

        Args:
            action: [n, 1].
            draws: unused, as nothing is random.
        Returns:
            (obs [n, 2], reward f64[n], terminated bool[n]).
        """
        thrust = np.clip(np.asarray(action)[..., 0], -1.0, 1.0).astype(self.precision)

        def derivative(rocket):
            return np.stack([rocket[..., 1], thrust], axis=-1)

        self.rocket = runge_kutta(derivative, self.rocket, self.dt)
        reward, terminated = self.judge(self.rocket)
        return self.rocket.copy(), reward, terminated

    def judge(self, rocket):
        """(reward, terminated) of having arrived somewhere."""
        error = rocket - self.goal
        retreating = rocket[..., 0] * rocket[..., 1] > 0
        reward = 1 / (error[..., 0] ** 2 + 1)
        reward = reward - np.where(retreating, self.retreat_cost * np.abs(error[..., 1]), 0.0)
        reward = reward + np.where(retreating, 0.0, 1 / (error[..., 1] ** 2 + 1))
        lost = (np.abs(rocket) > self.bound).any(axis=-1)
        home = np.isclose(rocket, self.goal, atol=self.goal_tolerance).all(axis=-1)
        return reward - self.failure_penalty * lost + self.goal_bonus * home, lost | home


def runge_kutta(derivative, y, h):
    """One step of the classical fourth-order method for y' = derivative(y)."""
    start = derivative(y)
    middle = derivative(y + h * 0.5 * start)
    middle_again = derivative(y + h * 0.5 * middle)
    end = derivative(y + h * middle_again)
    return y + h * (start + 2 * middle + 2 * middle_again + end) / 6
