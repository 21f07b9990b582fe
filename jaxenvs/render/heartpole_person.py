"""The person of HeartPole, at the desk or in bed, and their heart."""

import functools
import math

from jaxenvs.render.canvas import around, ramp
from jaxenvs.render.heartpole_room import AMBER, INK, RED, WHITE, lamp

COFFEE, BEER, LILAC = (122, 76, 48), (242, 180, 52), (134, 116, 208)
_SKIN, _SHADE, _HAIR, _LIP = (242, 198, 164), (222, 172, 140), (82, 56, 48), (112, 48, 50)
_SHIRT, _SLEEVE, _TROUSERS = (70, 128, 186), (60, 112, 166), (52, 62, 104)
_WOOD, _DARK_WOOD = (158, 106, 70), (112, 78, 62)


def desk(canvas, alertness, intoxication, productivity, held, attack, hour):
    """Draws the person at work; `held(canvas, x, y)`, if it is not None, draws what the raised hand holds."""
    shake = 2.5 * math.sin(4.8 * hour) if alertness > 3 else 0.0
    x, y = 258 + shake, 150
    canvas.rectangle(254, 262, 262, 292, INK)
    canvas.rounded(226, 290, 290, 297, 3, INK)
    canvas.rounded(210, 174, 306, 268, 16, (92, 84, 110))
    for side in (-1, 1):
        canvas.line([(258 + 22 * side, 258), (258 + 26 * side, 294)], _TROUSERS, 20)
        canvas.rounded(258 + 29 * side - 15, 293, 258 + 29 * side + 15, 305, 5, INK)
    canvas.rounded(x - 50, 192, x + 50, 256, 26, _SHIRT)
    canvas.rounded(x - 11, 172, x + 11, 202, 10, _SHADE)
    _head(canvas, x, y, alertness, intoxication, productivity, attack)
    canvas.rectangle(92, 242, 390, 252, _WOOD)
    for leg in (104, 368):
        canvas.rectangle(leg, 252, leg + 10, 300, _DARK_WOOD)
    canvas.rounded(216, 196, 300, 242, 5, (204, 210, 222))
    canvas.circle(258, 219, 5, (250, 251, 253))
    canvas.rounded(204, 238, 312, 243, 2, (166, 172, 190))
    lamp(canvas, 364, hour)
    canvas.line([(x - 43, 212), (x - 50, 232)], _SLEEVE, 16)
    canvas.circle(x - 50, 236, 8, _SKIN)
    if held:
        canvas.line([(x + 43, 212), (x + 60, 224), (x + 50, 200)], _SLEEVE, 15)
        held(canvas, x + 44, 178)
        canvas.circle(x + 53, 188, 8, _SKIN)
    else:
        canvas.line([(x + 43, 212), (x + 50, 232)], _SLEEVE, 16)
        canvas.circle(x + 50, 236, 8, _SKIN)


def bed(canvas, intoxication, attack):
    """Draws the person in bed."""
    canvas.rounded(370, 168, 388, 300, 5, _DARK_WOOD)
    canvas.rounded(84, 212, 100, 300, 5, _DARK_WOOD)
    canvas.rectangle(92, 262, 380, 284, _WOOD)
    canvas.rounded(98, 236, 372, 268, 8, WHITE)
    canvas.rounded(300, 214, 370, 246, 12, (208, 216, 236))
    x, y = 322, 210
    canvas.ellipse(x + 8, y - 4, 28, 28, _HAIR)
    canvas.ellipse(x, y, 27, 26, _SKIN)
    _cheeks(canvas, x, y + 8, 16, intoxication)
    for side in (-1, 1):
        if attack:
            _crossed_eye(canvas, x + 11 * side, y - 1)
        else:
            canvas.arc(x + 11 * side, y - 4, 6, 6, 20, 160, INK, 2)
    canvas.ellipse(x, y + 16, 4, 3.5, _LIP)
    canvas.polygon([(104, 262), *((x, _blanket(x)) for x in range(104, 304, 4)), (302, 262)], LILAC)
    canvas.rounded(98, 236, 312, 274, 12, LILAC)
    canvas.rounded(286, 226, 312, 274, 10, (196, 186, 240))
    for size, x, y in ((16, 290, 176), (23, 266, 154), (31, 234, 126)):
        canvas.text(x, y, "Z", size, LILAC, "mm", bold=True)


def _blanket(x):
    """Height of the blanket over the feet and over the body."""
    return 238 - 24 * math.exp(-(((x - 130) / 17) ** 2)) - 19 * math.exp(-(((x - 238) / 62) ** 4))


def heart(canvas, hypertension, attack):
    """Draws the heart: the redder and larger the higher the blood pressure, in two pieces at an attack."""
    x, y = 342, 74
    canvas.circle(x, y, 48, (255, 255, 255, 110))
    if attack:
        for side in (-1, 1):
            crack = [(0.0, 1.06), (0.16, 0.78), (-0.16, 0.5), (0.16, 0.2), (-0.1, -0.06)]
            points = list(_half_heart(side)) + crack
            canvas.polygon([(x + 34 * a + 6 * side, y - 4 + 34 * b + 2 * side) for a, b in points], RED)
        return
    share = min(max(hypertension / 10, 0.0), 1.0)
    size = 18 + 18 * share
    points = _half_heart(1) + _half_heart(-1)[::-1]
    colours = ((0, (246, 160, 168)), (3, (238, 96, 106)), (6, (206, 24, 44)), (10, (128, 0, 24)))
    canvas.polygon([(x + size * a, y - size / 9 + size * b) for a, b in points], ramp(colours, hypertension))
    canvas.ellipse(x - 0.5 * size, y - 0.52 * size, 0.2 * size, 0.13 * size, (255, 255, 255, 120))


@functools.cache
def _half_heart(side):
    """Points of the right (1) or left (-1) half of a heart of half-width 1, from the notch to the tip."""
    points = []
    for step in range(25):
        t = math.pi * step / 24
        height = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((side * math.sin(t) ** 3, -height / 16))
    return tuple(points)


def cup(canvas, x, y):
    """Draws a cup of coffee."""
    canvas.circle(x + 12, y + 3, 7, WHITE)
    canvas.circle(x + 12, y + 3, 3.5, _SLEEVE)
    canvas.rounded(x - 13, y - 10, x + 13, y + 15, 6, WHITE)
    canvas.rectangle(x - 13, y, x + 13, y + 7, COFFEE)
    canvas.ellipse(x, y - 9, 13, 4, COFFEE, WHITE, 1.5)
    for wisp in (-5, 5):
        points = [(x + wisp + 2.5 * math.sin(step), y - 16 - 2.8 * step) for step in range(7)]
        canvas.line(points, (255, 255, 255, 190), 2.5)


def glass(canvas, x, y):
    """Draws a glass of beer."""
    canvas.ellipse(x + 13, y + 2, 8, 9, WHITE)
    canvas.ellipse(x + 13, y + 2, 5, 6, _SLEEVE)
    canvas.rounded(x - 13, y - 14, x + 13, y + 18, 4, BEER, WHITE, 2)
    for bubble_x, bubble_y in ((-5, 10), (3, 3), (-3, -3), (6, 11)):
        canvas.circle(x + bubble_x, y + bubble_y, 1.6, (255, 230, 150))
    for foam_x, foam_y in ((-9, -13), (0, -16), (9, -13)):
        canvas.circle(x + foam_x, y + foam_y, 7, (255, 253, 246))


def _head(canvas, x, y, alertness, intoxication, productivity, attack):
    canvas.ellipse(x, y - 6, 37, 35, _HAIR)
    for side in (-1, 1):
        canvas.circle(x + 33 * side, y + 5, 6, _SHADE)
    canvas.ellipse(x, y + 3, 33, 32, _SKIN)
    canvas.ellipse(x - 3, y - 25, 27, 10, _HAIR)
    _cheeks(canvas, x, y + 13, 20, intoxication)
    for side in (-1, 1):
        if attack:
            _crossed_eye(canvas, x + 13 * side, y)
        else:
            _eye(canvas, x + 13 * side, y, side, alertness)
    canvas.circle(x, y + 9, 3.5, _SHADE)
    tense = attack or alertness > 3
    if attack:
        canvas.ellipse(x, y + 22, 6, 7, _LIP)
    elif tense:
        canvas.line([(x + 4 * step, y + 21 + step % 2 * 3) for step in range(-3, 4)], _LIP, 2)
    else:
        bend = 5 * min(max(productivity, -1.0), 1.0)
        canvas.line([(x + 2.2 * t, y + 21 + bend * (1 - t * t / 16)) for t in range(-4, 5)], _LIP, 2.5)
    for degrees in (-66, -44, 44, 66) if tense else ():
        canvas.line([around(x, y, 45, degrees), around(x, y, 54, degrees)], AMBER, 3)


def _cheeks(canvas, x, y, apart, intoxication):
    flush = round(190 * min(max(intoxication / 0.15, 0.0), 1.0))
    for side in (-1, 1):
        canvas.circle(x + apart * side, y, 7, (232, 72, 72, flush))


def _crossed_eye(canvas, x, y):
    canvas.line([(x - 5, y - 5), (x + 5, y + 5)], INK, 2.5)
    canvas.line([(x - 5, y + 5), (x + 5, y - 5)], INK, 2.5)


def _eye(canvas, x, y, side, alertness):
    opening = min(max(0.25 + 0.75 * alertness, 0.1), 1.0)
    shut = 1 - opening
    radius, pupil, lift = (9.5, 1.8, 4) if alertness > 3 else (7.5, 3.6, 0)
    if shut > 0.5:
        canvas.arc(x, y + 5, 8, 7, 30, 150, (190, 140, 130), 1.5)
    canvas.ellipse(x, y + radius * shut, radius, radius * opening, (255, 255, 255))
    canvas.ellipse(x, y + radius * shut, pupil, pupil * max(opening, 0.3), INK)
    lid = y + radius * (shut - opening)
    if shut > 0.1:
        canvas.line([(x - side * radius, lid), (x + side * radius, lid + 3 * shut)], (120, 76, 64), 2)
    brow = y - 12 - lift
    canvas.line([(x - side * 7, brow - lift / 2), (x + side * 7, brow + lift / 2 + 3 * shut)], _HAIR, 3)
