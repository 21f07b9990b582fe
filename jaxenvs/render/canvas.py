"""Flat shapes on a small raster, antialiased: used to draw the pictures of environments.

Coordinates are floats in pixels of the finished picture, x to the right and y down. A colour is
(red, green, blue) or (red, green, blue, opacity), each 0 to 255.
"""

import functools
import itertools
import math
import operator

import numpy as np

_SCALE = 2
#: The largest width and height, pixels.
_LARGEST = 16_384


def _explained(method):
    """A method of `Canvas` whose wrong arguments are named: Pillow's errors do not say where they come from."""

    @functools.wraps(method)
    def drawn(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except (TypeError, ValueError, OverflowError, AttributeError, IndexError, OSError, SystemError) as error:
            given = ", ".join([*map(_shown, args), *(f"{name}={_shown(value)}" for name, value in kwargs.items())])
            raise ValueError(
                f"Canvas.{method.__name__.strip('_')}: positions must be finite numbers of pixels, and colours (red, "
                f"green, blue) or (red, green, blue, opacity), each 0 to 255; got {given}"
            ) from error

    return drawn


class Canvas:
    """A raster to draw on, at twice the size of the final picture.

    Args:
        width, height: size of the picture, pixels.
        background: the colour, or another canvas of the same size whose content is copied.
    Raises:
        ValueError: for a size that is not an integer from 1 to 16384, and for what is no colour.
        ImportError: if Pillow is not installed.
    """

    def __init__(self, width, height, background=(255, 255, 255)):
        image_module, draw_module, _ = _pillow()
        for name, size in (("width", width), ("height", height)):
            if not 1 <= _integer(size) <= _LARGEST:
                raise ValueError(f"Canvas: {name} must be an integer from 1 to {_LARGEST}, got {_shown(size)}")
        if not isinstance(background, Canvas):
            background = _colour(background)
        self.width, self.height = width, height
        if isinstance(background, Canvas):
            self._image = background._image.copy()
        else:
            self._image = image_module.new("RGB", (width * _SCALE, height * _SCALE), background)
        self._opaque = draw_module.Draw(self._image)
        self._blending = draw_module.Draw(self._image, "RGBA")

    @_explained
    def rectangle(self, x0, y0, x1, y1, fill):
        """Fills the rectangle between two corners."""
        self._draw(fill).rectangle(_box(x0, y0, x1, y1), fill=fill)

    @_explained
    def rounded(self, x0, y0, x1, y1, radius, fill, outline=None, width=1.0):
        """Fills a rectangle with round corners, under an outline if one is given."""
        self._draw(fill).rounded_rectangle(
            _box(x0, y0, x1, y1), radius * _SCALE, fill=fill, outline=outline, width=_stroke(width)
        )

    @_explained
    def ellipse(self, x, y, radius_x, radius_y, fill, outline=None, width=1.0):
        """Fills an ellipse given by its centre and its two radii, under an outline if one is given."""
        box = _box(x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        self._draw(fill).ellipse(box, fill=fill, outline=outline, width=_stroke(width))

    @_explained
    def circle(self, x, y, radius, fill, outline=None, width=1.0):
        """Fills a circle given by its centre and its radius, under an outline if one is given."""
        self.ellipse(x, y, radius, radius, fill, outline, width)

    @_explained
    def line(self, points, fill, width=1.0):
        """Joins points, a sequence of (x, y), by strokes with round ends and corners."""
        draw = self._draw(fill)
        draw.line(_scaled(points), fill=fill, width=_stroke(width), joint="curve")
        if len(fill) == 3 and width > 1.5:
            for x, y in (points[0], points[-1]):
                self.circle(x, y, (_stroke(width) - 1) / (2 * _SCALE), fill)

    @_explained
    def polygon(self, points, fill):
        """Fills the polygon with the given corners, a sequence of (x, y)."""
        self._draw(fill).polygon(_scaled(points), fill=fill)

    @_explained
    def arc(self, x, y, radius_x, radius_y, start, end, fill, width=1.0):
        """Strokes a part of an ellipse, from `start` to `end` degrees, clockwise from 3 o'clock."""
        box = _box(x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        self._draw(fill).arc(box, start, end, fill=fill, width=_stroke(width))

    @_explained
    def text(self, x, y, text, size, fill, anchor="lm", bold=False):
        """Writes one line of ASCII.

        Args:
            x, y: the position of the anchor.
            size: of the font, pixels.
            anchor: Pillow's two letters, such as "lm" (left, middle), "mm", "rm", "ls" (left, baseline).
            bold: thickens the strokes.
        """
        at, font = (x * _SCALE, y * _SCALE), _font(size * _SCALE)
        self._draw(fill).text(at, text, fill=fill, font=font, anchor=anchor, stroke_width=int(bold))

    @_explained
    def bar(self, x0, y0, x1, y1, share, fill, track, start=0.0):
        """Fills a part of a round-ended track, for gauges.

        Args:
            share, start: the ends of the filled part, as shares of the length; clipped to [0, 1].
            fill, track: the two colours.
        """
        radius = (y1 - y0) / 2
        self.rounded(x0, y0, x1, y1, radius, track)
        low, high = sorted(min(max(end, 0.0), 1.0) for end in (start, share))
        if high > low:
            left, right = x0 + low * (x1 - x0), x0 + high * (x1 - x0)
            right = min(max(right, left + 2 * radius), x1)
            self.rounded(min(left, x1 - 2 * radius), y0, right, y1, radius, fill)

    def to_array(self):
        """The finished picture.

        Returns:
            uint8[height, width, 3].
        """
        return np.array(self._image.reduce(_SCALE))

    def _draw(self, fill):
        return self._blending if fill is not None and len(fill) == 4 else self._opaque


def mix(first, second, share):
    """The mix of two colours: `share`, clipped to [0, 1], of the way from the first to the second."""
    share = min(max(share, 0.0), 1.0)
    return tuple(round(a + share * (b - a)) for a, b in zip(first, second, strict=True))


def ramp(stops, position):
    """The colour at a position between stops of colour.

    Args:
        stops: sequence of (position, colour), positions rising.
        position: beyond the ends the colour is that of the end.
    """
    for (low, first), (high, second) in itertools.pairwise(stops):
        if position < high:
            return mix(first, second, (position - low) / (high - low))
    return stops[-1][1]


def around(x, y, radius, degrees):
    """The point (x, y) of a circle at an angle, clockwise from 12 o'clock."""
    angle = math.radians(degrees)
    return x + radius * math.sin(angle), y - radius * math.cos(angle)


def number(value, digits=2, sign=False):
    """Prints a number in at most eight characters: fewer decimals from 100 on, powers of ten from 100000 on.

    >>> number(-0.001), number(1.5, sign=True), number(-432.1, 3), number(123456.0)
    ('0.00', '+1.50', '-432.1', '1.2e+05')
    """
    plus = "+" if sign else ""
    if not abs(value) < 99_999.5:
        return f"{value:{plus}.1e}"
    digits = 0 if abs(value) >= 1000 else min(digits, 1) if abs(value) >= 100 else digits
    return f"{round(value, digits) + 0.0:{plus}.{digits}f}"


def _colour(given):
    numbers = [_integer(part) for part in given] if isinstance(given, tuple | list) else []
    if len(numbers) not in (3, 4) or not all(0 <= number <= 255 for number in numbers):
        raise ValueError(
            f"Canvas: background must be (red, green, blue), each 0 to 255, or a Canvas, got {_shown(given)}"
        )
    return tuple(numbers)


def _integer(value):
    """A value as an int; -1 if it is no integer."""
    try:
        return operator.index(value)
    except TypeError:
        return -1


def _shown(value):
    """A value in one short line."""
    return f"{' '.join(repr(value).split()):.80}"


@functools.cache
def _pillow():
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ImportError('pictures need Pillow: pip install "jaxenvs[play]"', name="PIL") from error
    return Image, ImageDraw, ImageFont


@functools.cache
def _font(size):
    return _pillow()[2].load_default(size)


def _box(x0, y0, x1, y1):
    left, top = x0 * _SCALE, y0 * _SCALE
    return left, top, max(left, x1 * _SCALE - 1), max(top, y1 * _SCALE - 1)


def _scaled(points):
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _stroke(width):
    return max(1, round(width * _SCALE))
