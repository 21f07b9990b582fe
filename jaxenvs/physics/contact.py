"""Where convex shapes touch a ground made of straight edges.

The method is that of Box2D 2.3 (E. Catto, `b2CollideEdge.cpp`): the axis of least penetration among the normals of the
edge and of the shape (separating axes), then the incident face clipped to the reference face. Everything is computed in
the shape's own frame, in which its corners are constants. A batch has its axis in each number.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxenvs.physics.plane import dot, minus, times

#: Both shapes have a skin of 0.01 m, so that cores nearer than this touch (`b2_polygonRadius`, doubled), m.
SKIN = 0.02
_FAR = 1e3


class Edge(NamedTuple):
    """A ground edge in the frame of a shape; the ground is on its right, seen from `start` to `end`."""

    #: (f32[], f32[]) each, m.
    start: tuple
    end: tuple
    #: Unit vectors along the edge and out of the ground.
    along: tuple
    normal: tuple
    #: f32[], m.
    length: Any


class Contact(NamedTuple):
    """A point where a shape touches the ground, in the frame of the shape."""

    #: f32[], distance of the two cores along the normal, m; `_FAR` where there is no contact.
    separation: Any
    #: (f32[], f32[]), m, in the middle between the two skins.
    point: tuple
    #: (f32[], f32[]), unit vector from the ground to the shape.
    normal: tuple

    @property
    def active(self):
        """bool[], whether the skins touch."""
        return self.separation <= SKIN


def edge(start, end):
    """The `Edge` between two points, in the same frame as they are."""
    span = minus(end, start)
    length = jnp.sqrt(dot(span, span))
    along = times(span, 1 / length)
    return Edge(start, end, along, (-along[1], along[0]), length)


def polygon_separation(ground, corners, faces):
    """The greatest separation along any normal of an edge and a convex polygon, m.

    Args:
        ground: `Edge` in the frame of the polygon.
        corners: the polygon's corners, as pairs of numbers.
        faces: the polygon's faces, as ((x, y) of the outward normal, distance from the frame's origin).
    Returns:
        f32[]; positive where the cores are apart, and then at most their distance.
    """
    deepest = corners[0]
    lowest = dot(ground.normal, deepest)
    for corner in corners[1:]:
        lowest = jnp.minimum(lowest, dot(ground.normal, corner))
    separation = lowest - dot(ground.normal, ground.start)
    for normal, distance in faces:
        nearest = jnp.minimum(dot(normal, ground.start), dot(normal, ground.end))
        separation = jnp.maximum(separation, nearest - distance)
    return separation


def box_axes(ground, half_width, half_height):
    """Separations of an edge and a box along the normals of each, m.

    Returns:
        (along the edge's normal, along that of the box's nearer left or right face, along that of its nearer top or
        bottom face), f32[] each.
    """
    normal, start, end = ground.normal, ground.start, ground.end
    reach = jnp.abs(normal[0]) * half_width + jnp.abs(normal[1]) * half_height
    by_edge = -reach - dot(normal, start)
    by_side = jnp.maximum(jnp.minimum(start[0], end[0]), -jnp.maximum(start[0], end[0])) - half_width
    by_end = jnp.maximum(jnp.minimum(start[1], end[1]), -jnp.maximum(start[1], end[1])) - half_height
    return by_edge, by_side, by_end


def box_separation(ground, half_width, half_height):
    """As `polygon_separation`, of a box around the frame's origin; f32[], m."""
    by_edge, by_side, by_end = box_axes(ground, half_width, half_height)
    return jnp.maximum(by_edge, jnp.maximum(by_side, by_end))


def box_contacts(ground, half_width, half_height):
    """The points where a box touches an edge.

    Args:
        ground: `Edge` in the frame of the box.
        half_width, half_height: of the box, m.
    Returns:
        (Contact, Contact): the ends of the stretch where they touch.
    """
    by_edge, by_side, by_end = box_axes(ground, half_width, half_height)
    by_box = jnp.maximum(by_side, by_end)
    # The preference for the edge is Box2D's.
    on_box = by_box > 0.98 * by_edge + 0.001
    of_edge = _reference_edge(ground, half_width, half_height)
    of_box = _reference_face(ground, half_width, half_height, by_side > by_end)
    reference = chosen(on_box, of_box, of_edge)
    normal = times(reference.normal, jnp.where(on_box, -1.0, 1.0))
    first, second = reference.places
    least, most = jnp.minimum(first, second), jnp.maximum(first, second)
    apart = (jnp.maximum(by_edge, by_box) > SKIN) | (most < reference.low) | (least > reference.high)
    found = []
    for end, place in zip(reference.ends, reference.places, strict=True):
        share = (place - jnp.clip(place, reference.low, reference.high)) / _away_from_zero(second - first)
        clipped = minus(end, times(minus(*reference.ends[::-1]), share))
        separation = dot(reference.normal, clipped) - reference.height
        middle = minus(clipped, times(reference.normal, 0.5 * separation))
        found.append(Contact(jnp.where(apart, _FAR, separation), middle, normal))
    return tuple(found)


class _Reference(NamedTuple):
    """The face that a face of the other shape, the incident one, is clipped to."""

    #: Its normal, and its distance from the frame's origin along that.
    normal: tuple
    height: Any
    #: The ends of the incident face, and their places along this one.
    ends: tuple
    places: tuple
    #: Where this face begins and ends in those places.
    low: Any
    high: Any


def _reference_edge(ground, half_width, half_height):
    """The edge, with the face of the box that looks at it."""
    normal = ground.normal
    upright = jnp.abs(normal[1]) >= jnp.abs(normal[0])
    # The face's corners, where the face is an end of the box and where it is a side.
    low, left = jnp.where(normal[1] > 0, -half_height, half_height), jnp.where(normal[0] > 0, -half_width, half_width)
    first = jnp.where(upright, -half_width, left), jnp.where(upright, low, -half_height)
    second = jnp.where(upright, half_width, left), jnp.where(upright, low, half_height)
    places = tuple(dot(ground.along, minus(corner, ground.start)) for corner in (first, second))
    zero = jnp.zeros_like(ground.length)
    return _Reference(normal, dot(normal, ground.start), (first, second), places, zero, ground.length)


def _reference_face(ground, half_width, half_height, on_side):
    """The face of the box that looks at the edge, with the edge."""
    half = jnp.where(on_side, half_height, half_width)
    depth = jnp.where(on_side, half_width, half_height)
    across = tuple(jnp.where(on_side, point[1], point[0]) for point in (ground.start, ground.end))
    outward = tuple(jnp.where(on_side, point[0], point[1]) for point in (ground.start, ground.end))
    sign = jnp.where(outward[0] + outward[1] > 0, 1.0, -1.0)
    normal = jnp.where(on_side, sign, 0.0), jnp.where(on_side, 0.0, sign)
    return _Reference(normal, depth, (ground.start, ground.end), across, -half, half)


def _away_from_zero(x):
    return jnp.where(jnp.abs(x) < 1e-9, 1e-9, x)


def deeper(one, other):
    """The deeper of two contacts."""
    return chosen(one.separation <= other.separation, one, other)


def chosen(first, one, other):
    """The contact `one` where `first` holds, and `other` elsewhere."""
    return jax.tree.map(lambda a, b: jnp.where(first, a, b), one, other)
