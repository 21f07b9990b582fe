"""The picture of the pendulum: the rod, its goal position, and the torque on it."""

import functools
import math

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT = 400, 400
_X, _Y, _LENGTH = 200, 204, 132

_PAPER, _RING, _RULE = (246, 244, 239), (234, 231, 223), (190, 186, 176)
_INK, _MUTED, _GOAL = (52, 48, 60), (128, 123, 132), (92, 170, 124)
_LOW, _HIGH, _PUSH, _STEEL = (188, 66, 76), (92, 170, 124), (64, 118, 204), (84, 88, 102)


def picture(*, angle, velocity, torque, max_torque=2.0):
    """Draws one moment of the pendulum.

    Args:
        angle: f32[], rad counter-clockwise from upright.
        velocity: f32[], rad/s.
        torque: f32[], N m, as applied in the step just made; an arrow about the pivot points where it turns.
        max_torque: float above 0, at which the arrow is longest.
    Returns:
        uint8[400, 400, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    angle, velocity, torque = float(angle), float(velocity), float(torque)
    canvas = Canvas(_WIDTH, _HEIGHT, _background())
    turn = angle if math.isfinite(angle) else math.pi
    colour = mix(_LOW, _HIGH, (1 + math.cos(turn)) / 2)
    tip = (_X - _LENGTH * math.sin(turn), _Y - _LENGTH * math.cos(turn))
    canvas.line([(_X, _Y), tip], mix(colour, _INK, 0.35), 30)
    canvas.line([(_X, _Y), tip], colour, 25)
    share = min(max(torque / max_torque, -1.0), 1.0)
    _torque(canvas, share)
    canvas.circle(_X, _Y, 8, _INK)
    canvas.circle(_X, _Y, 3.5, _PAPER)
    readings = (
        ("angle, deg", math.degrees(math.remainder(turn, 2 * math.pi)), _INK),
        ("velocity, rad/s", velocity, _INK),
        ("torque, N m", torque, _PUSH),
    )
    for left, (label, value, ink) in zip((24, 150, 290), readings):
        canvas.text(left, 362, label, 13, _MUTED)
        canvas.text(left, 384, number(value, sign=True), 18, ink, bold=True)
    return canvas.to_array()


@functools.cache
def _background():
    canvas = Canvas(_WIDTH, _HEIGHT, _PAPER)
    canvas.circle(_X, _Y, _LENGTH, _RING, _RULE, 1.5)
    for hour in range(12):
        angle = math.radians(30 * hour)
        inner = _LENGTH - (12 if hour % 3 == 0 else 6)
        ends = [(_X + r * math.sin(angle), _Y - r * math.cos(angle)) for r in (inner, _LENGTH)]
        canvas.line(ends, _RULE, 2)
    for y in range(_Y - _LENGTH - 24, _Y - 20, 10):
        canvas.line([(_X, y), (_X, y + 4)], _GOAL, 2)
    canvas.text(_X, _Y - _LENGTH - 40, "upright", 13, _GOAL, "mm", bold=True)
    return canvas


def _torque(canvas, share):
    """An arc about the pivot, with a length proportional to the torque and a head that shows its direction."""
    if abs(share) < 0.01:
        return
    radius, sweep = 46, 250 * abs(share)
    # Degrees clockwise from 3 o'clock; a positive torque turns counter-clockwise.
    start, end = (90 - sweep, 90) if share > 0 else (90, 90 + sweep)
    for width, ink in ((10, _PAPER), (6, _PUSH)):
        canvas.arc(_X, _Y, radius + width / 2, radius + width / 2, start, end, ink, width)
    head = math.radians(start if share > 0 else end)
    forward = -1 if share > 0 else 1
    along, out = (-math.sin(head) * forward, math.cos(head) * forward), (math.cos(head), math.sin(head))
    x, y = _X + radius * out[0], _Y + radius * out[1]
    corners = ((16, 0), (-2, 11), (-2, -11))
    canvas.polygon([(x + a * along[0] + b * out[0], y + a * along[1] + b * out[1]) for a, b in corners], _PUSH)
