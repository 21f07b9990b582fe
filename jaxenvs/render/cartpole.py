"""The picture of the cart and its pole: the track with its ends, and the wedge in which the pole must stay."""

import functools
import math

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT = 600, 320
_RAIL, _HINGE, _REACH = 246, 212, 250

_SKY, _GROUND, _RULE = (243, 245, 250), (226, 230, 239), (150, 158, 178)
_INK, _MUTED, _STEEL = (44, 52, 72), (112, 120, 142), (86, 98, 128)
_CART, _POLE, _SAFE, _FAIL = (58, 84, 138), (222, 138, 62), (96, 178, 132), (214, 62, 66)


def picture(*, position, velocity, angle, angular_velocity, position_limit=2.4, angle_limit=0.2095, half_length=0.5):
    """Draws one moment of the cart and its pole.

    Args:
        position, velocity: f32[], m and m/s; beyond the limit the cart is drawn a little outside, the number is true.
        angle, angular_velocity: f32[], rad clockwise from upright, and rad/s.
        position_limit, angle_limit: floats above 0, where an episode ends.
        half_length: float above 0, of the pole, m.
    Returns:
        uint8[320, 600, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    position, velocity, angle, angular_velocity = map(float, (position, velocity, angle, angular_velocity))
    limit = float(position_limit)
    canvas = Canvas(_WIDTH, _HEIGHT, _background(limit))
    outside, leaning = abs(position) > limit, abs(angle) > angle_limit
    x = _WIDTH / 2 + min(max(position / limit, -1.12), 1.12) * _REACH
    length = min(2 * float(half_length) * _REACH / limit, 168)
    _wedge(canvas, x, length, float(angle_limit), leaning)
    _cart(canvas, x, outside)
    _pole(canvas, x, length, angle if math.isfinite(angle) else math.pi, leaning)
    _readings(canvas, position, velocity, angle, angular_velocity, outside, leaning)
    return canvas.to_array()


@functools.lru_cache(maxsize=4)
def _background(limit):
    canvas = Canvas(_WIDTH, _HEIGHT, _SKY)
    canvas.rectangle(0, _RAIL + 10, _WIDTH, _HEIGHT, _GROUND)
    canvas.line([(12, _RAIL + 10), (_WIDTH - 12, _RAIL + 10)], _STEEL, 4)
    for mark in range(-4, 5):
        x = _WIDTH / 2 + mark / 4 * _REACH
        canvas.line([(x, _RAIL + 16), (x, _RAIL + (24 if mark % 2 else 28))], _RULE, 2)
        if mark % 2 == 0:
            canvas.text(x, _RAIL + 42, f"{mark / 4 * limit:.3g}", 13, _MUTED, "mm")
    for side in (-1, 1):
        x = _WIDTH / 2 + side * _REACH
        for y in range(78, _RAIL, 12):
            canvas.line([(x, y), (x, y + 5)], mix(_SKY, _FAIL, 0.7), 2)
    return canvas


def _wedge(canvas, x, length, angle_limit, leaning):
    colour = mix(_SKY, _FAIL if leaning else _SAFE, 0.25)
    reach, half = length + 14, min(angle_limit, math.pi)
    turns = [half * step / 8 for step in range(-8, 9)]
    rim = [(x + reach * math.sin(turn), _HINGE - reach * math.cos(turn)) for turn in turns]
    canvas.polygon([(x, _HINGE), *rim], colour)
    for end in (rim[0], rim[-1]):
        canvas.line([(x, _HINGE), end], mix(colour, _FAIL if leaning else _SAFE, 0.6))


def _cart(canvas, x, outside):
    colour = _FAIL if outside else _CART
    canvas.rounded(x - 38, _HINGE - 4, x + 38, _RAIL, 7, colour)
    canvas.rounded(x - 38, _RAIL - 12, x + 38, _RAIL, 6, mix(colour, _INK, 0.4))
    for wheel in (-22, 22):
        canvas.circle(x + wheel, _RAIL, 9, _INK)
        canvas.circle(x + wheel, _RAIL, 3.5, _GROUND)


def _pole(canvas, x, length, angle, leaning):
    tip = (x + length * math.sin(angle), _HINGE - length * math.cos(angle))
    canvas.line([(x, _HINGE), tip], _FAIL if leaning else _POLE, 10)
    canvas.circle(x, _HINGE, 7, _INK)
    canvas.circle(x, _HINGE, 3, _SKY)


def _readings(canvas, position, velocity, angle, angular_velocity, outside, leaning):
    degrees = math.degrees(angle), math.degrees(angular_velocity)
    columns = (
        (24, "position", position, "m", outside),
        (164, "velocity", velocity, "m/s", False),
        (312, "angle", degrees[0], "deg", leaning),
        (446, "turning", degrees[1], "deg/s", False),
    )
    for left, label, value, unit, broken in columns:
        canvas.text(left, 22, f"{label}, {unit}", 13, _MUTED)
        canvas.text(left, 46, number(value, sign=True), 19, _FAIL if broken else _INK, bold=True)
    if outside or leaning:
        text = "off the track" if outside else "fallen"
        canvas.text(_WIDTH / 2, _HEIGHT - 12, text, 14, _FAIL, "mm", bold=True)
