"""The picture of FiveChoices: five doors, and what is behind the one that was opened."""

from jaxenvs.render.canvas import Canvas, mix

_WIDTH, _HEIGHT = 480, 240
_WALL, _FLOOR, _INK, _WHITE, _MUTED = (46, 51, 76), (34, 38, 58), (22, 26, 46), (240, 242, 248), (154, 161, 188)
_GOLD, _GREEN, _RED, _KNOB = (246, 178, 74), (96, 196, 138), (232, 80, 84), (255, 214, 120)
_DOORS = ((96, 160, 230), (134, 116, 208), (92, 200, 196), (244, 130, 110), (214, 120, 170))


def picture(*, last_action, paying_choice):
    """Draws the doors.

    Args:
        last_action: the door that was opened, 0 to 4, or -1 before the choice; another number opens none.
        paying_choice: the door that pays, 0 to 4.
    Returns:
        uint8[240, 480, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    canvas = Canvas(_WIDTH, _HEIGHT, _WALL)
    canvas.rectangle(0, 186, _WIDTH, _HEIGHT, _FLOOR)
    for door, colour in enumerate(_DOORS):
        left = 26 + 88 * door
        canvas.rounded(left - 5, 53, left + 81, 192, 6, _INK)
        if door == last_action:
            _open(canvas, left, colour, last_action == paying_choice)
        else:
            _closed(canvas, left, colour, door + 1)
    if last_action < 0:
        text, colour = "choose a door", _MUTED
    else:
        text, colour = ("it pays", _GREEN) if last_action == paying_choice else ("it does not pay", _RED)
    canvas.text(_WIDTH / 2, 26, text, 20, colour, "mm", bold=last_action >= 0)
    return canvas.to_array()


def _closed(canvas, left, colour, number):
    canvas.rectangle(left, 58, left + 76, 186, colour)
    for top, bottom in ((66, 112), (120, 178)):
        canvas.rounded(left + 10, top, left + 66, bottom, 3, mix(colour, _INK, 0.18))
    canvas.circle(left + 66, 122, 4, _KNOB)
    canvas.text(left + 38, 89, str(number), 24, _WHITE, "mm", bold=True)


def _open(canvas, left, colour, pays):
    canvas.rectangle(left, 58, left + 76, 186, mix(_GOLD, _WHITE, 0.4) if pays else _INK)
    canvas.polygon([(left, 58), (left + 16, 66), (left + 16, 196), (left, 186)], mix(colour, _INK, 0.3))
    if pays:
        for x, y in ((32, 176), (54, 176), (43, 165), (40, 148), (58, 158)):
            canvas.circle(left + x, y, 10, _GOLD, (190, 120, 30), 2)
    else:
        for end in (-1, 1):
            canvas.line([(left + 30, 122 - 16 * end), (left + 62, 122 + 16 * end)], _RED, 5)
