"""The picture of RocketLanding: the rocket above its pad, its flame, and its instruments."""

import functools
import math

from jaxenvs.render.canvas import Canvas, mix, number

_WIDTH, _HEIGHT, _SCENE, _GROUND = 640, 400, 440, 352
_SKY_TOP, _SKY_LOW, _SOIL, _DARK_SOIL = (38, 28, 46), (214, 140, 104), (150, 82, 58), (116, 62, 48)
_INK, _PANEL, _RULE, _TRACK = (34, 38, 58), (30, 33, 52), (66, 72, 102), (58, 64, 92)
_WHITE, _MUTED, _STEEL, _SHADE = (240, 242, 248), (154, 161, 188), (206, 212, 226), (158, 166, 186)
_GREEN, _AMBER, _RED, _BLUE = (96, 206, 142), (246, 178, 74), (240, 84, 80), (104, 186, 255)
_FLAME, _CORE = (255, 150, 50), (255, 236, 160)
_ENDINGS = {1: ("landed", _GREEN), 2: ("crashed", _RED), 3: ("lost", _RED)}


def picture(
    *,
    x,
    height,
    velocity_x,
    velocity_y,
    tilt,
    tilt_rate,
    fuel,
    wind,
    thrust,
    gimbal,
    outcome,
    start_fuel,
    thrust_high,
    pad_half_width,
    landing_descent,
    landing_drift,
    landing_tilt,
):
    """Draws one moment of the descent.

    Args:
        x, height: f32[], m; the view zooms out until the rocket and the pad fit, and a rocket beyond that stays at the
            edge with its true numbers.
        velocity_x, velocity_y: f32[], m/s, to the right and upwards.
        tilt, tilt_rate: f32[], rad and rad/s; positive leans to the right.
        fuel, start_fuel: f32[], kg.
        wind: f32[], m/s, positive to the right.
        thrust, thrust_high: f32[], N; the flame's length is their ratio.
        gimbal: f32[], rad; the flame swings by it.
        outcome: i32[], 0 flying, 1 landed, 2 crashed, 3 lost.
        pad_half_width: f32[], m.
        landing_descent, landing_drift, landing_tilt: f32[], limits of a landing, m/s and rad: what colours the gauges.
    Returns:
        uint8[400, 640, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    x, height, tilt, gimbal, outcome = float(x), float(height), float(tilt), float(gimbal), int(outcome)
    scale = _scale(x, height)
    canvas = Canvas(_WIDTH, _HEIGHT, _background())
    _wind(canvas, float(wind))
    _pad(canvas, float(pad_half_width), scale)
    size = min(max(1.25 * scale, 3.2), 8.0)
    foot_x = _SCENE / 2 + min(max(x * scale, 30 - _SCENE / 2), _SCENE / 2 - 30)
    foot_y = _GROUND - min(max(height, 0.0) * scale, _GROUND - 90.0)
    canvas.ellipse(foot_x, _GROUND + 3, 3.2 * size, 1.0 * size, (40, 20, 20, 90))
    share = min(max(float(thrust) / float(thrust_high), 0.0), 1.0)
    place = functools.partial(_place, foot_x, foot_y, min(max(tilt, -math.pi), math.pi), size)
    if outcome == 0:
        _flame(canvas, place, share, min(max(gimbal, -1.5), 1.5))
    _rocket(canvas, place, min(max(gimbal, -1.5), 1.5))
    if outcome == 2:
        _blast(canvas, foot_x, foot_y)
    canvas.rectangle(_SCENE, 0, _WIDTH, _HEIGHT, _PANEL)
    _head(canvas, outcome)
    _gauges(canvas, float(fuel), float(start_fuel), share)
    limits = float(landing_descent), float(landing_drift), float(landing_tilt)
    _numbers(canvas, x, height, float(velocity_x), float(velocity_y), tilt, float(tilt_rate), *limits)
    return canvas.to_array()


def _scale(x, height):
    """Pixels per metre: as many as keep the rocket in the picture, between those for 150 m and for 25 m."""
    needed = max(abs(x) * 2.6, height * 1.35 + 14.0)
    return (_GROUND - 30) / min(max(needed, 25.0), 150.0)


@functools.cache
def _background():
    canvas = Canvas(_WIDTH, _HEIGHT, _SKY_TOP)
    for strip in range(44):
        canvas.rectangle(0, 8 * strip, _SCENE, 8 * strip + 8, mix(_SKY_TOP, _SKY_LOW, (strip / 43) ** 1.4))
    for star in range(40):
        canvas.circle(star * 167 % _SCENE, 4 + (29 * star * star + 13 * star) % 120, 0.5 + star % 3 * 0.3, _WHITE)
    for hill in range(6):
        middle, half, tall = 30 + 84 * hill, 70 + hill * 29 % 40, 26 + hill * 37 % 34
        canvas.polygon([(middle - half, _GROUND), (middle, _GROUND - tall), (middle + half, _GROUND)], (166, 98, 74))
    canvas.rectangle(0, _GROUND, _SCENE, _HEIGHT, _SOIL)
    for stone in range(26):
        canvas.ellipse(stone * 131 % _SCENE, _GROUND + 12 + stone * 53 % 34, 3 + stone % 4 * 2, 1.6, _DARK_SOIL)
    return canvas


def _wind(canvas, wind):
    if abs(wind) < 0.05:
        return
    side, reach = math.copysign(1, wind), min(10 + 3 * abs(wind), 60)
    for start, y in ((60, 40), (92, 52), (70, 64)):
        canvas.line([(start, y), (start + side * reach, y)], (255, 255, 255, 150), 2)
        tip = start + side * reach
        canvas.line([(tip - 6 * side, y - 4), (tip, y), (tip - 6 * side, y + 4)], (255, 255, 255, 150), 2)
    canvas.text(64, 84, f"wind {number(wind, 1, sign=True)} m/s", 12, _WHITE, "lm")


def _pad(canvas, half, scale):
    left, right = (min(max(_SCENE / 2 + side * half * scale, 0), _SCENE) for side in (-1, 1))
    canvas.rounded(left, _GROUND, right, _GROUND + 7, 2, _STEEL)
    stripe = max((right - left) / 8, 1.0)
    for part in range(0, 8, 2):
        canvas.rectangle(left + part * stripe, _GROUND, left + (part + 1) * stripe, _GROUND + 3, _AMBER)
    for edge in (left, right):
        canvas.circle(edge, _GROUND - 2, 3, _RED)


def _place(foot_x, foot_y, tilt, size, points):
    """Points given across and up the rocket's axis, from its feet, in tenths of its length."""
    sine, cosine = math.sin(tilt), math.cos(tilt)
    return [(foot_x + size * (a * cosine + b * sine), foot_y + size * (a * sine - b * cosine)) for a, b in points]


def _flame(canvas, place, share, gimbal):
    if share <= 0:
        return
    sine, cosine = math.sin(gimbal), math.cos(gimbal)
    for part, colour in ((1.0, _FLAME), (0.55, _CORE)):
        wide, reach = 0.9 * part, (1.5 + 8 * share) * part
        edge = ((-wide, 0), (-1.25 * wide, -0.3 * reach), (0, -reach), (1.25 * wide, -0.3 * reach), (wide, 0))
        turned = [(a * cosine - b * sine, 0.9 + b * cosine + a * sine) for a, b in edge]
        canvas.polygon(place(turned), colour)


def _rocket(canvas, place, gimbal):
    for side in (-1, 1):
        canvas.line(place([(1.0 * side, 3.0), (3.0 * side, 0.2)]), _SHADE, 2.5)
        canvas.line(place([(1.1 * side, 1.6), (2.6 * side, 0.8)]), _SHADE, 1.5)
        canvas.line(place([(2.3 * side, 0.0), (3.7 * side, 0.0)]), _STEEL, 3)
    swing = 0.84 * math.sin(gimbal)
    canvas.polygon(place([(-0.5, 2.0), (0.5, 2.0), (0.9 + swing, 0.8), (-0.9 + swing, 0.8)]), _INK)
    canvas.polygon(place([(-1.4, 1.8), (1.4, 1.8), (1.5, 7.5), (1.2, 9.0), (-1.2, 9.0), (-1.5, 7.5)]), _WHITE)
    canvas.polygon(place([(0.4, 1.8), (1.4, 1.8), (1.5, 7.5), (1.2, 9.0), (0.4, 9.0)]), _STEEL)
    canvas.polygon(place([(-1.2, 9.0), (1.2, 9.0), (0.7, 10.6), (0.0, 11.4), (-0.7, 10.6)]), _RED)
    canvas.polygon(place([(-1.45, 3.4), (1.45, 3.4), (1.46, 4.2), (-1.46, 4.2)]), _RED)
    ((window_x, window_y),) = place([(0.0, 7.2)])
    canvas.circle(window_x, window_y, 3.0, _BLUE, _INK, 1)


def _blast(canvas, x, y):
    for points, radius, colour in ((11, 44, _FLAME), (9, 27, _CORE)):
        star = []
        for step in range(2 * points):
            reach, angle = radius * (1 if step % 2 else 0.6), math.pi * step / points
            star.append((x + reach * math.sin(angle), y - 8 - reach * math.cos(angle)))
        canvas.polygon(star, colour)


def _head(canvas, outcome):
    text, colour = _ENDINGS.get(outcome, ("descending", _WHITE))
    canvas.text(_SCENE + 18, 26, text, 20, colour, bold=True)
    canvas.rectangle(_SCENE + 18, 46, _WIDTH - 18, 47, _RULE)


def _gauges(canvas, fuel, start_fuel, share):
    left, right = _SCENE + 18, _WIDTH - 18
    left_over = fuel / start_fuel
    colour = _GREEN if left_over > 0.3 else _AMBER if left_over > 0.1 else _RED
    for y, label, value, part, shade in (
        (66, "fuel", f"{number(fuel, 1)} kg", left_over, colour),
        (110, "thrust", f"{round(100 * share)} %", share, _FLAME),
    ):
        canvas.text(left, y, label, 13, _MUTED)
        canvas.text(right, y, value, 14, _WHITE, "rm", bold=True)
        canvas.bar(left, y + 13, right, y + 22, part, shade, _TRACK)


def _numbers(canvas, x, height, velocity_x, velocity_y, tilt, tilt_rate, descent, drift, lean):
    left, right, degrees = _SCENE + 18, _WIDTH - 18, math.degrees(tilt)
    canvas.rectangle(left, 146, right, 147, _RULE)
    rows = (
        ("height", f"{number(height, 1)} m", _WHITE),
        ("from the pad", f"{number(x, 1, sign=True)} m", _WHITE),
        ("descent", f"{number(-velocity_y, 1)} m/s", _GREEN if -velocity_y <= descent else _AMBER),
        ("drift", f"{number(velocity_x, 1, sign=True)} m/s", _GREEN if abs(velocity_x) <= drift else _AMBER),
        ("tilt", f"{number(degrees, 1, sign=True)} deg", _GREEN if abs(tilt) <= lean else _AMBER),
        ("turning", f"{number(math.degrees(tilt_rate), 1, sign=True)} deg/s", _WHITE),
    )
    for row, (label, value, colour) in enumerate(rows):
        y = 168 + 38 * row
        canvas.text(left, y, label, 13, _MUTED)
        canvas.text(right, y, value, 15, colour, "rm", bold=True)
