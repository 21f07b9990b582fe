"""LunarLander outside of Box2D in NumPy and float64, and Gymnasium's heuristic pilot.

Source: Gymnasium's `box2d/lunar_lander.py`. Bodies are rows x, y (centre of mass), angle, velocity x, velocity y, rate.
"""

import numpy as np

HULL_MASS, HULL_INERTIA, HULL_CENTRE = 4.8166666, 0.7838807, 0.1013072
#: Gymnasium's draws are over pixels, 30 a metre.
SCALE = 30


def origin(body):
    """Where the hull's own frame has its origin, f64[..., 2]."""
    x, y, angle = (np.asarray(body, np.float64)[..., i] for i in range(3))
    return np.stack([x + HULL_CENTRE * np.sin(angle), y - HULL_CENTRE * np.cos(angle)], -1)


def powers(action):
    """(main, side) of a discrete action, or of a continuous one, f64[2]."""
    if np.ndim(action) == 0:
        return float(action == 2), {1: -1.0, 3: 1.0}.get(int(action), 0.0)
    throttle, lateral = np.clip(np.asarray(action, np.float64), -1, 1)
    return ((throttle + 1) / 2 if throttle > 0 else 0.0), (lateral if abs(lateral) > 0.5 else 0.0)


def fired(body, action, dispersion):
    """Velocity x, velocity y and rate of the hull after its engines' impulses, f64[3].

    Args:
        body: f64[6], the hull.
        action: of either kind.
        dispersion: f64[2], each in [-1, 1].
    """
    main, side = powers(action)
    first, second = np.asarray(dispersion, np.float64) / SCALE
    sine, cosine = np.sin(body[2]), np.cos(body[2])
    velocity, at = np.array(body[3:], np.float64), origin(body)
    if main:
        arm = 4 / SCALE + 2 * first
        exhaust = np.array([sine * arm - cosine * second, -cosine * arm - sine * second])
        velocity = pushed(velocity, body, at + exhaust, -13.0 * main * exhaust)
    if side:
        across = 3 * second + np.sign(side) * 12 / SCALE
        exhaust = np.array([sine * first - cosine * across, -cosine * first - sine * across])
        place = at + exhaust + np.array([-sine * 17 / SCALE, cosine * 14 / SCALE])
        velocity = pushed(velocity, body, place, -0.6 * abs(side) * exhaust)
    return velocity


def pushed(velocity, body, place, impulse):
    lever = place - np.asarray(body[:2], np.float64)
    turn = lever[0] * impulse[1] - lever[1] * impulse[0]
    return velocity + np.array([*(impulse / HULL_MASS), turn / HULL_INERTIA])


def gust(index):
    """Wind or turbulence as a part of its power."""
    return np.tanh(np.sin(0.02 * index) + np.sin(np.pi * 0.01 * index))


def observation(body, flags):
    """f64[..., 8] of hulls f64[..., 6] and their legs' flags, [..., 2]."""
    body, at = np.asarray(body, np.float64), origin(body)
    return np.stack(
        [
            (at[..., 0] - 10) / 10,
            (at[..., 1] - 10 / 3 - 18 / SCALE) / (20 / 3),
            body[..., 3] / 5,
            body[..., 4] * (20 / 3) / 50,
            body[..., 2],
            0.4 * body[..., 5],
            flags[..., 0],
            flags[..., 1],
        ],
        -1,
    )


def shaping(obs):
    """f64[...] of observations f64[..., 8]."""
    near = np.hypot(obs[..., 0], obs[..., 1]) + np.hypot(obs[..., 2], obs[..., 3]) + np.abs(obs[..., 4])
    return -100 * near + 10 * obs[..., 6] + 10 * obs[..., 7]


def pilot(obs, xp=np):
    """(hover, turn), what Gymnasium's heuristic asks for; with xp=jax.numpy inside `jit`.

    Two proportional-derivative controllers: lean against the offset and the drift, by at most 0.4 rad, and sink so that
    the height is about half the offset. With a foot on the ground only the fall is braked.
    """
    x, y, drift, climb, angle, rate, right, left = (obs[..., i] for i in range(8))
    lean = xp.clip(0.5 * x + drift, -0.4, 0.4)
    down = (right > 0) | (left > 0)
    turn = xp.where(down, 0.0, 0.5 * (lean - angle) - rate)
    hover = xp.where(down, 0.0, 0.5 * (0.55 * xp.abs(x) - y)) - 0.5 * climb
    return hover, turn


def fly(obs, continuous, xp=np):
    """The pilot's actions: i[...] in 0 to 3, or f[..., 2] in [-1, 1]."""
    hover, turn = pilot(obs, xp)
    if continuous:
        return xp.clip(xp.stack([20 * hover - 1, -20 * turn], -1), -1.0, 1.0)
    sideways = xp.where(turn < -0.05, 3, xp.where(turn > 0.05, 1, 0))
    return xp.where((hover > xp.abs(turn)) & (hover > 0.05), 2, sideways)
