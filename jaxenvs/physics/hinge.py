"""Bodies that turn about one common hinge, in a plane: their motion, and what impulses do to it.

With the velocity of the hinge V and the rates w_i as coordinates, the mass matrix is an arrow: m_i perp(d_i) couples V
and w_i, where d_i is the arm from the hinge to the centre of mass of body i, and no two rates are coupled. Eliminating
the rates leaves a 2 x 2 system for V:

    J_i = I_i + m_i |d_i|^2        b_i = m_i perp(d_i) / J_i        S = sum_i (m_i E - J_i b_i b_i^T)
    S V = P - sum_i b_i L_i        w_i = L_i / J_i - b_i . V

with P the momentum of all bodies and L_i the angular momentum of body i about the hinge. Momenta of bodies that move
independently give the motion after the impulse that joins them: the exact solution of the joints' velocity constraints.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxenvs.physics.loop import picked
from jaxenvs.physics.plane import cross, dot, minus, plus, spin, times


class Link(NamedTuple):
    """A body on the hinge."""

    #: kg, and kg m**2 about its centre of mass.
    mass: Any
    inertia: Any
    #: (f32[], f32[]), from the hinge to its centre of mass, m.
    arm: tuple
    #: (f32[], f32[]), of the centre of mass, m/s, and f32[], rad/s.
    velocity: tuple
    rate: Any


class Hinge(NamedTuple):
    """The factors of the mass matrix."""

    #: (xx, xy, yy) of the inverse of S, 1/kg.
    inverse: tuple
    #: For each body b_i, 1/m.
    levers: tuple
    #: For each body 1 / J_i, 1/(kg m**2).
    softness: tuple


class Motion(NamedTuple):
    """How the bodies move, joined."""

    #: (f32[], f32[]), of the hinge, m/s.
    velocity: tuple
    #: For each body, rad/s.
    rates: tuple

    def velocity_of(self, arm, rate=None):
        """Of the end of an arm on a body with this rate, m/s; by default of the first body."""
        return plus(self.velocity, spin(self.rates[0] if rate is None else rate, arm))


class Row(NamedTuple):
    """A direction in which an impulse acts, and in which a speed is measured.

    The impulse s adds s * direction to the momentum and s * moments[i] to the angular momentum of body i.
    """

    direction: tuple
    #: One for each body.
    moments: tuple
    #: direction - sum_i b_i moments_i, and the inverse of S times it.
    reduced: tuple
    response: tuple


def join(links):
    """(Hinge, Motion) of bodies that are joined, after the impulse that makes them turn about one point."""
    levers, softness, moments = [], [], []
    xx = xy = yy = 0.0
    momentum = (0.0, 0.0)
    for link in links:
        about = link.inertia + link.mass * dot(link.arm, link.arm)
        lever = times(spin(1.0, link.arm), link.mass / about)
        xx = xx + link.mass - about * lever[0] * lever[0]
        xy = xy - about * lever[0] * lever[1]
        yy = yy + link.mass - about * lever[1] * lever[1]
        levers.append(lever)
        softness.append(1 / about)
        moments.append(link.inertia * link.rate + link.mass * cross(link.arm, link.velocity))
        momentum = plus(momentum, times(link.velocity, link.mass))
    scale = 1 / (xx * yy - xy * xy)
    hinge = Hinge((yy * scale, -xy * scale, xx * scale), tuple(levers), tuple(softness))
    still = Motion((0.0, 0.0), (0.0,) * len(links))
    return hinge, pushed(hinge, still, momentum, moments)


def seen_from(hinge, side):
    """A hinge of three bodies with the last two in the order of `side`: unchanged for 1, swapped for -1."""
    levers, softness = (_ordered(side, parts) for parts in (hinge.levers, hinge.softness))
    return Hinge(hinge.inverse, levers, softness)


def _ordered(side, parts):
    hull, one, other = parts
    index = (side < 0).astype(jnp.int32)
    return hull, picked(index, (one, other)), picked(index, (other, one))


def swapped(motion):
    """The motion with the last two of three bodies in the other order."""
    hull, one, other = motion.rates
    return Motion(motion.velocity, (hull, other, one))


def pushed(hinge, motion, momentum, moments):
    """The motion after an impulse.

    Args:
        momentum: (f32[], f32[]), N s.
        moments: for each body its angular impulse about the hinge, N m s; None for none.
    """
    for lever, moment in zip(hinge.levers, moments, strict=True):
        momentum = momentum if moment is None else minus(momentum, times(lever, moment))
    change = solved(hinge, momentum)
    rates = tuple(
        rate - dot(lever, change) + (0.0 if moment is None else moment * soft)
        for rate, lever, soft, moment in zip(motion.rates, hinge.levers, hinge.softness, moments, strict=True)
    )
    return Motion(plus(motion.velocity, change), rates)


def impelled(hinge, motion, rows, values):
    """The motion after impulses in the directions of rows."""
    change, moments = (0.0, 0.0), [0.0] * len(motion.rates)
    for row, value in zip(rows, values, strict=True):
        change = plus(change, times(row.response, value))
        for body, moment in enumerate(row.moments):
            moments[body] = moments[body] if moment is None else moments[body] + moment * value
    rates = tuple(
        rate - dot(lever, change) + moment * soft
        for rate, lever, soft, moment in zip(motion.rates, hinge.levers, hinge.softness, moments, strict=True)
    )
    return Motion(plus(motion.velocity, change), rates)


def solved(hinge, momentum):
    xx, xy, yy = hinge.inverse
    return xx * momentum[0] + xy * momentum[1], xy * momentum[0] + yy * momentum[1]


def row(hinge, direction, moments):
    """The `Row` of a direction; moments that are None are 0, and so is a direction that is None."""
    reduced = direction
    for lever, moment in zip(hinge.levers, moments, strict=True):
        if moment is not None:
            part = times(lever, -moment)
            reduced = part if reduced is None else plus(reduced, part)
    return Row(direction, tuple(moments), reduced, solved(hinge, reduced))


def speed(row, motion):
    """How fast the bodies move in the direction of a row."""
    total = 0.0 if row.direction is None else dot(row.direction, motion.velocity)
    for moment, rate in zip(row.moments, motion.rates, strict=True):
        total = total if moment is None else total + moment * rate
    return total


def coupling(hinge, one, other):
    """The speed in the direction of one row that a unit impulse in that of another makes."""
    total = dot(one.reduced, other.response)
    for soft, a, b in zip(hinge.softness, one.moments, other.moments, strict=True):
        total = total if a is None or b is None else total + soft * a * b
    return total
