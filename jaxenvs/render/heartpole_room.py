"""HeartPole's room at an hour of the day: walls, window, clock and lamp."""

import math

from jaxenvs.render.canvas import around, mix, ramp

SCENE_WIDTH, SCENE_HEIGHT = 400, 312
INK, WHITE, AMBER, RED = (34, 38, 58), (240, 242, 248), (246, 178, 74), (232, 34, 48)

_ZENITH = (
    (5, (16, 20, 48)),
    (7, (104, 140, 200)),
    (12, (92, 170, 236)),
    (17, (100, 160, 222)),
    (19.5, (84, 74, 130)),
    (21, (16, 20, 48)),
)
_HORIZON = (
    (5, (36, 42, 84)),
    (6.5, (250, 178, 124)),
    (9, (198, 228, 248)),
    (17, (206, 226, 240)),
    (19, (248, 148, 96)),
    (21, (36, 42, 84)),
)
_DAWN, _DUSK = 5.5, 20.5


def room(canvas, hour):
    """Draws walls, floor, window and clock at an hour in [0, 24)."""
    light = _daylight(hour)
    canvas.rectangle(0, 0, SCENE_WIDTH, 250, mix((74, 76, 112), (242, 230, 212), light))
    canvas.rectangle(0, 246, SCENE_WIDTH, SCENE_HEIGHT, mix((62, 54, 78), (206, 170, 134), light))
    canvas.rectangle(0, 243, SCENE_WIDTH, 248, mix((102, 100, 132), (255, 250, 240), light))
    _window(canvas, hour, light)
    _clock(canvas, 224, 64, hour, mix((206, 206, 222), (255, 253, 248), light))


def lamp(canvas, x, hour):
    """Draws the desk lamp, which shines when it is dark outside."""
    glow = round(90 * (1 - _daylight(hour)))
    canvas.polygon([(x - 32, 188), (x - 20, 204), (x - 6, 242), (x - 100, 242)], (255, 220, 120, glow))
    canvas.rounded(x - 16, 237, x + 16, 242, 2, INK)
    canvas.line([(x, 238), (x + 12, 206), (x - 8, 184)], INK, 3)
    canvas.polygon([(x - 4, 174), (x + 6, 186), (x - 20, 204), (x - 32, 188)], AMBER)


def _daylight(hour):
    along = (hour - _DAWN) / (_DUSK - _DAWN)
    return min(max(2.2 * math.sin(math.pi * along), 0.0), 1.0) if 0 <= along <= 1 else 0.0


def _window(canvas, hour, light):
    left, top, right, bottom = 26, 28, 162, 144
    zenith, horizon = ramp(_ZENITH, hour), ramp(_HORIZON, hour)
    for strip in range(29):
        canvas.rectangle(left, top + 4 * strip, right, top + 4 * strip + 4, mix(zenith, horizon, strip / 28))
    for star in range(14) if light == 0 else ():
        canvas.circle(left + 8 + star * 53 % 120, top + 8 + star * 37 % 61, 0.8 + star % 3 * 0.3, WHITE)
    day = _DAWN <= hour < _DUSK
    along = (hour - _DAWN) / (_DUSK - _DAWN) if day else (hour - _DUSK) % 24 / (24 - _DUSK + _DAWN)
    x, y = left + 16 + 104 * along, bottom - 28 - 70 * math.sin(math.pi * along)
    canvas.circle(x, y, 11, (255, 214, 92) if day else (236, 236, 214))
    if not day:
        canvas.circle(x + 5, y - 3, 9, mix(zenith, horizon, (y - top) / 116))
    for house, tall in enumerate((26, 40, 22, 34, 46, 28, 20)):
        _house(canvas, left + 20 * house - 2, bottom, tall, light)
    frame = mix((150, 146, 172), (255, 255, 255), light)
    for x in (left, (left + right) / 2, right):
        canvas.rectangle(x - 3, top - 3, x + 3, bottom + 3, frame)
    for y in (top, bottom):
        canvas.rectangle(left - 3, y - 3, right + 3, y + 3, frame)
    canvas.rectangle(left - 10, bottom + 3, right + 10, bottom + 9, frame)


def _house(canvas, x, ground, tall, light):
    canvas.rectangle(x, ground - tall, x + 19, ground, mix((30, 34, 62), (128, 150, 176), light))
    for pane in range(1, (tall - 4) // 9) if light < 0.5 else ():
        across, up = x + 4 + 7 * ((pane + tall) % 2), ground - 4 - 9 * pane
        canvas.rectangle(across, up, across + 4, up + 4, AMBER)


def _clock(canvas, x, y, hour, face):
    canvas.circle(x, y, 30, (92, 80, 82))
    canvas.circle(x, y, 26, face)
    for mark in range(12):
        inner = around(x, y, 21 + (mark % 3 > 0), 30 * mark)
        canvas.line([inner, around(x, y, 23, 30 * mark)], (92, 80, 82), 1.5)
    canvas.line([(x, y), around(x, y, 12, 30 * hour)], INK, 3.5)
    canvas.line([(x, y), around(x, y, 19, 360 * hour)], INK, 2)
    canvas.circle(x, y, 2.5, RED)
