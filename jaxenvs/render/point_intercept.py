"""The picture of PointIntercept: the tutorial's white square with its two points, and the area that counts."""

from jaxenvs.render.canvas import Canvas

_WIDTH, _HEIGHT, _SIDE = 440, 320, 288
_INK, _WHITE, _MUTED = (34, 38, 58), (250, 250, 252), (154, 161, 188)
_BLUE, _RED, _GREEN, _GRID = (52, 106, 232), (232, 60, 62), (96, 196, 138), (228, 231, 240)
_AREA = (214, 240, 224)


def picture(*, worker_x, worker_y, target_x, target_y, intercepted, radius, resolution):
    """Draws the two points, and in green the places where the worker touches the target.

    Args:
        worker_x, worker_y, target_x, target_y: integers, pixels of the environment from the left and the top.
        intercepted: bool, whether the two touch.
        radius: of both circles, in those pixels.
        resolution: width and height of the environment, in those pixels.
    Returns:
        uint8[320, 440, 3].
    Raises:
        ImportError: if Pillow is not installed.
    """
    scale = _SIDE / resolution
    canvas = Canvas(_WIDTH, _HEIGHT, _WHITE)
    left = top = (_HEIGHT - _SIDE) / 2
    canvas.rectangle(left, top, left + _SIDE, top + _SIDE, (255, 255, 255))
    (x0, x1), (y0, y1) = (touching(target, radius, resolution) for target in (target_x, target_y))
    canvas.rectangle(left + x0 * scale, top + y0 * scale, left + x1 * scale, top + y1 * scale, _AREA)
    for line in range(0, resolution + 1, 10):
        canvas.line([(left + line * scale, top), (left + line * scale, top + _SIDE)], _GRID)
        canvas.line([(left, top + line * scale), (left + _SIDE, top + line * scale)], _GRID)
    corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    canvas.line([(left + x * scale, top + y * scale) for x, y in corners], _GREEN, 2)
    for x, y, colour in ((target_x, target_y, _RED), (worker_x, worker_y, _BLUE)):
        canvas.circle(left + x * scale, top + y * scale, radius * scale, colour)
    _cross(canvas, left + (worker_x + 0.5) * scale, top + (worker_y + 0.5) * scale)
    _frame(canvas, left + _SIDE)
    _panel(canvas, (worker_x, worker_y), (target_x, target_y), intercepted)
    return canvas.to_array()


def touching(target, radius, resolution):
    """(first, end) along one axis of the places where the worker touches a target, pixels; the end is the one after.

    The worker's rectangle is the box around its circle, and the target's has its corner at the target's place.
    """

    def extent(centre):
        return max(centre - radius, 0), min(centre + radius, resolution)

    start, end = extent(target)
    places = [
        place for place in range(resolution + 1)
        if extent(place)[0] < target + (end - start) and target < extent(place)[1]
    ]  # fmt: skip
    return (places[0], places[-1] + 1) if places else (target, target)


def _cross(canvas, x, y):
    """Marks the worker's place: it is what has to be in the area."""
    for ends in (((x - 5, y), (x + 5, y)), ((x, y - 5), (x, y + 5))):
        canvas.line(ends, _WHITE, 2)


def place_at(x, y, resolution):
    """(x, y) in the environment's pixels, floats, of a pixel of the picture; None outside the square.

    A margin of half a pixel of the environment belongs to the square, so that its edges can be met.
    """
    scale, edge = _SIDE / resolution, (_HEIGHT - _SIDE) / 2
    place = (x - edge) / scale, (y - edge) / scale
    return place if all(-0.5 <= end <= resolution + 0.5 for end in place) else None


def _frame(canvas, end):
    """Covers what reaches beyond the square, and outlines it."""
    edge = _HEIGHT - end
    for box in ((0, 0, end + edge, edge), (0, end, end + edge, _HEIGHT), (0, 0, edge, _HEIGHT)):
        canvas.rectangle(*box, _INK)
    canvas.rectangle(end, 0, _WIDTH, _HEIGHT, _INK)


def _panel(canvas, worker, target, intercepted):
    x = _HEIGHT + 8
    rows = ((52, "worker", worker, _BLUE), (122, "target", target, _RED))
    for y, label, (across, down), colour in rows:
        canvas.circle(x + 6, y, 6, colour)
        canvas.text(x + 20, y, label, 14, _MUTED)
        canvas.text(x, y + 24, f"{across}, {down}", 20, _WHITE, bold=True)
    canvas.rectangle(x, 172, x + 12, 184, _GREEN)
    canvas.text(x + 20, 178, "counts", 14, _MUTED)
    text, colour = ("intercepted", _GREEN) if intercepted else ("no touch", _MUTED)
    canvas.text(x, 220, text, 16, colour, bold=bool(intercepted))
