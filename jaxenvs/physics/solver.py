"""The impulses of two legs that stand on the ground and are driven by motors against stops.

Block Gauss-Seidel over the legs: each leg's motor, stop and contacts are solved together, given the other leg. The
couplings that make Box2D's sequential impulses slow, a light leg between a heavy hull and the ground, are all inside a
block, so that a few sweeps reach what Box2D comes to in 180 iterations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.physics.hinge import coupling, impelled, speed, swapped
from jaxenvs.physics.loop import parts
from jaxenvs.physics.plane import dot, plus, times

#: Iterations of Box2D's velocity solver in Gymnasium, which its motors need to move their impulses.
ITERATIONS = 180
_SWEEPS = 6
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
    #: bool[], whether the joint is between its stops, and the compliance (`compliance_of`) not 0.
    free: Any
    #: f32[], kg m**2: the impulse that an iteration of the motor adds for each rad/s by which it misses its speed.
    share: Any


class Impulses(NamedTuple):
    """Of a leg, N m s and N s."""

    joint: Any
    normals: tuple
    tangents: tuple


class Leg(NamedTuple):
    """The rows of a leg: `Row`s of its joint, and of the normals and tangents of its two contacts."""

    #: `Hinge` with the bodies in the order hull, this leg, the other leg; so are the moments of the rows.
    hinge: Any
    #: In the order joint, n0, n1, t0, t1.
    rows: tuple
    block: Any


class Block(NamedTuple):
    """What the sweeps read of a leg."""

    drive: Drive
    #: f32[], 1/(kg m**2).
    compliance: Any
    #: bool[], which contacts there are.
    active: tuple
    #: Speeds in the directions of the rows that a unit impulse in each of them makes; five lines of five.
    matrix: tuple
    #: Of each row: what pushes it, and how it pushes the hinge, as in `hinge.Row`.
    reduced: tuple
    response: tuple
    #: f32[], speed of the joint by a unit impulse in the other leg's.
    twist: Any


def leg(hinge, drive, joint, normals, tangents, active, guess, friction):
    """The `Leg` of these rows.

    Args:
        guess: `Impulses`: which contacts press and which slide, for the compliance of the motor.
        friction: coefficient of friction between leg and ground.
    """
    rows = joint, *normals, *tangents
    matrix = [[None] * 5 for _ in rows]
    for i, row in enumerate(rows):
        for j in range(i + 1):
            matrix[i][j] = matrix[j][i] = coupling(hinge, row, rows[j])
    presses = [normal > 0 for normal in guess.normals]
    sticks = [jnp.abs(t) < friction * n for n, t in zip(guess.normals, guess.tangents, strict=True)]
    block = Block(
        drive,
        compliance_of(drive, softened(matrix, (*presses, *sticks))),
        active,
        tuple(map(tuple, matrix)),
        tuple(row.reduced for row in rows),
        tuple(row.response for row in rows),
        # The joints turn the hull in opposite directions.
        -hinge.softness[0],
    )
    return Leg(hinge, rows, block)


def softened(matrix, held):
    """The coupling of the first row with itself while impulses keep the speeds of the others that are `held`.

    Rows are eliminated one by one (a Schur complement); one that others have almost eliminated is left out.
    """
    left = matrix
    for last in range(len(matrix) - 1, 0, -1):
        own = left[last][last]
        sound = held[last - 1] & (own > 1e-3 * matrix[last][last])
        scale = jnp.where(sound, 1 / jnp.where(sound, own, 1.0), 0.0)
        left = [[left[i][j] - left[i][last] * left[last][j] * scale for j in range(last)] for i in range(last)]
    return left[0][0]


def compliance_of(drive, stiffness):
    """How far a motor is from its speed after its iterations, for each N m s of impulse that it has not added yet.

    Each iteration adds `share` times the missing speed, and the speed changes by `stiffness` times that: so the rest
    is the old one times (1 - share * stiffness)**ITERATIONS.
    """
    part = jnp.clip(drive.share * stiffness, 1e-6, 0.99)
    # Beyond 80 nothing is left of the missing speed, and the gradient of a larger exponential is not finite.
    exponent = jnp.minimum(-ITERATIONS * jnp.log1p(-part), 80.0)
    return jnp.where(drive.free, part / drive.share / jnp.expm1(exponent), 0.0)


def solve(motion, legs, guesses, friction):
    """(Motion, Impulses of the legs) that satisfy motors, stops and contacts.

    Args:
        motion: of hull, right leg and left leg without these impulses.
        legs: the `Leg`s with a leading axis of two, the right one first.
        guesses: their `Impulses` to start from, such as those of the step before, with such an axis.
        friction: coefficient of friction between the legs and the ground.
    """

    def begin(motion, leg):
        return swapped(motion), tuple(speed(row, motion) for row in leg.rows)

    def end(motion, taken):
        leg, found = taken
        return swapped(impelled(leg.hinge, motion, leg.rows, _values(found))), None

    # The left leg is visited first, so it comes first in the motion too; after two visits the order is the same again.
    motion, free = jax.lax.scan(begin, swapped(motion), legs, reverse=True)
    (right, left), (right_free, left_free) = parts(legs.block, 2), parts(free, 2)

    # Written out for both legs: a loop would copy what it reads of each of them in every sweep.
    def sweep(_, found):
        pushed = _pushed(left, left_free, _push(right, found[0]))
        second = solve_block(left, pushed, found[1], friction)
        pushed = _pushed(right, right_free, _push(left, second))
        return solve_block(right, pushed, found[0], friction), second

    found = jax.lax.fori_loop(0, _SWEEPS, sweep, tuple(parts(guesses, 2)))
    found = jax.tree.map(lambda *both: jnp.stack(both), *found)
    motion, _ = jax.lax.scan(end, motion, (legs, found), reverse=True)
    return swapped(motion), found


def _values(impulses):
    return impulses.joint, *impulses.normals, *impulses.tangents


def _push(block, impulses):
    """How the impulses of a leg move the other one: (velocity of the hinge, m/s; impulse of its joint, N m s)."""
    velocity = (0.0, 0.0)
    for response, value in zip(block.response, _values(impulses), strict=True):
        velocity = plus(velocity, times(response, value))
    return velocity, impulses.joint


def _pushed(block, free, push):
    """Speeds of the rows of a leg, without its own impulses, under the `_push` of the other one."""
    velocity, joint = push
    moved = [speed + dot(reduced, velocity) for speed, reduced in zip(free, block.reduced, strict=True)]
    return moved[0] + block.twist * joint, *moved[1:]


def solve_block(block, speeds, old, friction):
    """The `Impulses` of one leg, given the speeds of its rows without them; from the old ones."""
    loose, *free = speeds
    (stiffness, *drag), *lines = block.matrix
    lines = [line[1:] for line in lines]
    drive, contacts = block.drive, (*old.normals, *old.tangents)
    give = 1 / (stiffness + block.compliance)
    alone = (drive.target + block.compliance * drive.reference - loose) * give

    def attempt(carry, follows):
        # A joint that follows its drive is eliminated from the contacts' rows; one at a bound has a known impulse.
        joint, within, before = carry
        part = jnp.where(follows, give, 0.0)
        matrix = [
            [m - a * b * part for m, b in zip(line, drag, strict=True)] for line, a in zip(lines, drag, strict=True)
        ]
        moved = [f + a * joint for f, a in zip(free, drag, strict=True)]
        found = _contacts(matrix, moved, contacts, block.active, friction)
        found = tuple(jnp.where(within, a, b) for a, b in zip(before, found, strict=True))
        wanted = alone - give * sum(a * c for a, c in zip(drag, found, strict=True))
        held = jnp.clip(wanted, drive.low, drive.high)
        return (jnp.where(follows, held, joint), held == wanted, found), None

    start = alone, jnp.zeros_like(alone, bool), contacts
    (held, _, found), _ = jax.lax.scan(attempt, start, jnp.array([True, False]), unroll=True)
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
