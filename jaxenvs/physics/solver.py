"""The impulses of two legs that stand on the ground and are driven by motors against stops.

Block Gauss-Seidel over the legs: each leg's motor, stop and contacts are solved together, given the other leg. The
couplings that make Box2D's sequential impulses slow, a light leg between a heavy hull and the ground, are all inside a
block, so that a few sweeps reach what Box2D comes to in 180 iterations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.physics.hinge import coupling, impelled, speed, swapped

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

    #: `Hinge` with the bodies in the order hull, this leg, the other leg; so are the moments of the rows.
    hinge: Any
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
    return Leg(
        hinge, drive, joint, normals, tangents, active, coupling(hinge, joint, joint), drag, tuple(map(tuple, matrix))
    )


def solve(motion, legs, guesses, friction):
    """(Motion, Impulses of the legs) that satisfy motors, stops and contacts.

    Args:
        motion: of hull, right leg and left leg without these impulses.
        legs: the `Leg`s with a leading axis of two, the right one first.
        guesses: their `Impulses` to start from, such as those of the step before, with such an axis.
        friction: coefficient of friction between the legs and the ground.
    """

    def load(motion, taken):
        leg, guess = taken
        return swapped(_applied(motion, leg, guess, None)), None

    def visit(motion, taken):
        leg, old = taken
        new = solve_leg(leg, motion, old, friction)
        return swapped(_applied(motion, leg, new, old)), new

    def sweep(_, carry):
        motion, found = carry
        return jax.lax.scan(visit, motion, (legs, found), reverse=True)

    # The left leg is first, so it comes first in the motion too; after two visits the order is the same again.
    motion, _ = jax.lax.scan(load, swapped(motion), (legs, guesses), reverse=True)
    motion, found = jax.lax.fori_loop(0, _SWEEPS, sweep, (motion, guesses))
    return swapped(motion), found


def _applied(motion, leg, new, old):
    """The motion after the impulses of a leg change from `old`, or from none, to `new`."""
    rows = leg.joint, *leg.normals, *leg.tangents
    values = new.joint, *new.normals, *new.tangents
    if old is not None:
        values = tuple(a - b for a, b in zip(values, (old.joint, *old.normals, *old.tangents), strict=True))
    return impelled(leg.hinge, motion, rows, values)


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

    def attempt(carry, follows):
        # A joint that follows its drive is eliminated from the contacts' rows; one at a bound has a known impulse.
        joint, within, before = carry
        part = jnp.where(follows, give, 0.0)
        matrix = [
            [m - a * b * part for m, b in zip(line, leg.drag, strict=True)]
            for line, a in zip(leg.matrix, leg.drag, strict=True)
        ]
        moved = [f + drag * joint for f, drag in zip(free, leg.drag, strict=True)]
        found = _contacts(matrix, moved, contacts, leg.active, friction)
        found = tuple(jnp.where(within, a, b) for a, b in zip(before, found, strict=True))
        wanted = alone - give * sum(drag * c for drag, c in zip(leg.drag, found, strict=True))
        held = jnp.clip(wanted, drive.low, drive.high)
        return (jnp.where(follows, held, joint), held == wanted, found), None

    start = alone, jnp.zeros_like(alone, bool), contacts
    (held, _, found), _ = jax.lax.scan(attempt, start, jnp.array([True, False]))
    return Impulses(held, found[:2], found[2:])


def _contacts(matrix, free, start, active, friction):
    """Impulses (n0, n1, t0, t1) of contacts that do not open inwards, with Coulomb's friction."""

    def improve(_, found):
        n, t = found[:2], list(found[2:])
        for i in (0, 1):
            line = matrix[2 + i]
            now = free[2 + i] + line[0] * n[0] + line[1] * n[1] + line[2] * t[0] + line[3] * t[1]
            limit = friction * n[i]
            t[i] = jnp.clip(t[i] - now / line[2 + i], -limit, limit)
        approach = [free[i] + matrix[i][2] * t[0] + matrix[i][3] * t[1] for i in (0, 1)]
        approach = [jnp.where(on, speed, _OPEN) for on, speed in zip(active, approach, strict=True)]
        return *normals(matrix[0][0], matrix[0][1], matrix[1][1], *approach), *t

    return jax.lax.fori_loop(0, _PASSES, improve, start)


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
