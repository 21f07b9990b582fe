"""The picture of PointIntercept: the tutorial's white square with its two points, and the rectangles that decide."""

from jaxenvs.render.canvas import Canvas

_WIDTH, _HEIGHT, _SIDE = 440, 320, 288
_INK, _WHITE, _MUTED = (34, 38, 58), (250, 250, 252), (154, 161, 188)
_BLUE, _RED, _GREEN, _GRID = (52, 106, 232), (232, 60, 62), (96, 196, 138), (228, 231, 240)


def picture(*, worker_x, worker_y, target_x, target_y, intercepted, radius, resolution):
    """Draws the two points.

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
    for line in range(0, resolution + 1, 10):
        canvas.line([(left + line * scale, top), (left + line * scale, top + _SIDE)], _GRID)
        canvas.line([(left, top + line * scale), (left + _SIDE, top + line * scale)], _GRID)

    def extent(centre):
        return max(centre - radius, 0), min(centre + radius, resolution)

    def point(x, y, colour):
        canvas.circle(left + x * scale, top + y * scale, radius * scale, colour)

    point(target_x, target_y, _RED)
    point(worker_x, worker_y, _BLUE)
    size_x, size_y = (end - start for start, end in map(extent, (target_x, target_y)))
    start_x, end_x, start_y, end_y = *extent(worker_x), *extent(worker_y)
    for colour, x0, y0, x1, y1 in (
        (_RED, target_x, target_y, target_x + size_x, target_y + size_y),
        (_BLUE, start_x, start_y, end_x, end_y),
    ):
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
        canvas.line([(left + x * scale, top + y * scale) for x, y in corners], colour, 2)
    _frame(canvas, left + _SIDE)
    _panel(canvas, (worker_x, worker_y), (target_x, target_y), intercepted)
    return canvas.to_array()


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
    text, colour = ("intercepted", _GREEN) if intercepted else ("no touch", _MUTED)
    canvas.text(x, 210, text, 16, colour, bold=bool(intercepted))
