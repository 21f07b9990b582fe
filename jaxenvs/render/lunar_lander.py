"""The picture of LunarLander as Gymnasium draws it: a white moon, a black sky, two flags, the lander, its exhaust."""

import itertools
import math

from jaxenvs.render.canvas import Canvas

_WIDTH, _HEIGHT, _SCALE = 600, 400, 30
_MOON, _SKY, _POLE, _FLAG = (255, 255, 255), (0, 0, 0), (255, 255, 255), (204, 204, 0)
_BODY, _RIM = (128, 102, 230), (77, 77, 128)
#: What a particle loses of its power, and how many steps it is shown.
_FADING, _SHOWN = 0.15, 7


def picture(*, x, y, angle, legs, ground, pad, hull, leg_size, plumes):
    """Draws one moment of the landing.

    Args:
        x, y: floats, m, where the hull's origin is, from the lower left corner of a world of 20 m times 13.3 m; what is
            beyond the picture is not seen.
        angle: float, rad, counterclockwise.
        legs: for each leg (x, y, angle): its centre, m, and its angle, rad.
        ground: heights of the ground at equal distances from the left edge to the right one, m.
        pad: (x, x, y): where the two flags stand, m.
        hull: corners of the hull, (x, y) from its origin, m.
        leg_size: half the width and height of a leg, m.
        plumes: for each engine (x, y, dx, dy, power): where its exhaust begins, m, how far that moves in a step, m, and
            the engine's power, 0 to 1.
    Returns:
        uint8[400, 600, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    canvas = Canvas(_WIDTH, _HEIGHT, _SKY)
    step = _WIDTH / _SCALE / (len(ground) - 1)
    surface = [_pixel(step * place, height) for place, height in enumerate(ground)]
    canvas.polygon([(0, _HEIGHT), *surface, (_WIDTH, _HEIGHT)], _MOON)
    for plume in plumes:
        _exhaust(canvas, surface, *map(_seen, plume))
    half, tall = leg_size
    box = ((-half, -tall), (half, -tall), (half, tall), (-half, tall))
    for leg_x, leg_y, leg_angle in legs:
        _body(canvas, leg_x, leg_y, leg_angle, box)
    _body(canvas, x, y, angle, hull)
    for flag_x in pad[:2]:
        _flag(canvas, *_pixel(flag_x, pad[2]))
    return canvas.to_array()


def _seen(value):
    """A number that can be drawn: beyond a hundred metres nothing is in the picture."""
    return min(max(value, -100.0), 100.0) if math.isfinite(value) else 100.0


def _pixel(x, y):
    return _seen(x) * _SCALE, _HEIGHT - _seen(y) * _SCALE


def _body(canvas, x, y, angle, corners):
    angle = angle if math.isfinite(angle) else 0.0
    sine, cosine = math.sin(angle), math.cos(angle)
    outline = [_pixel(x + cosine * a - sine * b, y + sine * a + cosine * b) for a, b in corners]
    canvas.polygon(outline, _BODY)
    canvas.line([*outline, outline[0]], _RIM, 1)


def _exhaust(canvas, surface, x, y, dx, dy, power):
    """The particles of the last steps, the newest at the engine, as if the engine had burnt all the time.

    The ground stops them.
    """
    if power <= 0:
        return
    for age in reversed(range(_SHOWN)):
        left = power - _FADING * (age + 1)
        if left < 0:
            continue
        red, other = (min(255, round(255 * max(0.2, part))) for part in (0.15 + left, 0.5 * left))
        place = _pixel(x + age * dx, y + age * dy)
        if place[1] < _level(surface, place[0]):
            canvas.circle(*place, 2, (red, other, other))


def _level(surface, x):
    """The y of the ground at x, pixels."""
    for (left, y0), (right, y1) in itertools.pairwise(surface):
        if left <= x <= right:
            return y0 + (y1 - y0) * (x - left) / (right - left)
    return _HEIGHT


def _flag(canvas, x, y):
    canvas.line([(x, y), (x, y - 50)], _POLE, 1)
    canvas.polygon([(x, y - 50), (x, y - 40), (x + 25, y - 45)], _FLAG)
