"""The picture of the car in the valley, for both kinds of action: the hills, the flag, the car and its speed."""

import functools
import math

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT = 600, 360
_LEFT, _RIGHT, _BASE, _RISE = 30, 570, 210, 92

_SKY, _HORIZON, _SUN = (190, 220, 242), (244, 240, 226), (255, 236, 170)
_GRASS, _EARTH, _FAR = (118, 172, 98), (156, 126, 92), (170, 198, 190)
_INK, _WHITE, _MUTED = (44, 50, 62), (255, 255, 255), (92, 104, 116)
_CAR, _GLASS, _FLAG, _WALL, _SPEED = (206, 66, 60), (212, 232, 244), (250, 196, 40), (120, 110, 104), (48, 92, 178)


def picture(
    *,
    position,
    velocity,
    goal_position,
    reached=False,
    min_position=-1.2,
    max_position=0.6,
    max_speed=0.07,
    wave_number=3.0,
):
    """Draws one moment of the car.

    Args:
        position, velocity: f32[]; beyond the ends the car is drawn at the end, the number is true.
        goal_position, min_position, max_position: floats, where flag and ends of the track are.
        reached: bool[], whether the episode has ended there.
        max_speed: float above 0, at which the gauge is full.
        wave_number: float, the hills are sin(wave_number * position).
    Returns:
        uint8[360, 600, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    position, velocity = float(position), float(velocity)
    track = tuple(map(float, (min_position, max_position, wave_number)))
    canvas = Canvas(_WIDTH, _HEIGHT, _background(*track))
    _flag(canvas, float(goal_position), track, reached)
    _car(canvas, min(max(position, track[0]), track[1]), track, 1 if velocity >= 0 else -1)
    canvas.text(24, 22, "position", 13, _MUTED)
    canvas.text(24, 44, number(position, 3, sign=True), 18, _INK, bold=True)
    canvas.text(124, 22, "velocity, per step", 13, _MUTED)
    canvas.text(124, 44, number(velocity, 4, sign=True), 18, _SPEED, bold=True)
    canvas.bar(216, 38, 330, 50, 0.5 + velocity / max_speed / 2, _SPEED, _WHITE, start=0.5)
    canvas.line([(273, 34), (273, 54)], _MUTED, 1.5)
    if reached:
        canvas.text(_WIDTH / 2, _HEIGHT - 22, "at the goal", 15, _WHITE, "mm", bold=True)
    return canvas.to_array()


def _place(position, track):
    low, high, wave_number = track
    x = _LEFT + (position - low) / (high - low) * (_RIGHT - _LEFT)
    return x, _BASE - _RISE * math.sin(wave_number * position)


def _tilt(position, track):
    """The slope's angle on the picture, radians, positive where it rises to the right."""
    step = 1e-3 * (track[1] - track[0])
    (x0, y0), (x1, y1) = _place(position - step, track), _place(position + step, track)
    return math.atan2(y0 - y1, x1 - x0)


@functools.lru_cache(maxsize=4)
def _background(low, high, wave_number):
    track, canvas = (low, high, wave_number), Canvas(_WIDTH, _HEIGHT, _HORIZON)
    for y in range(0, 250, 2):
        canvas.rectangle(0, y, _WIDTH, y + 2, mix(_SKY, _HORIZON, y / 250))
    canvas.circle(492, 58, 26, _SUN)
    far = [(x, 226 - 34 * math.sin(x / 71) - 18 * math.sin(x / 29 + 1)) for x in range(0, _WIDTH + 1, 6)]
    canvas.polygon([*far, (_WIDTH, _HEIGHT), (0, _HEIGHT)], mix(_FAR, _HORIZON, 0.35))
    edge = (low - high) / (_RIGHT - _LEFT)
    ground = [_place(low + edge * (_LEFT - x), track) for x in range(0, _WIDTH + 1, 3)]
    canvas.polygon([*ground, (_WIDTH, _HEIGHT), (0, _HEIGHT)], _EARTH)
    canvas.polygon([*ground, *[(x, y + 12) for x, y in reversed(ground)]], _GRASS)
    x, y = _place(low, track)
    canvas.rectangle(0, y - 46, x - 14, y + 40, _WALL)
    for row in range(5):
        canvas.line([(0, y - 38 + 16 * row), (x - 14, y - 38 + 16 * row)], mix(_WALL, _INK, 0.3), 1)
    return canvas


def _flag(canvas, goal, track, reached):
    x, y = _place(goal, track)
    canvas.line([(x, y), (x, y - 58)], _INK, 3)
    colour = _GRASS if reached else _FLAG
    canvas.polygon([(x + 1, y - 58), (x + 30, y - 49), (x + 1, y - 40)], colour)


def _car(canvas, position, track, facing):
    x, y = _place(position, track)
    tilt = _tilt(position, track)
    along, up = (math.cos(tilt), -math.sin(tilt)), (-math.sin(tilt), -math.cos(tilt))

    def at(ahead, above):
        return x + facing * ahead * along[0] + above * up[0], y + facing * ahead * along[1] + above * up[1]

    canvas.polygon([at(a, b) for a, b in ((-14, 16), (-9, 27), (5, 27), (12, 16))], _CAR)
    canvas.polygon([at(a, b) for a, b in ((-10, 17), (-7, 24.5), (-2, 24.5), (-2, 17))], _GLASS)
    canvas.polygon([at(a, b) for a, b in ((0, 17), (0, 24.5), (4, 24.5), (8.5, 17))], _GLASS)
    body = ((-22, 6), (-22, 15), (-18, 17.5), (16, 17.5), (22, 13.5), (23, 6))
    canvas.polygon([at(a, b) for a, b in body], _CAR)
    canvas.circle(*at(21, 12), 2, _FLAG)
    for wheel in (-13, 13):
        canvas.circle(*at(wheel, 6.5), 6.5, _INK)
        canvas.circle(*at(wheel, 6.5), 2.5, _WHITE)
