"""The picture of HeartPole-v1: v0's person and day, with their other actions."""

import functools
import math

from jaxenvs.render.canvas import Canvas, around, number
from jaxenvs.render.heartpole import (
    BLUE,
    GREEN,
    HEIGHT,
    LEFT,
    RIGHT,
    RULE,
    WIDTH,
    alarm,
    background,
    caption,
    gauges,
    header,
)
from jaxenvs.render.heartpole_person import BEER, LILAC, bed, cup, desk, glass, heart
from jaxenvs.render.heartpole_room import AMBER, INK, SCENE_HEIGHT, SCENE_WIDTH, WHITE, room

_OLIVE, _TEAL, _STEEL = (160, 190, 96), (92, 200, 196), (126, 134, 156)
_SLEEP, _NAP, _MEDITATION = 3, 4, 7

_CAPTIONS = {
    -1: ("has just woken up", "two weeks of work begin", AMBER),
    0: ("goes on", "works for half an hour", GREEN),
    1: ("drinks coffee", "more alert, higher blood pressure; works for half an hour", (196, 136, 92)),
    2: ("drinks beer", "tipsy, less alert, higher blood pressure; works for half an hour", BEER),
    3: ("sleeps 8 hours", "wakes up fresh and alert, then works for half an hour", LILAC),
    4: ("takes a nap", "half an hour; makes up for lost alertness; then works", LILAC),
    5: ("exercises", "half an hour; more alert, lower blood pressure; then works", BLUE),
    6: ("drinks water", "makes up for a little lost alertness; works for half an hour", _TEAL),
    7: ("meditates", "half an hour; calmer, lower blood pressure; then works", AMBER),
    8: ("uses cannabis", "less anxious, less skilled, a heart in danger; then works", _OLIVE),
}


def picture(
    *,
    alertness,
    hypertension,
    intoxication,
    time_since_slept,
    time_elapsed,
    work_done,
    high,
    last_action,
    heart_attack,
    dead,
    attack_risk,
    productivity,
    deadline,
):
    """Draws one moment of HeartPole-v1.

    Args:
        alertness, hypertension, intoxication, high: f32[], as in the state; gauges end, their numbers don't.
        time_since_slept, time_elapsed, deadline: f32[], half-hours; the first day begins at 08:00.
        work_done: f32[], sum of the productivity of every half-hour worked.
        last_action: i32[], -1 none yet, 0 to 8 as in the action space.
        heart_attack, dead: bool[], whether an attack struck in the step just made, and killed.
        attack_risk: f32[], probability of an attack in the next half-hour, in [0, 1].
        productivity: f32[], of the last half-hour worked.
    Returns:
        uint8[360, 640, 3].
    Raises:
        ValueError: if `last_action` is none of the ten.
        ImportError: if Pillow is not installed.
    """
    if int(last_action) not in _CAPTIONS:
        raise ValueError(f"last_action must be one of {', '.join(map(str, _CAPTIONS))}, got {last_action}")
    action, attack, elapsed = int(last_action), bool(heart_attack), float(time_elapsed)
    alertness, intoxication, high = float(alertness), float(intoxication), float(high)
    hour = (8 + elapsed / 2) % 24
    canvas = Canvas(WIDTH, HEIGHT, _background())
    _scene(canvas, alertness, intoxication, float(productivity), action, attack, hour)
    _haze(canvas, high)
    heart(canvas, float(hypertension), attack)
    if attack:
        canvas.rectangle(0, 0, SCENE_WIDTH, SCENE_HEIGHT, (20, 16, 30, 170) if dead else (240, 0, 20, 110))
        alarm(canvas, *(("DEATH", "of a heart attack") if dead else ("HEART ATTACK", "blood pressure falls to zero")))
    caption(canvas, *_CAPTIONS[action])
    header(canvas, elapsed, hour, float(work_done), float(productivity))
    canvas.bar(LEFT, 46, RIGHT, 51, elapsed / float(deadline), AMBER, RULE)
    gauges(canvas, alertness, float(hypertension), intoxication, float(time_since_slept) / 2, float(attack_risk))
    if high > 0.005:
        canvas.text(SCENE_WIDTH - 12, 328, f"high {number(high)}", 15, _OLIVE, "rm", bold=True)
    return canvas.to_array()


@functools.cache
def _background():
    return Canvas(WIDTH, HEIGHT, background("work done"))


def _scene(canvas, alertness, intoxication, productivity, action, attack, hour):
    room(canvas, hour)
    if action == _SLEEP:
        bed(canvas, intoxication, attack)
        return
    if action == _MEDITATION:
        for radius, opacity in ((86, 40), (70, 60), (54, 80)):
            canvas.circle(258, 152, radius, (255, 214, 120, opacity))
    shut = action in (_NAP, _MEDITATION)
    held = {1: cup, 2: glass, 5: _dumbbell, 6: _water, 8: _joint}.get(action)
    desk(canvas, min(alertness, -1.0) if shut else alertness, intoxication, productivity, held, attack, hour)
    if action == _NAP and not attack:
        for size, x, y in ((14, 302, 128), (19, 318, 108)):
            canvas.text(x, y, "Z", size, LILAC, "mm", bold=True)
    if action == _MEDITATION and not attack:
        for degrees in range(-60, 61, 30):
            canvas.line([around(258, 150, 50, degrees), around(258, 150, 60, degrees)], AMBER, 3)


def _haze(canvas, high):
    """Smoke that thins out as cannabis wears off."""
    for puff in range(10):
        radius, opacity = 22 + puff * 7 % 15, round(70 * min(max(high, 0.0), 1.0))
        canvas.circle(38 + puff * 97 % 326, 128 + puff * 31 % 86, radius, (206, 214, 196, opacity))


def _dumbbell(canvas, x, y):
    canvas.line([(x - 16, y + 8), (x + 30, y + 8)], _STEEL, 5)
    for end in (-18, 26):
        canvas.rounded(x + end - 5, y - 12, x + end + 5, y + 28, 4, INK)
        canvas.rounded(x + end - 10, y - 5, x + end - 5, y + 21, 2, _STEEL)
        canvas.rounded(x + end + 5, y - 5, x + end + 10, y + 21, 2, _STEEL)


def _water(canvas, x, y):
    canvas.polygon([(x - 13, y - 16), (x + 13, y - 16), (x + 10, y + 18), (x - 10, y + 18)], (236, 246, 252))
    canvas.polygon([(x - 11, y - 7), (x + 11, y - 7), (x + 9, y + 16), (x - 9, y + 16)], (108, 188, 236))
    for ice_x, ice_y in ((-5, -4), (4, 1)):
        canvas.rounded(x + ice_x - 4, y + ice_y - 4, x + ice_x + 4, y + ice_y + 4, 2, WHITE)


def _joint(canvas, x, y):
    canvas.line([(x + 8, y + 8), (x - 12, y - 2)], WHITE, 5)
    canvas.circle(x - 13, y - 3, 3, (244, 110, 40))
    for wisp in (0, 5):
        smoke = [(x - 14 - wisp + 4 * math.sin(0.8 * step + wisp), y - 8 - 4 * step) for step in range(9)]
        canvas.line(smoke, (255, 255, 255, 190), 2.5)
