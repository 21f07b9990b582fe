"""PointIntercept as the tutorial's example 2 plays it, with what pygame 2.1 makes of its circles and rectangles.

Source: "How to create a custom Reinforcement Learning Environment in Gymnasium with Ray". The circles are painted into
an array, and their rectangles read off it, so that nothing is assumed of how a picture's edge cuts them.
"""

import numpy as np


class PointIntercept:
    """One game, with the tutorial's numbers by default."""

    radius = 6
    touch_reward = 1.0
    miss_reward = -1.0
    random_target = False
    resolution = 50

    def __init__(self, **constants):
        for name, value in constants.items():
            if not hasattr(PointIntercept, name):
                raise TypeError(f"the tutorial has no {name}")
            setattr(self, name, value)

    def reset(self, target_x, target_y):
        """Starts a game; the two standard uniforms decide where the target is if it is random."""
        middle = int(self.resolution / 2)
        drawn = [int(uniform * self.resolution) for uniform in (target_x, target_y)]
        self.target = drawn if self.random_target else [middle, middle]
        # The rectangle keeps its size when it is moved, and it is moved before every comparison.
        _, _, width, height = self.draw_circle(*self.target)
        self.target_rect = (*self.target, width, height)
        return list(self.target)

    def step(self, action):
        """(obs, reward, terminated) of one place."""
        x, y = (int(place) for place in action)
        touched = collide(self.draw_circle(x, y), self.target_rect)
        return list(self.target), self.touch_reward if touched else self.miss_reward, touched

    def draw_circle(self, x, y):
        """(left, top, width, height) of the pixels of a circle that lie in the picture.

        pygame fills 2 * radius columns and rows: (x, y) is a corner between pixels, and not the middle of one.
        """
        pixels = np.arange(self.resolution) + 0.5
        near = (pixels[:, None] - x) ** 2 + (pixels[None, :] - y) ** 2 <= self.radius**2
        columns, rows = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1


def collide(one, other):
    """Whether two rectangles share a pixel."""
    return all(
        set(range(one[axis], one[axis] + one[axis + 2])) & set(range(other[axis], other[axis] + other[axis + 2]))
        for axis in (0, 1)
    )
