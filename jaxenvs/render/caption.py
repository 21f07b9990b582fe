"""Text around the pictures of an environment, for films and windows."""

import numpy as np

from jaxenvs.render.canvas import Canvas, number

#: Height of the strip of text, pixels, and the least width of a picture below it.
STRIP, NARROWEST = 40, 300
_INK, _WHITE, _MUTED = (32, 38, 50), (255, 255, 255), (190, 200, 215)


def captioned(picture, title, step, reward, episode_return):
    """A picture below two lines of text.

    Args:
        picture: uint8[height, width, 3]; a narrow one gets white sides.
        title: the first line.
        step: of the episode, from 0.
        reward: of the last step, or None before the first.
        episode_return: sum of the rewards so far.
    Returns:
        uint8[height + 40, at least 300, 3].
    """
    side = max(0, NARROWEST - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (side // 2, side - side // 2), (0, 0)), constant_values=255)
    canvas = Canvas(picture.shape[1], STRIP, _INK)
    canvas.text(8, 11, title, 13, _WHITE)
    shown = "" if reward is None else f"reward {number(reward)}   "
    canvas.text(8, 29, f"step {step}   {shown}return {number(episode_return)}", 13, _MUTED)
    return np.concatenate([canvas.to_array(), picture])


def page(shape, title, rows):
    """A page of text of the size of a picture: a title, and rows of two cells.

    Args:
        shape: (height, width) of the page, pixels.
        title: the first line.
        rows: sequence of (left, right).
    Returns:
        uint8[height, width, 3].
    """
    height, width = shape
    canvas = Canvas(width, height, _INK)
    size = min(13.0, (height - 12) / (len(rows) + 2) / 1.3)
    canvas.text(8, 6 + size, title, size + 2, _WHITE)
    for index, (left, right) in enumerate(rows):
        y = 6 + 1.3 * size * (index + 2)
        canvas.text(12, y, left, size, _WHITE)
        canvas.text(width * 0.32, y, right, size, _MUTED)
    return canvas.to_array()
