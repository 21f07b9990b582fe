"""RocketLanding in NumPy and float64, and a classical controller that lands it.

Sources: Acikmese and Ploen 2007 (mass and engine), Szmuk and Acikmese 2018, arXiv:1802.03827 (gimballed engine below
the centre of mass), Szmuk, Acikmese and Berning 2016 (drag). Nothing here is random: a start is made from standard
uniforms that the caller gives. A batch of rockets is stepped at once; `body` is f64[n, 7]: x, height, velocity x,
velocity y, tilt, tilt rate, fuel.
"""

import numpy as np

FLYING, LANDED, CRASHED, LOST = range(4)


class RocketLanding:
    """The oracle, with the environment's numbers by default."""

    dt = 0.2
    gravity = 3.7114
    dry_mass = 1505.0
    start_fuel = 100.0
    thrust_low = 4972.0
    thrust_high = 13258.0
    exhaust_velocity = 1966.0
    gimbal_limit = 0.25
    engine_arm = 2.5
    gyration_radius = 1.8
    air_density = 0.02
    drag_area = 10.0
    wind = 0.0
    wind_spread = 0.0
    pad_half_width = 5.0
    landing_descent = 2.1
    landing_drift = 1.2
    landing_tilt = 0.105
    landing_tilt_rate = 0.1
    arena_width = 150.0
    arena_height = 200.0
    tilt_limit = 1.5
    fuel_cost = 0.2
    landing_bonus = 100.0
    crash_penalty = 100.0
    reference_braking = 1.0
    reference_touchdown = 1.0
    tilt_cost = 20.0
    tilt_preview = 1.0
    start_offset = 40.0
    start_height_low = 80.0
    start_height_high = 120.0
    start_drift = 5.0
    start_descent_low = 5.0
    start_descent_high = 15.0
    start_tilt = 0.2
    start_tilt_rate = 0.1

    def __init__(self, **constants):
        for name, value in constants.items():
            if not hasattr(RocketLanding, name):
                raise TypeError(f"the rocket has no {name}")
            setattr(self, name, value)

    def reset(self, draw):
        """Starts n rockets.

        Args:
            draw: has `x`, `height`, `velocity_x`, `velocity_y`, `tilt`, `tilt_rate` and `wind`, f[n] each, standard
                uniforms: the lower limit of each quantity at 0, the upper one at 1; `velocity_y` is the descent's.
        Returns:
            f64[n, 9], what is observed.
        """
        ranges = {
            "x": (-self.start_offset, self.start_offset),
            "height": (self.start_height_low, self.start_height_high),
            "velocity_x": (-self.start_drift, self.start_drift),
            "velocity_y": (-self.start_descent_low, -self.start_descent_high),
            "tilt": (-self.start_tilt, self.start_tilt),
            "tilt_rate": (-self.start_tilt_rate, self.start_tilt_rate),
            "wind": (self.wind - self.wind_spread, self.wind + self.wind_spread),
        }
        uniforms = [np.asarray(getattr(draw, name), np.float64) for name in ranges]
        values = [low + (high - low) * u for (low, high), u in zip(ranges.values(), uniforms, strict=True)]
        return self.reset_at(np.stack([*values[:6], np.full_like(values[0], self.start_fuel)], axis=-1), values[6])

    def reset_at(self, body, wind):
        """Starts rockets at `body`, f[n, 7], in the `wind`, f[n]."""
        self.body, self.air = np.array(body, np.float64), np.array(wind, np.float64)
        self.outcome = np.full(len(self.body), FLYING)
        return self.observation()

    def step(self, action):
        """Fires each engine for `dt`.

        Args:
            action: f[n, 2], throttle and gimbal.
        Returns:
            (obs f64[n, 9], reward f64[n], terminated bool[n]).
        """
        throttle, gimbal = np.clip(np.asarray(action, np.float64), -1.0, 1.0).T
        low, high = self.thrust_low, self.thrust_high
        wanted = low + (throttle + 1) / 2 * (high - low)
        thrust = np.minimum(wanted, self.body[:, 6] * self.exhaust_velocity / self.dt)
        before, mass_before = self.estimate(), self.dry_mass + self.body[:, 6]
        middle = self.body + self.dt / 2 * self.derivative(self.body, thrust, self.gimbal_limit * gimbal)
        self.body = self.body + self.dt * self.derivative(middle, thrust, self.gimbal_limit * gimbal)
        self.body[:, 6] = np.maximum(self.body[:, 6], 0.0)
        speed_paid = self.exhaust_velocity * np.log(mass_before / (self.dry_mass + self.body[:, 6]))
        self.outcome = self.judge()
        self.body[:, 1] = np.maximum(self.body[:, 1], 0.0)
        reward = before - self.estimate() - self.fuel_cost * speed_paid
        reward += self.landing_bonus * (self.outcome == LANDED)
        reward -= self.crash_penalty * np.isin(self.outcome, (CRASHED, LOST))
        return self.observation(), reward, self.outcome != FLYING

    def derivative(self, body, thrust, gimbal):
        """Newton's laws: f64[n, 7], per second."""
        _, _, velocity_x, velocity_y, tilt, tilt_rate, fuel = body.T
        mass = self.dry_mass + fuel
        through_air = np.stack([velocity_x - self.air, velocity_y], axis=-1)
        speed = np.linalg.norm(through_air, axis=-1, keepdims=True)
        drag = -0.5 * self.air_density * self.drag_area * speed * through_air
        # The engine's force, in the frame of the body: along its axis and across it.
        axial, lateral = thrust * np.cos(gimbal), -thrust * np.sin(gimbal)
        force_x = axial * np.sin(tilt) + lateral * np.cos(tilt) + drag[:, 0]
        force_y = axial * np.cos(tilt) - lateral * np.sin(tilt) + drag[:, 1] - mass * self.gravity
        torque = -lateral * self.engine_arm
        inertia = mass * self.gyration_radius**2
        rates = (velocity_x, velocity_y, force_x / mass, force_y / mass, tilt_rate, torque / inertia)
        return np.stack([*rates, -thrust / self.exhaust_velocity], axis=-1)

    def judge(self):
        """How it ended, i[n]."""
        x, height, velocity_x, velocity_y, tilt, tilt_rate, _ = self.body.T
        violated = [
            np.abs(x) > self.pad_half_width,
            -velocity_y > self.landing_descent,
            np.abs(velocity_x) > self.landing_drift,
            np.abs(tilt) > self.landing_tilt,
            np.abs(tilt_rate) > self.landing_tilt_rate,
        ]
        out = (np.abs(x) > self.arena_width) | (height > self.arena_height) | (np.abs(tilt) > self.tilt_limit)
        on_the_ground = np.where(np.any(violated, axis=0), CRASHED, LANDED)
        return np.where(height <= 0, on_the_ground, np.where(out, LOST, FLYING))

    def estimate(self):
        """The speed change that a landing is estimated to need, f64[n]."""
        x, height, velocity_x, velocity_y, tilt, tilt_rate, _ = self.body.T
        braking, touchdown = self.reference_braking, self.reference_touchdown
        to_aim = np.stack([-x, -(height + touchdown**2 / (2 * braking))], axis=-1)
        distance = np.linalg.norm(to_aim, axis=-1)
        reference = np.sqrt(2 * braking * distance)
        wanted = to_aim / distance[:, None] * reference[:, None]
        correction = np.linalg.norm(np.stack([velocity_x, velocity_y], axis=-1) - wanted, axis=-1)
        seconds = reference / braking
        return correction + self.gravity * seconds + self.tilt_cost * np.hypot(tilt, self.tilt_preview * tilt_rate)

    def observation(self):
        x, height, velocity_x, velocity_y, tilt, tilt_rate, fuel = self.body.T
        ended = np.select([self.outcome == FLYING, self.outcome == LANDED], [0.0, 1.0], -1.0)
        parts = x / 50, height / 100, velocity_x / 10, velocity_y / 10, 2 * tilt, 2 * tilt_rate
        return np.stack([*parts, fuel / self.start_fuel, self.air / 10, ended], axis=-1)


def controller(obs, oracle):
    """A classical landing: a descent that brakes at 1 m/s**2, and slows down further while it is off the pad.

    Proportional-derivative laws for the horizontal acceleration and for the attitude that gives it, and feedback of the
    descent around its reference; the thrust is what both accelerations and gravity need.

    Args:
        obs: f[n, 9].
        oracle: gives the constants.
    Returns:
        f[n, 2], actions.
    """
    x, height = 50 * obs[:, 0], 100 * obs[:, 1]
    velocity_x, velocity_y, tilt, tilt_rate = 10 * obs[:, 2], 10 * obs[:, 3], obs[:, 4] / 2, obs[:, 5] / 2
    mass = oracle.dry_mass + oracle.start_fuel * obs[:, 6]
    off_the_pad = np.maximum(np.abs(x) + 1.5 * np.abs(velocity_x) - 2, 0)
    descent = np.sqrt(2 * np.maximum(height + 0.5 - 0.7 * off_the_pad, 0.5))
    braking = np.where(descent < 12, 1.0, 0.0)
    sideways = np.clip(-0.16 * x - 0.8 * velocity_x, -1.3, 1.3)
    upwards = np.clip(-np.minimum(descent, 12.0) - velocity_y + braking, -1.3, 3.0) + oracle.gravity
    lean = np.clip(np.arctan2(sideways, upwards), -0.35, 0.35) * np.clip(height / 6, 0, 1)
    turn = 3 * (lean - tilt) - 2.8 * tilt_rate
    authority = oracle.gravity * oracle.engine_arm * np.sin(oracle.gimbal_limit) / oracle.gyration_radius**2
    throttle = (mass * np.hypot(sideways, upwards) - oracle.thrust_low) / (oracle.thrust_high - oracle.thrust_low)
    return np.stack([2 * throttle - 1, turn / authority], axis=-1)
