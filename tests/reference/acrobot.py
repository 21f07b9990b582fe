"""Acrobot in NumPy float64 for many at once, written after Gymnasium's `classic_control/acrobot.py`."""

import numpy as np
from reference.gymnasium_peers import Episodes


class Acrobot:
    """The oracle, with Gymnasium's numbers by default; `state` is [n, 4]."""

    gravity = 9.8
    link_length_1 = 1.0
    link_mass_1 = 1.0
    link_mass_2 = 1.0
    link_center_1 = 0.5
    link_center_2 = 0.5
    link_inertia = 1.0
    max_velocity_1 = 4 * np.pi
    max_velocity_2 = 9 * np.pi
    torque = 1.0
    torque_noise = 0.0
    goal_height = 1.0
    dt = 0.2
    nips_equations = False

    def __init__(self, **constants):
        for name, value in constants.items():
            if not hasattr(Acrobot, name):
                raise TypeError(f"Gymnasium's Acrobot has no {name}")
            setattr(self, name, value)

    def step(self, action, noise=0.5):
        """Applies a torque to each.

        Args:
            action: [n], 0, 1 or 2.
            noise: [n], standard uniforms.
        Returns:
            (obs [n, 6], reward [n], terminated bool[n]).
        """
        torque = self.torque * (np.asarray(action) - 1.0) + self.torque_noise * (2 * np.asarray(noise) - 1)
        y, h = self.state.T, self.dt
        k1 = self.rates(y, torque)
        k2 = self.rates(y + h / 2 * k1, torque)
        k3 = self.rates(y + h / 2 * k2, torque)
        k4 = self.rates(y + h * k3, torque)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        for angle in y[:2]:
            while (angle > np.pi).any() or (angle < -np.pi).any():
                angle[angle > np.pi] -= 2 * np.pi
                angle[angle < -np.pi] += 2 * np.pi
        y[2] = np.clip(y[2], -self.max_velocity_1, self.max_velocity_1)
        y[3] = np.clip(y[3], -self.max_velocity_2, self.max_velocity_2)
        self.state = y.T
        terminated = -np.cos(y[0]) - np.cos(y[1] + y[0]) > self.goal_height
        return self.observe(), np.where(terminated, 0.0, -1.0), terminated

    def observe(self):
        first, second, *velocities = self.state.T
        return np.stack([np.cos(first), np.sin(first), np.cos(second), np.sin(second), *velocities], axis=-1)

    def rates(self, y, torque):
        theta1, theta2, dtheta1, dtheta2 = y
        m1, m2, l1 = self.link_mass_1, self.link_mass_2, self.link_length_1
        lc1, lc2, moi, g = self.link_center_1, self.link_center_2, self.link_inertia, self.gravity
        d1 = m1 * lc1**2 + m2 * (l1**2 + lc2**2 + 2 * l1 * lc2 * np.cos(theta2)) + moi + moi
        d2 = m2 * (lc2**2 + l1 * lc2 * np.cos(theta2)) + moi
        phi2 = m2 * lc2 * g * np.cos(theta1 + theta2 - np.pi / 2)
        phi1 = -m2 * l1 * lc2 * dtheta2**2 * np.sin(theta2) - 2 * m2 * l1 * lc2 * dtheta2 * dtheta1 * np.sin(theta2)
        phi1 = phi1 + (m1 * lc1 + m2 * l1) * g * np.cos(theta1 - np.pi / 2) + phi2
        drive = torque + d2 / d1 * phi1 - phi2
        if not self.nips_equations:
            drive = drive - m2 * l1 * lc2 * dtheta1**2 * np.sin(theta2)
        ddtheta2 = drive / (m2 * lc2**2 + moi - d2**2 / d1)
        ddtheta1 = -(d2 * ddtheta2 + phi1) / d1
        return np.stack([dtheta1, dtheta2, ddtheta1, ddtheta2])


def episodes(oracle, limit, starts, policy):
    """As `gymnasium_peers.episodes`, for all at once: policy(t, obs) -> actions."""
    oracle.state = np.asarray(starts, np.float64)
    obs, running, rows = oracle.observe(), np.ones(len(starts), bool), []
    for t in range(limit):
        state, action = oracle.state, policy(t, obs)
        obs, reward, terminated = oracle.step(action)
        truncated = np.full(len(starts), t == limit - 1)
        rows.append((running, state, action, obs, reward, terminated, truncated))
        running = running & ~terminated & ~truncated
    return Episodes(*(np.stack(column) for column in zip(*rows, strict=True)))
