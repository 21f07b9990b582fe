"""A window that shows pictures, and what a person does in it."""

import os
from typing import Any, NamedTuple

import numpy as np

# A window is at least this wide, if an integer number of times the picture allows it.
_WIDTH = 600
# What SDL takes where there is no display: it shows nothing.
_UNSEEN = ("offscreen", "dummy")


class NoDisplayError(OSError):
    """There is no display for a window; the message is one sentence."""


class Event(NamedTuple):
    """What a person did."""

    #: "close", "down" and "up" of a key, "click" of the mouse's left button, and "drag" with it.
    kind: str
    #: The key's name, as pygame has it: "a", "left", "space"; "" for the mouse.
    key: str = ""
    #: (x, y) of the mouse, pixels of the picture.
    place: tuple = ()


class Window:
    """A window of the size of the first picture that it shows, or an integer multiple of it.

    Args:
        title: of the window.
    Raises:
        ImportError: if pygame is not installed.
        NoDisplayError: if there is no display.
    """

    def __init__(self, title):
        self._pygame = _pygame()
        self._screen: Any = None
        self._title, self._scale = title, 1
        _check_display(self._pygame)
        self._clock = self._pygame.time.Clock()

    def show(self, picture):
        """Shows a picture, uint8[height, width, 3]; all have the size of the first one."""
        pygame = self._pygame
        if self._screen is None:
            height, width, _ = picture.shape
            self._scale = max(1, round(_WIDTH / width))
            self._screen = pygame.display.set_mode((width * self._scale, height * self._scale))
            pygame.display.set_caption(self._title)
        # The first axis of pygame's surfaces is x.
        surface = pygame.surfarray.make_surface(np.swapaxes(picture, 0, 1))
        self._screen.blit(pygame.transform.scale(surface, self._screen.get_size()), (0, 0))
        pygame.display.flip()

    def events(self):
        """A list of `Event`: what happened since the last call, in order."""
        return [event for event in map(self._event, self._pygame.event.get()) if event]

    def wait(self, fps):
        """Waits until it is time for the next of `fps` pictures a second."""
        self._clock.tick(fps)

    def close(self):
        """Closes the window."""
        self._pygame.display.quit()

    def _event(self, event):
        pygame = self._pygame
        if event.type == pygame.QUIT:
            return Event("close")
        if event.type in (pygame.KEYDOWN, pygame.KEYUP):
            return Event("down" if event.type == pygame.KEYDOWN else "up", pygame.key.name(event.key))
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            return Event("click", place=self._place(event.pos))
        if event.type == pygame.MOUSEMOTION and event.buttons[0]:
            return Event("drag", place=self._place(event.pos))
        return None

    def _place(self, pos):
        return pos[0] / self._scale, pos[1] / self._scale


def missing():
    """Why no window can be opened here, in one sentence; None if one can."""
    try:
        _check_display(_pygame())
    except (ImportError, NoDisplayError) as error:
        return str(error)
    return None


def _check_display(pygame):
    """Starts the display; it stays as it is if it runs already."""
    try:
        pygame.display.init()
    except pygame.error as error:
        raise NoDisplayError(f"there is no display for a window ({error}): films need none") from error
    # SDL shows nothing without a display, and says nothing: only who asks for that wants it.
    wanted = os.environ.get("SDL_VIDEODRIVER") or os.environ.get("SDL_VIDEO_DRIVER")
    if pygame.display.get_driver() in _UNSEEN and not wanted:
        pygame.display.quit()
        raise NoDisplayError("there is no display for a window: start it where a screen is, or make a film")


def _pygame():
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise ImportError('a window needs pygame-ce: pip install "jaxenvs[play]"') from error
    return pygame
