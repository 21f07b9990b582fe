"""The two edges of the ground that are nearest to a body, and how a foot or a hull meets them.

The ground has its vertices at x = 0, 2, ..., 20. Both edges are visited in a loop: compiled once.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jaxenvs.physics import contact
from jaxenvs.physics.contact import Contact
from jaxenvs.physics.loop import looped
from jaxenvs.physics.plane import minus, turned, turned_back


class Footing(NamedTuple):
    """A leg's contacts with the ground."""

    #: Two, from left to right; points from the leg's centre of mass, and normals, as in the world.
    contacts: tuple
    #: bool[] each: whether it touches the even and the odd edge near it.
    touches: tuple


def over_edges(ground, turn, centre, measure):
    """Measures the two edges on both sides of the vertex that is nearest to a body.

    Args:
        ground: eleven f32[], heights of the vertices, m.
        turn: (sine, cosine) of the body's angle.
        centre: (f32[], f32[]), the origin of its frame, m.
        measure: function of an `Edge` in that frame.
    Returns:
        (bool[]: whether the left edge has an even number, [results of `measure` for the left edge, for the right one]).
    """
    first = jnp.clip(jnp.round(0.5 * centre[0]), 1.0, 9.0) - 1

    def ends(place):
        left, right = ground[0], ground[1]
        for number in range(1, 10):
            at = place == number
            left, right = jnp.where(at, ground[number], left), jnp.where(at, ground[number + 1], right)
        vertices = (2 * place, left), (2 * place + 2, right)
        return tuple(turned_back(turn, minus(vertex, centre)) for vertex in vertices)

    found = looped(ends, (first, first + 1))
    return first % 2 == 0, looped(lambda ends: measure(contact.edge(*ends)), found)


def hull_separation(ground, turn, origin, corners, faces):
    """Separation of the core of a polygon and the ground, f32[], m; see `contact.polygon_separation`."""
    _, found = over_edges(ground, turn, origin, lambda edge: contact.polygon_separation(edge, corners, faces))
    return jnp.minimum(found[0], found[1])


def footing(ground, turn, centre, half):
    """The `Footing` of a box with its half width and height, m."""

    even, (left, right) = over_edges(ground, turn, centre, lambda edge: contact.box_contacts(edge, *half))
    touching = [one.active | other.active for one, other in (left, right)]
    # On one edge its two contacts; on both the deeper one of each, since they may push in different directions.
    both = touching[0] & touching[1]
    contacts = []
    for place, deepest in enumerate((contact.deeper(*left), contact.deeper(*right))):
        contacts.append(contact.chosen(both, deepest, contact.chosen(touching[0], left[place], right[place])))
    in_world = [Contact(c.separation, turned(turn, c.point), turned(turn, c.normal)) for c in contacts]
    return Footing(tuple(in_world), _by_parity(even, *touching))


def sudden(ground, turn, centre, half, distance):
    """bool[] each: whether a box is nearer to the even and to the odd edge than `distance`, m."""
    even, found = over_edges(ground, turn, centre, lambda edge: contact.box_separation(edge, *half) < distance)
    return _by_parity(even, found[0], found[1])


def _by_parity(even, left, right):
    """Of the edges left and right of a vertex: (that with an even number, that with an odd one)."""
    return jnp.where(even, left, right), jnp.where(even, right, left)
