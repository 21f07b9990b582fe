"""A hull on two motor-driven legs over a ground of straight edges: LunarLander's bodies, in a step of 0.02 s.

It gives what Box2D 2.3 converges to with Gymnasium's bodies and 180 iterations, by other means: the joints are
eliminated (`hinge`), and legs are solved as blocks (`solver`). `docs/lunarlander.md` says what is left out.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxenvs.physics import contact, hinge, position, solver
from jaxenvs.physics.contact import Contact
from jaxenvs.physics.plane import dot, minus, plus, spin, times, turned, turned_back
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
#: Iterations of Box2D's velocity solver in Gymnasium, which its motors need to move their impulses.
_ITERATIONS = 180


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


class Spot(NamedTuple):
    """The ground near a body."""

    #: i32[], number of the nearest vertex that has an edge on both sides.
    index: Any
    #: (f32[], f32[]) each: that vertex and those beside it, from left to right, m.
    vertices: tuple


def spot(ground, x):
    """The `Spot` of a place.

    Args:
        ground: eleven f32[], heights at x = 0, 2, ..., 20, m.
        x: f32[], m.
    """
    index = jnp.clip(jnp.round(0.5 * x), 1.0, 9.0)
    at = [index == place for place in range(1, 10)]
    heights = []
    for shift in (-1, 0, 1):
        height = ground[1 + shift]
        for place in range(2, 10):
            height = jnp.where(at[place - 1], ground[place + shift], height)
        heights.append(height)
    places = 2 * index - 2, 2 * index, 2 * index + 2
    return Spot(index.astype(jnp.int32), tuple(zip(places, heights, strict=True)))


def edges(near, turn, centre):
    """The two `Edge`s of a `Spot` in the frame of a body."""
    left, middle, right = (turned_back(turn, minus(vertex, centre)) for vertex in near.vertices)
    return contact.edge(left, middle), contact.edge(middle, right)


def hull_separation(ground, turn, origin):
    """Separation of the hull's core and the ground, f32[], m."""
    left, right = edges(spot(ground, origin[0]), turn, origin)
    return jnp.minimum(
        contact.polygon_separation(left, HULL, HULL_FACES), contact.polygon_separation(right, HULL, HULL_FACES)
    )


class Footing(NamedTuple):
    """A leg's contacts with the ground."""

    #: Two, from left to right; points from the leg's centre of mass, and normals, as in the world.
    contacts: tuple
    #: bool[] each: whether it touches the even and the odd edge near it.
    touches: tuple


def footing(ground, turn, centre):
    near = spot(ground, centre[0])
    found = [contact.box_contacts(edge, LEG_WIDTH, LEG_HEIGHT) for edge in edges(near, turn, centre)]
    touching = [first.active | second.active for first, second in found]
    # On one edge its two contacts; on both the deeper one of each, since they may push in different directions.
    both = touching[0] & touching[1]
    deepest = [contact.deeper(*pair) for pair in found]
    on_one = [contact.chosen(touching[0], *pair) for pair in zip(*found, strict=True)]
    contacts = [contact.chosen(both, *pair) for pair in zip(deepest, on_one, strict=True)]
    in_world = [Contact(c.separation, turned(turn, c.point), turned(turn, c.normal)) for c in contacts]
    return Footing(tuple(in_world), _by_parity(near, touching))


def _by_parity(near, sides):
    """Of the edges left and right of a vertex: (that with an even number, that with an odd one)."""
    even = near.index % 2 == 0
    return jnp.where(even, sides[1], sides[0]), jnp.where(even, sides[0], sides[1])


def sudden(ground, turn, centre):
    """bool[] each: whether a leg is so near to the even and to the odd edge that a touch begins within a step."""
    near = spot(ground, centre[0])
    sides = [contact.box_separation(edge, LEG_WIDTH, LEG_HEIGHT) < SUDDEN for edge in edges(near, turn, centre)]
    return _by_parity(near, sides)


def touched(leg, touches):
    """The leg with the touches of this moment, and its flag: an end wins over a beginning."""
    even, odd = touches
    begins = (even & ~leg.touches_even) | (odd & ~leg.touches_odd)
    ends = (leg.touches_even & ~even) | (leg.touches_odd & ~odd)
    flag = (leg.contact | begins) & ~ends
    return leg._replace(touches_even=even, touches_odd=odd, contact=flag)


def leg_centre(origin, leg, side):
    """((sine, cosine) of a leg's angle, its arm from the hinge, its centre of mass)."""
    turn = sin_cos(leg.angle)
    arm = turned(turn, (side * LEG_ARM[0], LEG_ARM[1]))
    return turn, arm, plus(origin, arm)


def drive(bodies, leg, bend, on_ground):
    """The `Drive` of a leg whose joint is bent outwards by `bend`, rad, and the motor's impulse at a stop.

    A motor that pushes against a stop winds up: each of Box2D's iterations moves the impulse by which it misses its
    speed from the stop to the motor. A motor that misses its speed for the ground's sake is moved as slowly.
    """
    cap = bodies.motor_torque * DT
    # Impulse that an iteration moves for each rad/s: the joint's own inertia.
    share = 1 / (1 / bodies.hull_inertia + 1 / bodies.leg_inertia)
    wound = jnp.clip(leg.motor - _ITERATIONS * share * bodies.motor_speed, -cap, cap)
    home, far = bend <= STOP, bend >= FAR_STOP
    free = ~(home | far)
    return solver.Drive(
        low=jnp.where(home, wound, jnp.where(far, -1e6, -cap)),
        high=jnp.where(home, 1e6, jnp.where(far, wound, cap)),
        reference=leg.motor,
        target=jnp.where(free, -bodies.motor_speed, 0.0),
        compliance=jnp.where(free & on_ground, 1 / (_ITERATIONS * share), 0.0),
    ), wound


def step(bodies, hull, legs, ground, gravity, accelerations):
    """Everything that Box2D's `World.Step` does.

    Args:
        bodies: `Bodies`.
        hull, legs: `Hull` and two `Leg`s, their touches already those of this moment.
        ground: eleven f32[], heights of the vertices, m.
        gravity: f32[], m/s**2, upwards.
        accelerations: (f32[], f32[]) of the hull by the wind, m/s**2 and rad/s**2.
    Returns:
        (Hull, legs, bool[]: every body is slow enough to fall asleep, bool[]: the position solver found no large error,
        f32[]: separation of hull and ground, m).
    """
    turn = sin_cos(hull.angle)
    origin = hull.x, hull.y
    arms = [turned(turn, (0.0, HULL_CENTRE))]
    places, footings, bends = [], [], []
    for leg, side in zip(legs, SIDES, strict=True):
        leg_turn, arm, centre = leg_centre(origin, leg, side)
        arms.append(arm)
        places.append((leg_turn, centre))
        footings.append(footing(ground, leg_turn, centre))
        bends.append(side * (leg.angle - hull.angle) - LEG_REST)
    legs = [touched(leg, foot.touches) for leg, foot in zip(legs, footings, strict=True)]
    wind, torque = accelerations
    links = [
        hinge.Link(
            bodies.hull_mass,
            bodies.hull_inertia,
            arms[0],
            (hull.velocity_x + DT * wind, hull.velocity_y + DT * gravity),
            hull.rate + DT * torque,
        )
    ]
    for leg, arm in zip(legs, arms[1:], strict=True):
        velocity = leg.velocity_x, leg.velocity_y + DT * gravity
        links.append(hinge.Link(bodies.leg_mass, bodies.leg_inertia, arm, velocity, leg.rate))
    joined, motion = hinge.join(links)
    rows, guesses, wounds = [], [], []
    for index in (0, 1):
        leg, foot, arm = legs[index], footings[index], arms[1 + index]
        on_ground = foot.contacts[0].active | foot.contacts[1].active
        driven, wound = drive(bodies, leg, bends[index], on_ground)
        wounds.append(wound)
        rows.append(_rows(joined, driven, index, arm, foot.contacts))
        guesses.append(_guess(leg, foot.contacts))
    motion, impulses = solver.solve(joined, motion, rows, guesses, bodies.friction)
    return _moved(bodies, hull, legs, ground, turn, arms, places, footings, bends, motion, impulses, wounds)


def _rows(joined, driven, index, arm, contacts):
    side = SIDES[index]
    moments = [-side, None, None]
    moments[1 + index] = side
    joint = hinge.row(joined, None, moments)
    normals, tangents = [], []
    for point in contacts:
        lever = plus(arm, point.point)
        for rows, direction in ((normals, point.normal), (tangents, (point.normal[1], -point.normal[0]))):
            moments = [None, None, None]
            moments[1 + index] = lever[0] * direction[1] - lever[1] * direction[0]
            rows.append(hinge.row(joined, direction, moments))
    return solver.leg(joined, driven, joint, normals, tangents, [point.active for point in contacts])


def _guess(leg, contacts):
    on = [point.active for point in contacts]
    return solver.Impulses(
        leg.torque,
        (jnp.where(on[0], leg.normal_left, 0.0), jnp.where(on[1], leg.normal_right, 0.0)),
        (jnp.where(on[0], leg.tangent_left, 0.0), jnp.where(on[1], leg.tangent_right, 0.0)),
    )


def _moved(bodies, hull, legs, ground, turn, arms, places, footings, bends, motion, impulses, wounds):
    """(Hull, legs, quiet) after the step's motion and one pass of the position solver."""
    velocities = [plus(motion.velocity, spin(rate, arm)) for rate, arm in zip(motion.rates, arms, strict=True)]
    angles = hull.angle, legs[0].angle, legs[1].angle
    centres = [plus((hull.x, hull.y), arm) for arm in arms]
    poses = []
    quiet = jnp.asarray(True)
    for centre, angle, velocity, rate in zip(centres, angles, velocities, motion.rates, strict=True):
        poses.append(_carried(centre, angle, velocity, rate))
        quiet = quiet & (dot(velocity, velocity) <= _QUIET_SPEED) & (rate * rate <= _QUIET_RATE)
    poses, settled = _corrected(bodies, legs, footings, bends, poses, places, angles)
    turn = sin_cos(poses[0].angle)
    origin = minus(poses[0].centre, turned(turn, (0.0, HULL_CENTRE)))
    (velocity_x, velocity_y), rate = velocities[0], motion.rates[0]
    hull = Hull(origin[0], origin[1], velocity_x, velocity_y, poses[0].angle, rate)
    new_legs = []
    for index in (0, 1):
        (velocity_x, velocity_y), made = velocities[1 + index], impulses[index]
        at_stop = (bends[index] <= STOP) | (bends[index] >= FAR_STOP)
        leg = legs[index]._replace(
            angle=poses[1 + index].angle,
            velocity_x=velocity_x,
            velocity_y=velocity_y,
            rate=motion.rates[1 + index],
            motor=jnp.where(at_stop, wounds[index], made.joint),
            torque=made.joint,
            normal_left=made.normals[0],
            normal_right=made.normals[1],
            tangent_left=made.tangents[0],
            tangent_right=made.tangents[1],
        )
        leg_turn, _, centre = leg_centre(origin, leg, SIDES[index])
        near = sudden(ground, leg_turn, centre)
        begun = touched(leg, (leg.touches_even | near[0], leg.touches_odd | near[1]))
        new_legs.append(begun)
    return hull, tuple(new_legs), quiet, settled, hull_separation(ground, turn, origin)


def _carried(centre, angle, velocity, rate):
    """The `Pose` a step later, with Box2D's limits on how far a body goes."""
    distance2 = DT * DT * dot(velocity, velocity)
    slower = jnp.minimum(1.0, _FARTHEST / jnp.sqrt(jnp.maximum(distance2, 1e-12)))
    turn = jnp.clip(DT * rate, -_MOST_TURNED, _MOST_TURNED)
    return position.Pose(plus(centre, times(velocity, DT * slower)), angle + turn)


def _corrected(bodies, legs, footings, bends, poses, places, angles):
    """(poses, bool[]) after one pass: contacts, then joints; and whether the pass found no large error."""
    hull_body = position.Body(1 / bodies.hull_mass, 1 / bodies.hull_inertia)
    leg_body = position.Body(1 / bodies.leg_mass, 1 / bodies.leg_inertia)
    hull_pose, settled = poses[0], jnp.asarray(True)
    leg_poses = list(poses[1:])
    for index in (1, 0):
        before = places[index][1]
        for point in footings[index].contacts:
            pose = leg_poses[index]
            bent = sin_cos(pose.angle - angles[1 + index])
            lever = turned(bent, point.point)
            moved = minus(plus(pose.centre, lever), plus(before, point.point))
            pose, separation = position.pushed_out(
                pose, leg_body, point.separation, lever, moved, point.normal, point.active
            )
            leg_poses[index] = pose
            settled = settled & (~point.active | (separation >= -3 * position.LINEAR_SLOP))
    for index in (1, 0):
        side, pose = SIDES[index], leg_poses[index]
        bend = side * (pose.angle - hull_pose.angle) - LEG_REST
        inside = jnp.where(bends[index] <= STOP, jnp.minimum(bend - STOP + position.ANGULAR_SLOP, 0.0), 0.0)
        outside = jnp.where(bends[index] >= FAR_STOP, jnp.maximum(bend - FAR_STOP - position.ANGULAR_SLOP, 0.0), 0.0)
        both = hull_body, leg_body
        hull_pose, pose = position.turned_back(hull_pose, pose, side * (inside + outside), both)
        hull_arm = turned(sin_cos(hull_pose.angle), (0.0, -HULL_CENTRE))
        leg_arm = times(turned(sin_cos(pose.angle), (side * LEG_ARM[0], LEG_ARM[1])), -1.0)
        hull_pose, leg_poses[index] = position.rejoined(hull_pose, pose, (hull_arm, leg_arm), both)
    return [hull_pose, *leg_poses], settled
