"""`jaxenvs play`: a window in which a person plays an environment; and the loop that shows an agent in one."""

import contextlib
import statistics

import jax
import numpy as np

from jaxenvs.controls import controls
from jaxenvs.core import Environment
from jaxenvs.registry import make_vec
from jaxenvs.render import film
from jaxenvs.render.caption import NARROWEST, STRIP, captioned, page
from jaxenvs.render.window import Window

#: Environments of at most this rate wait for a key or a click at each step.
SLOW = 10
# Pictures per second while a game waits.
_POLLS = 30
_KEYS = [("space", "pause"), ("return", "restart, or the next episode"), ("f1", "this help"), ("escape", "close")]


def play(env_id, *, seed=0, fps=None, record=None, **constants):
    """Opens a window in which a person plays an environment, until it is closed.

    Args:
        env_id: a registered id, the location of a class, or an `Environment`.
        seed: of the episodes.
        fps: steps per second, 0 to wait for a key or a click at each; by default 0 where `render_fps` is at most 10,
            and `render_fps` elsewhere.
        record: the film of what is played, ending in .mp4 or .gif; none by default.
        constants: constants that differ from the defaults, and `max_episode_steps`.
    Returns:
        The scores of the episodes that ended, a list of floats.
    Raises:
        ValueError, TypeError: as `make_vec`; for an environment without a picture or keys; for a negative `fps`; for a
            film of another ending.
        ImportError: if pygame or what writes the film is not installed.
        OSError: if there is no display, or the film cannot be written.
    """
    envs = make_vec(env_id, 1, **constants)
    env = envs.env
    check_picture(env)
    fps = (0 if env.render_fps <= SLOW else env.render_fps) if fps is None else checked_fps(fps)
    player = controls(env, fps)
    if record is not None:
        film.check_name(record)
    game = Game(env, envs.max_episode_steps, seed)
    window = Window(f"{type(env).__name__} (jaxenvs)")
    with contextlib.closing(window), contextlib.ExitStack() as stack:
        keep = stack.enter_context(film.recording(record, fps=env.render_fps)) if record is not None else None
        run(window, game, player, fps=fps or _POLLS, keep=keep)
    return game.scores


class Game:
    """One environment and its running episode.

    Args:
        env: an `Environment` with a picture.
        limit: the time limit, steps, or None.
        seed: of the episodes.
    """

    def __init__(self, env, limit, seed):
        self.env, self._limit = env, limit
        self._key = jax.random.key(seed)
        self.episode, self.scores = 0, []
        self.reset()

    def reset(self):
        """Starts the next episode."""
        self.episode_key = jax.random.fold_in(self._key, self.episode)
        self.episode += 1
        self.state, self.obs = self.env.reset(self.episode_key)
        self.steps, self.reward, self.score, self.over = 0, None, 0.0, False

    def step(self, action):
        """Makes a step, where the episode is not over."""
        self.steps += 1
        key = jax.random.fold_in(self.episode_key, self.steps)
        self.state, step = self.env.step(key, self.state, action)
        self.obs, self.reward = step.obs, float(step.reward)
        self.score += self.reward
        self.over = bool(step.terminated) or self.steps == self._limit
        if self.over:
            self.scores.append(self.score)

    def frame(self, note):
        """The picture of the state below its text, with a note for the player."""
        mean = f", mean of {len(self.scores)}: {statistics.fmean(self.scores):.1f}" if self.scores else ""
        picture = self.env.render(jax.tree.map(np.asarray, self.state))
        self.width = picture.shape[1]
        return captioned(picture, f"episode {self.episode}{mean}   {note}", self.steps, self.reward, self.score)


def run(window, game, player, *, fps, keep=None, hold=None):
    """Shows a game until the window is closed.

    Args:
        window: a `Window`.
        game: a `Game`.
        player: as `controls` returns.
        fps: rounds per second, each of at most one step.
        keep: what takes each new frame of a film; none by default.
        hold: seconds for which the end of an episode is shown before the next one; by default it waits for a key.
    """
    screen, ended = _Screen(window, game, player, keep), 0
    screen.draw()
    while all([screen.take(event) for event in window.events()]):
        ended = ended + 1 if game.over else 0
        if hold is not None and ended > hold * fps:
            screen.restart()
        elif not (game.over or screen.paused or screen.helping):
            action = player.action(game)
            if action is not None:
                game.step(action)
        screen.draw()
        window.wait(fps)


class _Screen:
    """What is in the window, and what a person does to it."""

    def __init__(self, window, game, player, keep):
        self._window, self._game, self._player, self._keep = window, game, player, keep
        self.paused = self.helping = False
        self._drawn, self._frame = None, np.zeros((0, 0, 3), np.uint8)

    def take(self, event):
        """Does what an event asks for; False if that is to close the window."""
        key = event.key if event.kind == "down" else ""
        self.paused ^= key == "space"
        self.helping ^= key == "f1"
        if key == "return":
            self.restart()
        self._player.feed(event._replace(place=self._in_picture(event.place)))
        return event.kind != "close" and key != "escape"

    def restart(self):
        self._game.reset()
        self._player.clear()

    def draw(self):
        """Draws what has changed; each new frame of the game goes into the film."""
        moment = self._game.episode, self._game.steps, self.paused, self.helping
        if moment == self._drawn:
            return
        if self._drawn is None or moment[:2] != self._drawn[:2] or self.paused != self._drawn[2]:
            self._frame = self._game.frame(self._note())
        if self._keep and (self._drawn is None or moment[:2] != self._drawn[:2]):
            self._keep(self._frame)
        self._drawn = moment
        rows = [*self._player.help, *_KEYS]
        self._window.show(page(self._frame.shape[:2], "keys", rows) if self.helping else self._frame)

    def _note(self):
        if self._game.over:
            return "the end: press return"
        return "paused: press space" if self.paused else "F1: help"

    def _in_picture(self, place):
        """The place in the picture of a place in the window, which has text above it, and sides if it is narrow."""
        if not place:
            return place
        width = self._frame.shape[1]
        side = (width - self._game.width) // 2 if width == NARROWEST else 0
        return place[0] - side, place[1] - STRIP


def check_picture(env):
    """Refuses an environment without a picture, with a ValueError."""
    if type(env).render is Environment.render:
        raise ValueError(f"{type(env).__name__} has no picture: it does not define render(state)")


def checked_fps(fps, least=0.0):
    """Steps per second; a ValueError for less than `least`, and for more than 1000."""
    if not least <= fps <= 1000:
        raise ValueError(f"fps must be at least {least:g} and at most 1000, got {fps:g}")
    return fps
