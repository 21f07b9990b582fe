"""Moves bodies out of the ground and back onto their hinge after a step, as Box2D's position solver does, in one pass.

The rules are those of Box2D 2.3 (`SolvePositionConstraints` of `b2ContactSolver` and `b2RevoluteJoint`): a contact is
pushed apart by a fifth of its error, a joint is corrected fully.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxenvs.physics.contact import SKIN
from jaxenvs.physics.plane import cross, dot, minus, plus, times

#: Errors that are left alone, m and rad; the largest corrections in a pass, m and rad; the part of a contact's error
#: that a pass corrects (`b2Settings.h`).
LINEAR_SLOP, ANGULAR_SLOP = 0.005, 0.034906585
_LARGEST_PUSH, _LARGEST_TURN = 0.2, 0.13962634
_PART = 0.2


class Pose(NamedTuple):
    """Where a body is."""

    #: (f32[], f32[]), of the centre of mass, m.
    centre: tuple
    #: f32[], rad.
    angle: Any


class Body(NamedTuple):
    """What resists a correction: 1/kg, and 1/(kg m**2)."""

    lightness: Any
    softness: Any


def pushed_out(pose, body, depth_before, lever, moved, normal, active):
    """A body moved out of the ground at one contact.

    Args:
        pose: `Pose` after the step.
        body: `Body`.
        depth_before: f32[], separation of the cores at the start of the step, m.
        lever: (f32[], f32[]), from the centre of mass to the point of contact, m.
        moved: (f32[], f32[]), how far the point of contact has moved since, m.
        normal: (f32[], f32[]), out of the ground.
        active: bool[], whether there is a contact; without one nothing moves.
    Returns:
        (Pose, f32[]: separation of the skins before the push, m).
    """
    separation = depth_before - SKIN + dot(normal, moved)
    error = jnp.clip(_PART * (separation + LINEAR_SLOP), -_LARGEST_PUSH, 0.0)
    arm = cross(lever, normal)
    push = jnp.where(active, -error, 0.0) / (body.lightness + body.softness * arm * arm)
    centre = plus(pose.centre, times(normal, push * body.lightness))
    return Pose(centre, pose.angle + push * body.softness * arm), separation


def turned_back(one, other, angle_error, bodies):
    """Two bodies after the correction of the angle between them, which is too large by `angle_error`, rad."""
    error = jnp.clip(angle_error, -_LARGEST_TURN, _LARGEST_TURN)
    first, second = bodies
    share = error / (first.softness + second.softness)
    return (
        Pose(one.centre, one.angle + share * first.softness),
        Pose(other.centre, other.angle - share * second.softness),
    )


def rejoined(one, other, arms, bodies):
    """Two bodies moved so that their hinges meet.

    Args:
        one, other: `Pose`s.
        arms: from the centre of mass of each to its hinge, m.
        bodies: `Body` of each.
    """
    gap = minus(plus(other.centre, arms[1]), plus(one.centre, arms[0]))
    xx = xy = yy = 0.0
    for arm, body in zip(arms, bodies, strict=True):
        xx = xx + body.lightness + body.softness * arm[1] * arm[1]
        xy = xy - body.softness * arm[0] * arm[1]
        yy = yy + body.lightness + body.softness * arm[0] * arm[0]
    scale = 1 / (xx * yy - xy * xy)
    impulse = (yy * gap[0] - xy * gap[1]) * scale, (xx * gap[1] - xy * gap[0]) * scale
    return (
        _moved(one, bodies[0], arms[0], impulse),
        _moved(other, bodies[1], arms[1], times(impulse, -1.0)),
    )


def _moved(pose, body, arm, impulse):
    centre = plus(pose.centre, times(impulse, body.lightness))
    return Pose(centre, pose.angle + body.softness * cross(arm, impulse))
