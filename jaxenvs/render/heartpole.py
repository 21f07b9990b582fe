"""The picture of HeartPole: a person's day at the desk, what they just did, and the numbers."""

import functools
import math

from jaxenvs.render.canvas import Canvas, number
from jaxenvs.render.heartpole_person import BEER, LILAC, bed, cup, desk, glass, heart
from jaxenvs.render.heartpole_room import AMBER, INK, RED, SCENE_HEIGHT, SCENE_WIDTH, WHITE, room

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, _ROW = 420, 620, 47
MUTED, _TRACK, RULE, _STRIP = (154, 161, 188), (58, 64, 92), (66, 72, 102), (46, 51, 76)
GREEN, BLUE, CORAL, _LATTE = (96, 196, 138), (96, 160, 230), (244, 96, 92), (196, 136, 92)

_CAPTIONS = {
    -1: ("has just woken up", "each half-hour: nothing, a coffee, a beer or a night's sleep", AMBER),
    0: ("drinks nothing", "and works for half an hour", GREEN),
    1: ("drinks coffee", "more alert, higher blood pressure; then half an hour of work", _LATTE),
    2: ("drinks beer", "tipsy, less alert, higher blood pressure; half an hour of work", BEER),
    3: ("sleeps 8 hours", "wakes up fresh and alert, then works for half an hour", LILAC),
}


def picture(
    *,
    alertness,
    hypertension,
    intoxication,
    time_since_slept,
    time_elapsed,
    work_done,
    last_action,
    heart_attack,
    attack_risk,
    productivity,
):
    """Draws one moment of HeartPole.

    Args:
        alertness, hypertension, intoxication: f32[], as in the state; gauges end, their numbers don't.
        time_since_slept, time_elapsed: f32[], half-hours; the first day begins at 08:00.
        work_done: f32[], sum of the productivity of every half-hour worked.
        last_action: i32[], -1 none yet, 0 nothing, 1 coffee, 2 beer, 3 sleep.
        heart_attack: bool[], whether an attack struck in the step just made.
        attack_risk: f32[], probability of an attack per half-hour, in [0, 1].
        productivity: f32[], of the last half-hour worked.
    Returns:
        uint8[360, 640, 3].
    Raises:
        ValueError: if `last_action` is none of the five.
        ImportError: if Pillow is not installed.
    """
    action, attack, elapsed = _known(last_action), bool(heart_attack), float(time_elapsed)
    alertness, hypertension, intoxication = float(alertness), float(hypertension), float(intoxication)
    productivity, hour = float(productivity), (8 + elapsed / 2) % 24
    canvas = Canvas(WIDTH, HEIGHT, background())
    _scene(canvas, alertness, intoxication, productivity, action, attack, hour)
    heart(canvas, hypertension, attack)
    caption(canvas, *_CAPTIONS[action])
    if attack:
        alarm(canvas, "HEART ATTACK", "blood pressure falls to zero")
    header(canvas, elapsed, hour, float(work_done) / elapsed if elapsed > 0 else 0.0, productivity)
    gauges(canvas, alertness, hypertension, intoxication, float(time_since_slept) / 2, float(attack_risk))
    return canvas.to_array()


def _known(action):
    if int(action) not in _CAPTIONS:
        raise ValueError(f"last_action must be one of -1, 0, 1, 2, 3, got {action}")
    return int(action)


def _scene(canvas, alertness, intoxication, productivity, action, attack, hour):
    room(canvas, hour)
    if action == 3:
        bed(canvas, intoxication, attack)
    else:
        desk(canvas, alertness, intoxication, productivity, {1: cup, 2: glass}.get(action), attack, hour)
    if attack:
        canvas.rectangle(0, 0, SCENE_WIDTH, SCENE_HEIGHT, (240, 0, 20, 110))


@functools.cache
def background(score="average productivity"):
    """The panel's labels; `score` is the one of the great number."""
    canvas = Canvas(WIDTH, HEIGHT, INK)
    canvas.rectangle(0, SCENE_HEIGHT, SCENE_WIDTH, HEIGHT, _STRIP)
    canvas.text(LEFT, 63, score, 12, MUTED)
    canvas.text(RIGHT, 63, "this half-hour", 12, MUTED, "rm")
    for y in (48, 114):
        canvas.rectangle(LEFT, y, RIGHT, y + 1, RULE)
    labels = ("Alertness", "Blood pressure", "Intoxication", "Hours awake", "Attack risk")
    for row, label in enumerate(labels):
        canvas.text(LEFT, 134 + _ROW * row, label, 13, WHITE)
    return canvas


def caption(canvas, title, effect, colour):
    """Writes what was done into the strip at the foot."""
    y = (SCENE_HEIGHT + HEIGHT) / 2
    canvas.circle(24, y, 8, colour)
    canvas.text(44, y - 8, title, 17, WHITE, bold=True)
    canvas.text(44, y + 12, effect, 12, MUTED)


def alarm(canvas, title, effect):
    """Writes two lines on a red board into the scene."""
    canvas.rounded(20, 158, 196, 200, 8, RED)
    canvas.text(108, 172, title, 19, WHITE, "mm", bold=True)
    canvas.text(108, 190, effect, 11, WHITE, "mm")


def header(canvas, elapsed, hour, score, productivity):
    """Writes the time, the score and the productivity into the panel."""
    minutes = round(60 * hour)
    canvas.text(LEFT, 28, f"Day {int((elapsed + 16) // 48) + 1}", 22, WHITE, bold=True)
    canvas.text(RIGHT, 28, f"{minutes // 60 % 24:02d}:{minutes % 60:02d}", 22, WHITE, "rm", bold=True)
    canvas.text(LEFT, 90, number(score), 28, GREEN if score >= 0 else CORAL, bold=True)
    colour = GREEN if productivity >= 0 else CORAL
    canvas.text(RIGHT, 90, number(productivity, sign=True), 18, colour, "rm", bold=True)


def gauges(canvas, alertness, hypertension, intoxication, hours, risk):
    """Draws the five gauges of the panel."""
    steps = ((0, "exhausted", CORAL), (0.6, "sleepy", BLUE), (3, "focused", GREEN))
    mood = _band(alertness, steps, "anxious", AMBER)
    _gauge(canvas, 0, number(alertness), (alertness + 2) / 8, mood, start=0.25)
    mood = _band(hypertension, ((1.5, "calm", GREEN), (4, "raised", AMBER)), "severe", CORAL)
    _gauge(canvas, 1, number(hypertension), hypertension / 10, mood)
    # the Ballmer peak is between 0.12 and 0.15
    steps = ((0.01, "sober", GREEN), (0.12, "tipsy", AMBER), (0.15, "inspired", LILAC))
    mood = _band(intoxication, steps, "drunk", CORAL)
    _gauge(canvas, 2, number(intoxication, 3), intoxication / 0.25, mood)
    mood = _band(hours, ((10, "rested", GREEN), (18, "tired", AMBER)), "overtired", CORAL)
    _gauge(canvas, 3, number(hours, 1), hours / 36, mood)
    # from 0.1 % to 100 % by powers of ten: nearly the entire life of a careful person is below 1 %
    share = (math.log10(risk) + 3) / 3 if risk > 0 else 0.0
    mood = _band(risk, ((0.002, "in 30 min", GREEN), (0.02, "in 30 min", AMBER)), "in 30 min", CORAL)
    _gauge(canvas, 4, number(100 * risk, 2 if risk < 0.1 else 1) + " %", share, mood)


def _gauge(canvas, row, value, share, mood, start=0.0):
    y = 134 + _ROW * row
    word, colour = mood
    canvas.text(RIGHT, y, value, 14, WHITE, "rm", bold=True)
    canvas.text(RIGHT - 60, y, word, 12, colour, "rm")
    canvas.bar(LEFT, y + 13, RIGHT, y + 22, share, colour, _TRACK, start)
    if start:
        x = LEFT + start * (RIGHT - LEFT)
        canvas.rectangle(x - 1, y + 11, x + 1, y + 24, WHITE)


def _band(value, steps, beyond, colour):
    """The word and the colour of the first step whose end is above the value."""
    for end, word, shade in steps:
        if value < end:
            return word, shade
    return beyond, colour
