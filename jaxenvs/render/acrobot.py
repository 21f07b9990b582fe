"""The picture of the acrobot: two links on a bar, and the height that the tip has to pass."""

import functools
import math

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT = 400, 420
_X, _Y, _REACH = 200, 190, 164

_NIGHT, _FLOOR, _RULE = (30, 34, 52), (40, 45, 68), (74, 81, 112)
_WHITE, _MUTED, _GOAL = (240, 242, 248), (150, 157, 186), (104, 212, 148)
_FIRST, _SECOND, _TIP = (96, 154, 236), (240, 168, 84), (255, 98, 84)


def picture(
    *, angle_1, angle_2, velocity_1, velocity_2, link_length_1=1.0, link_length_2=1.0, goal_height=1.0, reached=False
):
    """Draws one moment of the acrobot.

    Args:
        angle_1, angle_2: f32[], rad counter-clockwise: of the first link from hanging, of the second from the first.
        velocity_1, velocity_2: f32[], rad/s.
        link_length_1, link_length_2: floats above 0, m.
        goal_height: float, m above the bar.
        reached: bool[], whether the tip has passed it.
    Returns:
        uint8[420, 400, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    turns = [float(angle) if math.isfinite(float(angle)) else 0.0 for angle in (angle_1, angle_2)]
    lengths = (float(link_length_1), float(link_length_2))
    scale = _REACH / sum(lengths)
    canvas = Canvas(_WIDTH, _HEIGHT, _background(scale, float(goal_height), bool(reached)))
    elbow = _end(_X, _Y, lengths[0] * scale, turns[0])
    tip = _end(*elbow, lengths[1] * scale, sum(turns))
    for ends, colour in (([(_X, _Y), elbow], _FIRST), ([elbow, tip], _SECOND)):
        canvas.line(ends, mix(colour, _NIGHT, 0.45), 20)
        canvas.line(ends, colour, 15)
    for x, y, radius, colour in ((_X, _Y, 7, _WHITE), (*elbow, 8, _WHITE), (*tip, 9, _GOAL if reached else _TIP)):
        canvas.circle(x, y, radius + 2, _NIGHT)
        canvas.circle(x, y, radius, colour)
    height = -sum(part * math.cos(turn) for part, turn in zip(lengths, (turns[0], sum(turns))))
    readings = (
        ("tip, m", height, _GOAL if reached else _TIP),
        ("first, rad/s", float(velocity_1), _FIRST),
        ("second, rad/s", float(velocity_2), _SECOND),
    )
    for left, (label, value, colour) in zip((24, 138, 268), readings):
        canvas.text(left, 384, label, 13, _MUTED)
        canvas.text(left, 404, number(value, sign=True), 18, colour, bold=True)
    return canvas.to_array()


def _end(x, y, length, angle):
    """Where a link ends, `angle` counter-clockwise from hanging down."""
    return x + length * math.sin(angle), y + length * math.cos(angle)


@functools.lru_cache(maxsize=8)
def _background(scale, goal_height, reached):
    canvas = Canvas(_WIDTH, _HEIGHT, _NIGHT)
    canvas.rectangle(0, 366, _WIDTH, _HEIGHT, _FLOOR)
    canvas.circle(_X, _Y, _REACH, mix(_NIGHT, _FLOOR, 0.7), _RULE, 1)
    canvas.line([(_X - 60, _Y), (_X + 60, _Y)], _RULE, 6)
    y = min(max(_Y - goal_height * scale, 14), 356)
    for x in range(16, _WIDTH - 16, 16):
        canvas.line([(x, y), (x + 8, y)], _GOAL, 3 if reached else 2)
    canvas.text(18, y - 12, "reached" if reached else "goal", 13, _GOAL, bold=True)
    return canvas
