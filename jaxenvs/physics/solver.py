"""The impulses of two legs that stand on the ground and are driven by motors against stops.

Block Gauss-Seidel over the legs: each leg's motor, stop and contacts are solved together, given the other leg. The
couplings that make Box2D's sequential impulses slow, a light leg between a heavy hull and the ground, are all inside a
block, so that a few sweeps reach what Box2D comes to in 180 iterations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.physics.hinge import coupling, pushed, speed
from jaxenvs.physics.plane import plus, times

_SWEEPS = 4
_PASSES = 2
_OPEN = 1e6


class Drive(NamedTuple):
    """What a leg's motor and stop do in a step: the impulse T moves the rate r of the joint so that

    r + compliance * (T - reference) = target, unless T would leave [low, high]; then T stays at that bound.
    """

    #: f32[], N m s.
    low: Any
    high: Any
    reference: Any
    #: f32[], rad/s.
    target: Any
    #: f32[], 1/(kg m**2).
    compliance: Any


class Leg(NamedTuple):
    """The rows of a leg: `Row`s of its joint, and of the normals and tangents of its two contacts."""

    drive: Drive
    joint: Any
    normals: tuple
    tangents: tuple
    #: bool[], which contacts there are.
    active: tuple
    #: Coupling of the joint with itself.
    stiffness: Any
    #: Couplings of the joint with each contact row, and of the contact rows, in the order n0, n1, t0, t1.
    drag: tuple
    matrix: tuple


class Impulses(NamedTuple):
    """Of a leg, N m s and N s."""

    joint: Any
    normals: tuple
    tangents: tuple


def leg(hinge, drive, joint, normals, tangents, active):
    rows = *normals, *tangents
    matrix = [[None] * 4 for _ in range(4)]
    for i in range(4):
        for j in range(i + 1):
            matrix[i][j] = matrix[j][i] = coupling(hinge, rows[i], rows[j])
    drag = tuple(coupling(hinge, joint, row) for row in rows)
    return Leg(drive, joint, normals, tangents, active, coupling(hinge, joint, joint), drag, tuple(map(tuple, matrix)))


def solve(hinge, motion, legs, guesses, friction):
    """(Motion, Impulses of each leg) that satisfy motors, stops and contacts.

    Args:
        hinge, motion: the bodies, and their motion without these impulses.
        legs: two `Leg`s.
        guesses: `Impulses` of each leg to start from, such as those of the step before.
        friction: coefficient of friction between the legs and the ground.
    """
    found = list(guesses)
    for one, guess in zip(legs, guesses, strict=True):
        motion = _applied(hinge, motion, one, guess, None)

    def sweep(_, carry):
        motion, found = carry
        found = list(found)
        for index in (1, 0):
            new = solve_leg(legs[index], motion, found[index], friction)
            motion = _applied(hinge, motion, legs[index], new, found[index])
            found[index] = new
        return motion, tuple(found)

    return jax.lax.fori_loop(0, _SWEEPS, sweep, (motion, tuple(found)))


def _applied(hinge, motion, leg, new, old):
    """The motion after the impulses of a leg change from `old`, or from none, to `new`."""
    rows = leg.joint, *leg.normals, *leg.tangents
    values = new.joint, *new.normals, *new.tangents
    if old is not None:
        values = tuple(a - b for a, b in zip(values, (old.joint, *old.normals, *old.tangents), strict=True))
    momentum, moments = (0.0, 0.0), [None] * len(motion.rates)
    for row, value in zip(rows, values, strict=True):
        if row.direction is not None:
            momentum = plus(momentum, times(row.direction, value))
        for body, moment in enumerate(row.moments):
            if moment is not None:
                moments[body] = moment * value if moments[body] is None else moments[body] + moment * value
    return pushed(hinge, motion, momentum, moments)


def solve_leg(leg, motion, old, friction):
    """The `Impulses` of one leg, given the motion under its old ones."""
    contacts = *old.normals, *old.tangents
    rows = *leg.normals, *leg.tangents
    # Speeds without the leg's own impulses.
    free = [
        speed(row, motion) - drag * old.joint - sum(m * c for m, c in zip(line, contacts, strict=True))
        for row, drag, line in zip(rows, leg.drag, leg.matrix, strict=True)
    ]
    loose = speed(leg.joint, motion) - leg.stiffness * old.joint
    loose = loose - sum(drag * c for drag, c in zip(leg.drag, contacts, strict=True))
    drive = leg.drive
    give = 1 / (leg.stiffness + drive.compliance)
    alone = (drive.target + drive.compliance * drive.reference - loose) * give
    # The joint follows its drive: it is eliminated from the contacts' rows.
    matrix = [
        [m - a * b * give for m, b in zip(line, leg.drag, strict=True)]
        for line, a in zip(leg.matrix, leg.drag, strict=True)
    ]
    following = _contacts(matrix, _moved(free, leg.drag, alone), contacts, leg.active, friction)
    wanted = alone - give * sum(drag * c for drag, c in zip(leg.drag, following, strict=True))
    held = jnp.clip(wanted, drive.low, drive.high)
    # At a bound it does not follow: its impulse is known.
    bounded = _contacts(leg.matrix, _moved(free, leg.drag, held), contacts, leg.active, friction)
    within = held == wanted
    chosen = [jnp.where(within, a, b) for a, b in zip(following, bounded, strict=True)]
    return Impulses(held, tuple(chosen[:2]), tuple(chosen[2:]))


def _moved(free, drag, joint):
    return [f + d * joint for f, d in zip(free, drag, strict=True)]


def _contacts(matrix, free, start, active, friction):
    """Impulses (n0, n1, t0, t1) of contacts that do not open inwards, with Coulomb's friction."""
    n = list(start[:2])
    t = list(start[2:])
    for _ in range(_PASSES):
        for i in (0, 1):
            line = matrix[2 + i]
            now = free[2 + i] + line[0] * n[0] + line[1] * n[1] + line[2] * t[0] + line[3] * t[1]
            limit = friction * n[i]
            t[i] = jnp.clip(t[i] - now / line[2 + i], -limit, limit)
        approach = [free[i] + matrix[i][2] * t[0] + matrix[i][3] * t[1] for i in (0, 1)]
        approach = [jnp.where(on, speed, _OPEN) for on, speed in zip(active, approach, strict=True)]
        n = list(normals(matrix[0][0], matrix[0][1], matrix[1][1], *approach))
    return *n, *t


def normals(k00, k01, k11, v0, v1):
    """Solves 0 <= n, 0 <= K n + v, n . (K n + v) = 0 for two contacts, by cases, as Box2D's block solver does.

    Where the two contacts are nearly one, only the faster one acts.
    """
    det = k00 * k11 - k01 * k01
    sound = det > 1e-4 * k00 * k11
    scale = 1 / jnp.where(sound, det, 1.0)
    both0, both1 = (k01 * v1 - k11 * v0) * scale, (k01 * v0 - k00 * v1) * scale
    both = sound & (both0 >= 0) & (both1 >= 0)
    one0, one1 = jnp.maximum(-v0 / k00, 0.0), jnp.maximum(-v1 / k11, 0.0)
    first = jnp.where(sound, (k01 * one0 + v1 >= 0), v0 <= v1)
    return (
        jnp.where(both, both0, jnp.where(first, one0, 0.0)),
        jnp.where(both, both1, jnp.where(first, 0.0, one1)),
    )
