"""The picture of the one-dimensional rocket: the axis it flies along, its thrust, and the phase plane."""

import functools

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TRACK = 64, 408, 176
_PLANE_X, _PLANE_Y, _PLANE_HALF = 540, 118, 78

_SPACE, _PANEL, _RULE = (22, 26, 46), (34, 39, 64), (78, 86, 118)
_WHITE, _MUTED, _STEEL = (240, 242, 248), (154, 161, 188), (206, 212, 226)
_NOSE, _WALL, _GOAL = (255, 84, 62), (206, 44, 66), (96, 206, 142)
_FLAME, _CORE, _SPEED = (255, 158, 50), (255, 232, 140), (104, 186, 255)


def picture(*, position, velocity, thrust, limit=2.0, thrust_limit=1.0):
    """Draws one moment of the rocket.

    Args:
        position: f32[]; beyond the limit the rocket is drawn at the wall, the number is true.
        velocity: f32[].
        thrust: f32[], as applied in the step just made, 0 if none yet; the flame is on the opposite side.
        limit: float, the |position| and |velocity| at which an episode ends, above 0.
        thrust_limit: float, the largest |thrust|, above 0.
    Returns:
        uint8[240, 640, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    position, velocity, thrust, limit = float(position), float(velocity), float(thrust), float(limit)
    canvas = Canvas(_WIDTH, _HEIGHT, _background(limit))
    x = _across(position, limit)
    push = min(max(thrust / thrust_limit, -1.0), 1.0)
    forward = -1 if (velocity or thrust) < 0 else 1
    _flame(canvas, x, 140, forward, push)
    _rocket(canvas, x, 140, forward)
    _arrow(canvas, x, 104, min(max(velocity / limit, -1.0), 1.0), velocity)
    readings = ((88, position, _NOSE), (232, velocity, _SPEED), (366, thrust, _FLAME))
    for left, value, colour in readings:
        canvas.text(left, 24, number(value, 3, sign=True), 17, colour, bold=True)
    text, colour = _phase(position, velocity, thrust, limit)
    canvas.text((_LEFT + _RIGHT) / 2, 222, text, 13, colour, "mm", bold=colour is not _MUTED)
    _plane(canvas, position / limit, velocity / limit)
    return canvas.to_array()


def _across(position, limit):
    share = min(max(position / limit, -1.0), 1.0)
    return (_LEFT + _RIGHT + share * (_RIGHT - _LEFT)) / 2


@functools.lru_cache(maxsize=4)
def _background(limit):
    canvas = Canvas(_WIDTH, _HEIGHT, _SPACE)
    for star in range(60):
        canvas.circle(
            star * 197 % 449,
            50 + (31 * star * star + 17 * star) % 113,
            0.5 + star % 4 * 0.25,
            mix(_SPACE, _WHITE, 0.5),
        )
    canvas.rectangle(0, 0, 450, 46, _PANEL)
    for x, label in ((28, "position"), (174, "velocity"), (318, "thrust")):
        canvas.text(x, 24, label, 14, _MUTED)
    canvas.line([(_LEFT, _TRACK), (_RIGHT, _TRACK)], _RULE, 3)
    for mark in range(9):
        share = mark / 4 - 1
        x = _across(share * limit, limit)
        canvas.line([(x, _TRACK), (x, _TRACK + (4 if mark % 2 else 8))], _RULE, 2)
        if mark % 2 == 0:
            canvas.text(x, _TRACK + 19, f"{share * limit:.4g}", 13, _MUTED, "mm")
    _goal_and_walls(canvas)
    return canvas


def _goal_and_walls(canvas):
    x = (_LEFT + _RIGHT) / 2
    for y in range(54, _TRACK, 10):
        canvas.line([(x, y), (x, y + 4)], _GOAL, 2)
    canvas.polygon([(x, 53), (x + 44, 53), (x + 37, 61), (x + 44, 69), (x, 69)], _GOAL)
    canvas.text(x + 5, 61, "goal", 12, _SPACE, bold=True)
    canvas.circle(x, _TRACK, 5, _GOAL)
    for x, side in ((_LEFT, -1), (_RIGHT, 1)):
        canvas.rectangle(min(x, x + 9 * side), 60, max(x, x + 9 * side), _TRACK + 2, _WALL)
        for y in range(66, _TRACK - 8, 18):
            canvas.polygon([(x, y + 9), (x + 9 * side, y), (x + 9 * side, y + 7), (x, y + 16)], _WHITE)


def _rocket(canvas, x, y, forward):
    def place(points):
        return [(x + forward * a, y + b) for a, b in points]

    canvas.polygon(place([(-10, -8), (-30, -20), (-26, -6), (-26, 6), (-30, 20), (-10, 8)]), _NOSE)
    canvas.polygon(place([(-26, -6), (-31, -8), (-31, 8), (-26, 6)]), _MUTED)
    canvas.polygon(place([(-26, -8), (-14, -11), (10, -11), (20, -8), (20, 8), (10, 11), (-14, 11), (-26, 8)]), _WHITE)
    canvas.polygon(place([(-26, 4), (20, 4), (20, 8), (10, 11), (-14, 11), (-26, 8)]), _STEEL)
    canvas.polygon(place([(18, -8.6), (26, -5), (33, 0), (26, 5), (18, 8.6)]), _NOSE)
    canvas.circle(x + 6 * forward, y - 1, 5, _SPEED, _RULE, 1.5)


def _flame(canvas, x, y, forward, push):
    if push == 0:
        return
    back = -1 if push > 0 else 1
    length = 44 * abs(push)
    if back == -forward:
        jets = ((30, 0, 7, length),)
    else:
        jets = ((14, -14, 3.5, length), (14, 14, 3.5, length))
    for start, aside, half, reach in jets:
        for share, colour in ((1.0, _FLAME), (0.55, _CORE)):
            wide, belly, tip = half * share, start + 0.3 * reach * share, start + (6 + reach) * share
            edge = ((start, wide), (belly, 1.25 * wide), (tip, 0.0), (belly, -1.25 * wide), (start, -wide))
            canvas.polygon([(x + back * a, y + aside + b) for a, b in edge], colour)


def _arrow(canvas, x, y, share, velocity):
    tip = x + 48 * share
    if abs(share) > 0.02:
        side = 1 if share > 0 else -1
        canvas.line([(x, y), (tip - 5 * side, y)], _SPEED, 3)
        canvas.polygon([(tip, y), (tip - 9 * side, y - 6), (tip - 9 * side, y + 6)], _SPEED)
    canvas.circle(x, y, 3, _SPEED)
    canvas.text(
        min(max((x + tip) / 2, _LEFT + 38), _RIGHT - 38),
        y - 15,
        f"v {number(velocity, sign=True)}",
        13,
        _SPEED,
        "mm",
    )


def _phase(position, velocity, thrust, limit):
    if abs(position) > limit or abs(velocity) > limit:
        return ("OUT OF BOUNDS" if abs(position) > limit else "TOO FAST"), _NOSE
    if max(abs(position), abs(velocity)) <= 0.05 * limit:
        return "at the goal", _GOAL
    if thrust * velocity == 0:
        return "coasting" if thrust == 0 else "starting", _MUTED
    return "speeding up" if thrust * velocity > 0 else "braking", _MUTED


def _plane(canvas, across, up):
    x, y, half = _PLANE_X, _PLANE_Y, _PLANE_HALF
    canvas.rectangle(450, 0, _WIDTH, _HEIGHT, _PANEL)
    canvas.text(x, 24, "velocity against position", 12, _MUTED, "mm")
    home, away = ("homeward", _GOAL), ("away", _WALL)
    quarters = ((-1, -1, *home), (1, -1, *away), (-1, 1, *away), (1, 1, *home))
    for right, down, label, colour in quarters:
        middle_x, middle_y, reach = x + right * half / 2, y + down * half / 2, half / 2
        corners = (middle_x - reach, middle_y - reach, middle_x + reach, middle_y + reach)
        canvas.rounded(*corners, 6, mix(_SPACE, colour, 0.25))
        canvas.text(middle_x, middle_y, label, 12, _MUTED, "mm")
    canvas.line([(x - half, y), (x + half, y)], _RULE)
    canvas.line([(x, y - half), (x, y + half)], _RULE)
    canvas.circle(x, y, 5, _SPACE, _GOAL, 2)
    canvas.text(x, y + half + 14, "position", 12, _MUTED, "mm")
    dot_x, dot_y = (min(max(share, -1.0), 1.0) * half for share in (across, up))
    canvas.circle(x + dot_x, y - dot_y, 6, _NOSE, _WHITE, 1.5)
