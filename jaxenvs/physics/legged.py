"""A hull on two motor-driven legs over a ground of straight edges: LunarLander's bodies, in a step of 0.02 s.

It gives what Box2D 2.3 converges to with Gymnasium's bodies and 180 iterations, by other means: the joints are
eliminated (`hinge`), and legs are solved as blocks (`solver`). `docs/lunarlander.md` says what is left out.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.physics import footing, hinge, position, solver
from jaxenvs.physics.loop import looped, parts, picked
from jaxenvs.physics.plane import cross, dot, minus, plus, times, turned
from jaxenvs.physics.trig import sin_cos

#: Length of a step, s.
DT = 0.02
#: The hull's corners in the frame of its origin, and how far its centre of mass is above that, m.
HULL = (
    (-14 / 30, 17 / 30),
    (-17 / 30, 0.0),
    (-17 / 30, -10 / 30),
    (17 / 30, -10 / 30),
    (17 / 30, 0.0),
    (14 / 30, 17 / 30),
)
HULL_CENTRE = 0.1013072
_SLANT = 298**0.5
#: Its faces: outward normals and distances from the origin.
HULL_FACES = (
    ((0.0, 1.0), 17 / 30),
    ((-17 / _SLANT, 3 / _SLANT), 289 / 30 / _SLANT),
    ((-1.0, 0.0), 17 / 30),
    ((0.0, -1.0), 10 / 30),
    ((1.0, 0.0), 17 / 30),
    ((17 / _SLANT, 3 / _SLANT), 289 / 30 / _SLANT),
)
#: Half the width and height of a leg, and its centre in the frame of the hinge when it hangs upright, for side +1; m.
LEG_WIDTH, LEG_HEIGHT = 2 / 30, 8 / 30
LEG_ARM = 20 / 30, -18 / 30
#: Which way each leg points: leg 0, the first flag of the observation, is on the right.
SIDES = (1.0, -1.0)
#: The angle of a leg when its joint is at 0, and the stops of the joint, rad, all outwards.
LEG_REST, STOP, FAR_STOP = -0.05, 0.4, 0.9
#: Where contacts are begun by continuous collision detection: cores nearer than this at the end of a step, m.
SUDDEN = 0.005
#: A body below this speed, m/s squared, and rate, rad/s squared, is quiet (`b2_linearSleepTolerance`, ...).
_QUIET_SPEED, _QUIET_RATE = 1e-4, 0.034906585**2
#: Most a body moves, m, and turns, rad, in a step.
_FARTHEST, _MOST_TURNED = 2.0, 1.5707964


class Hull(NamedTuple):
    """The hull."""

    #: f32[], of its origin, where the legs are hinged, m.
    x: Any
    y: Any
    #: f32[], of its centre of mass, m/s.
    velocity_x: Any
    velocity_y: Any
    #: f32[], rad, counterclockwise, and rad/s.
    angle: Any
    rate: Any


class Leg(NamedTuple):
    """One leg; `side` is 1 for the right one (leg 0) and -1 for the left one."""

    #: f32[], rad, counterclockwise.
    angle: Any
    #: f32[], of its centre of mass, m/s, and rad/s.
    velocity_x: Any
    velocity_y: Any
    rate: Any
    #: f32[], impulse of its motor, and of motor and stop together, N m s; positive pushes the foot outwards.
    motor: Any
    torque: Any
    #: f32[], normal and tangential impulses of the contacts in the left and in the right half of its foot, N s.
    normal_left: Any
    normal_right: Any
    tangent_left: Any
    tangent_right: Any
    #: bool[], whether it touches a ground edge with an even or an odd number.
    touches_even: Any
    touches_odd: Any
    #: bool[], the flag of the observation: set where a touch of an edge begins, cleared where one ends.
    contact: Any


class Bodies(NamedTuple):
    """Masses, kg, moments of inertia, kg m**2, and what drives and holds the legs; f32[] each."""

    hull_mass: Any
    hull_inertia: Any
    leg_mass: Any
    leg_inertia: Any
    #: rad/s, N m, and the coefficient of friction on the ground.
    motor_speed: Any
    motor_torque: Any
    friction: Any


def touched(leg, touches):
    """The leg with the touches of this moment, and its flag: an end wins over a beginning."""
    even, odd = touches
    begins = (even & ~leg.touches_even) | (odd & ~leg.touches_odd)
    ends = (leg.touches_even & ~even) | (leg.touches_odd & ~odd)
    flag = (leg.contact | begins) & ~ends
    return leg._replace(touches_even=even, touches_odd=odd, contact=flag)


def leg_arm(turn, side):
    """From the hinge to the centre of mass of a leg whose angle has the (sine, cosine) `turn`, (f32[], f32[]), m."""
    return turned(turn, (side * LEG_ARM[0], LEG_ARM[1]))


def drive(bodies, leg, bend):
    """The `Drive` of a leg whose joint is bent outwards by `bend`, rad, and the motor's impulse at a stop.

    A motor that pushes against a stop winds up: each of Box2D's iterations moves the impulse by which it misses its
    speed from the stop to the motor. Away from the stops, `solver.compliance_of` says how slow it is.
    """
    cap = bodies.motor_torque * DT
    # Impulse that an iteration moves for each rad/s: the joint's own inertia.
    share = 1 / (1 / bodies.hull_inertia + 1 / bodies.leg_inertia)
    wound = jnp.clip(leg.motor - solver.ITERATIONS * share * bodies.motor_speed, -cap, cap)
    home, far = bend <= STOP, bend >= FAR_STOP
    free = ~(home | far)
    return solver.Drive(
        low=jnp.where(home, wound, jnp.where(far, -1e6, -cap)),
        high=jnp.where(home, 1e6, jnp.where(far, wound, cap)),
        reference=leg.motor,
        target=jnp.where(free, -bodies.motor_speed, 0.0),
        free=free,
        share=share,
    ), wound


class Stance(NamedTuple):
    """A leg at the start of a step."""

    #: `Leg`, with the touches of this moment.
    leg: Any
    #: (f32[], f32[]) each: from the hinge to its centre of mass, and where that is, m.
    arm: tuple
    centre: tuple
    #: Two `Contact`s, from left to right; points from the leg's centre of mass, and normals, as in the world.
    contacts: tuple
    #: f32[], how far its joint is bent outwards, rad.
    bend: Any
    #: `Drive`, and the motor's impulse where the joint is at a stop, N m s.
    drive: Any
    wound: Any


def each_leg(visit, carry, stacked=None):
    """Visits the left leg, then the right one.

    Written out, not a loop: a loop would copy the numbers of each leg that it reads.

    Args:
        visit: function (carry, side, values) -> (carry, results).
        carry: what one visit hands to the next.
        stacked: a pytree with a leading axis of two, the right leg first, whose parts are the values.
    Returns:
        (carry, results with such an axis).
    """
    visited = lambda carry, taken: visit(carry, *taken)  # noqa: E731
    return jax.lax.scan(visited, carry, (jnp.array(SIDES), stacked), reverse=True, unroll=True)


def of_side(side, right, left):
    """The pytree `right` for side 1, and `left` for side -1."""
    return picked((side < 0).astype(jnp.int32), (right, left))


def turns(hull, legs):
    """(sine, cosine) of the angles of the hull and of both legs."""
    return looped(sin_cos, (hull.angle, legs[0].angle, legs[1].angle))


def step(bodies, hull, legs, turned_by, ground, gravity, accelerations):
    """Everything that Box2D's `World.Step` does.

    Args:
        bodies: `Bodies`.
        hull, legs: `Hull` and two `Leg`s, their touches already those of this moment.
        turned_by: their `turns`.
        ground: eleven f32[], heights of the vertices, m.
        gravity: f32[], m/s**2, upwards.
        accelerations: (f32[], f32[]) of the hull by the wind, m/s**2 and rad/s**2.
    Returns:
        (Hull, legs, f32[]: separation of hull and ground, m, bool[]: every body is slow enough to fall asleep, bool[]:
        the position solver found no large error).
    """
    hull_arm = turned(turned_by[0], (0.0, HULL_CENTRE))

    def stand(carry, side, _):
        turn, leg = of_side(side, *turned_by[1:]), of_side(side, *legs)
        return carry, stance(bodies, hull, leg, turn, side, ground)

    _, stances = each_leg(stand, ())
    wind, torque = accelerations
    velocity = hull.velocity_x + DT * wind, hull.velocity_y + DT * gravity
    links = [hinge.Link(bodies.hull_mass, bodies.hull_inertia, hull_arm, velocity, hull.rate + DT * torque)]
    for leg, arm in zip(legs, parts(stances.arm, 2), strict=True):
        velocity = leg.velocity_x, leg.velocity_y + DT * gravity
        links.append(hinge.Link(bodies.leg_mass, bodies.leg_inertia, arm, velocity, leg.rate))
    joined, motion = hinge.join(links)

    def prepare(carry, side, stand):
        return carry, (_rows(hinge.seen_from(joined, side), side, stand, bodies.friction), _guess(stand))

    _, (rows, guesses) = each_leg(prepare, (), stances)
    motion, impulses = solver.solve(motion, rows, guesses, bodies.friction)
    pose, after, settled, still = _moved(bodies, hull, hull_arm, stances, motion, impulses)
    return *_arrived(pose, after, motion.velocity_of(hull_arm), motion.rates[0], ground), still, settled


def _arrived(pose, legs, velocity, rate, ground):
    """(Hull, legs with the touches that begin at once, separation of hull and ground)."""
    first, second = parts(legs, 2)
    turn, *leg_turns = looped(sin_cos, (pose.angle, first.angle, second.angle))
    origin = minus(pose.centre, turned(turn, (0.0, HULL_CENTRE)))

    def begin(carry, side, leg):
        turn = of_side(side, *leg_turns)
        centre = plus(origin, leg_arm(turn, side))
        near = footing.sudden(ground, turn, centre, (LEG_WIDTH, LEG_HEIGHT), SUDDEN)
        return carry, touched(leg, (leg.touches_even | near[0], leg.touches_odd | near[1]))

    _, legs = each_leg(begin, (), legs)
    separation = footing.hull_separation(ground, turn, origin, HULL, HULL_FACES)
    return Hull(origin[0], origin[1], velocity[0], velocity[1], pose.angle, rate), tuple(parts(legs, 2)), separation


def stance(bodies, hull, leg, turn, side, ground):
    """The `Stance` of a leg whose angle has the (sine, cosine) `turn`."""
    arm = leg_arm(turn, side)
    centre = plus((hull.x, hull.y), arm)
    foot = footing.footing(ground, turn, centre, (LEG_WIDTH, LEG_HEIGHT))
    bend = side * (leg.angle - hull.angle) - LEG_REST
    driven, wound = drive(bodies, leg, bend)
    return Stance(touched(leg, foot.touches), arm, centre, foot.contacts, bend, driven, wound)


def _rows(joined, side, stand, friction):
    """The `solver.Leg` of a leg, with the bodies in the order hull, this leg, the other leg."""
    joint = hinge.row(joined, None, (-side, side, None))

    def rows(point):
        lever = plus(stand.arm, point.point)
        directions = point.normal, (point.normal[1], -point.normal[0])
        return [hinge.row(joined, way, (None, cross(lever, way), None)) for way in directions]

    normals, tangents = zip(*looped(rows, stand.contacts), strict=True)
    active = tuple(point.active for point in stand.contacts)
    return solver.leg(joined, stand.drive, joint, normals, tangents, active, _guess(stand), friction)


def _guess(stand):
    on, leg = [point.active for point in stand.contacts], stand.leg
    return solver.Impulses(
        leg.torque,
        (jnp.where(on[0], leg.normal_left, 0.0), jnp.where(on[1], leg.normal_right, 0.0)),
        (jnp.where(on[0], leg.tangent_left, 0.0), jnp.where(on[1], leg.tangent_right, 0.0)),
    )


def _moved(bodies, hull, hull_arm, stances, motion, impulses):
    """(Pose of the hull, legs, settled, still) after the step's motion and one pass of the position solver."""
    velocity, rate = motion.velocity_of(hull_arm), motion.rates[0]
    pose = _carried(plus((hull.x, hull.y), hull_arm), hull.angle, velocity, rate)
    hull_body = position.Body(1 / bodies.hull_mass, 1 / bodies.hull_inertia)
    leg_body = position.Body(1 / bodies.leg_mass, 1 / bodies.leg_inertia)

    def move(carry, side, taken):
        hull_pose, settled, still = carry
        stand, made = taken
        leg, rate = stand.leg, of_side(side, *motion.rates[1:])
        velocity = motion.velocity_of(stand.arm, rate)
        pose = _carried(stand.centre, leg.angle, velocity, rate)
        pose, fits = _lifted(pose, leg_body, stand)
        hull_pose, pose = _rejoined(hull_pose, pose, side, stand.bend, (hull_body, leg_body))
        at_stop = (stand.bend <= STOP) | (stand.bend >= FAR_STOP)
        leg = leg._replace(
            angle=pose.angle,
            velocity_x=velocity[0],
            velocity_y=velocity[1],
            rate=rate,
            motor=jnp.where(at_stop, stand.wound, made.joint),
            torque=made.joint,
            normal_left=made.normals[0],
            normal_right=made.normals[1],
            tangent_left=made.tangents[0],
            tangent_right=made.tangents[1],
        )
        return (hull_pose, settled & fits, still & _still(velocity, rate)), leg

    start = pose, jnp.asarray(True), _still(velocity, rate)
    (pose, settled, still), legs = each_leg(move, start, (stances, impulses))
    return pose, legs, settled, still


def _still(velocity, rate):
    return (dot(velocity, velocity) <= _QUIET_SPEED) & (rate * rate <= _QUIET_RATE)


def _carried(centre, angle, velocity, rate):
    """The `Pose` a step later, with Box2D's limits on how far a body goes."""
    distance2 = DT * DT * dot(velocity, velocity)
    slower = jnp.minimum(1.0, _FARTHEST / jnp.sqrt(jnp.maximum(distance2, 1e-12)))
    turn = jnp.clip(DT * rate, -_MOST_TURNED, _MOST_TURNED)
    return position.Pose(plus(centre, times(velocity, DT * slower)), angle + turn)


def _lifted(pose, body, stand):
    """(Pose of a leg, bool[]) after a pass over its contacts, and whether it found no large error."""

    def lift(index, carry):
        pose, settled = carry
        point = picked(index, stand.contacts)
        lever = turned(sin_cos(pose.angle - stand.leg.angle), point.point)
        moved = minus(plus(pose.centre, lever), plus(stand.centre, point.point))
        pose, separation = position.pushed_out(pose, body, point.separation, lever, moved, point.normal, point.active)
        return pose, settled & (~point.active | (separation >= -3 * position.LINEAR_SLOP))

    return jax.lax.fori_loop(0, 2, lift, (pose, jnp.asarray(True)))


def _rejoined(hull_pose, pose, side, bend_before, bodies):
    """Poses of the hull and of a leg after a pass over their joint."""
    bend = side * (pose.angle - hull_pose.angle) - LEG_REST
    inside = jnp.where(bend_before <= STOP, jnp.minimum(bend - STOP + position.ANGULAR_SLOP, 0.0), 0.0)
    outside = jnp.where(bend_before >= FAR_STOP, jnp.maximum(bend - FAR_STOP - position.ANGULAR_SLOP, 0.0), 0.0)
    hull_pose, pose = position.turned_back(hull_pose, pose, side * (inside + outside), bodies)
    turn, leg_turn = looped(sin_cos, (hull_pose.angle, pose.angle))
    arms = turned(turn, (0.0, -HULL_CENTRE)), times(leg_arm(leg_turn, side), -1.0)
    return position.rejoined(hull_pose, pose, arms, bodies)
