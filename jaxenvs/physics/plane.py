"""Vectors in a plane as pairs (x, y) of f32[...], so that a batch has its axis in each number."""


def plus(a, b):
    return a[0] + b[0], a[1] + b[1]


def minus(a, b):
    return a[0] - b[0], a[1] - b[1]


def times(a, factor):
    return a[0] * factor, a[1] * factor


def dot(a, b):
    return a[0] * b[0] + a[1] * b[1]


def cross(a, b):
    """The component of the cross product out of the plane."""
    return a[0] * b[1] - a[1] * b[0]


def spin(rate, arm):
    """The velocity of the end of `arm`, which turns at `rate`: rate x arm."""
    return -rate * arm[1], rate * arm[0]


def turned(turn, a):
    """`a` turned by an angle given as `turn`, its (sine, cosine)."""
    return turn[1] * a[0] - turn[0] * a[1], turn[0] * a[0] + turn[1] * a[1]


def turned_back(turn, a):
    """`a` turned by the negative of that angle."""
    return turn[1] * a[0] + turn[0] * a[1], turn[1] * a[1] - turn[0] * a[0]
