"""`jaxenvs play` and `jaxenvs watch`: keys, clicks and the agent of a run, in a window without a screen."""

# Spaces may be plain class attributes.
# pyright: reportAssignmentType=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageSequence

import jaxenvs
from jaxenvs import controls, play
from jaxenvs.__main__ import main
from jaxenvs.render import window
from jaxenvs.render.window import Event

pygame = pytest.importorskip("pygame")


class State(NamedTuple):
    x: jax.Array
    y: jax.Array


class Walk(jaxenvs.Environment):
    """Walks by any strength on two axes; ends beyond 5."""

    max_episode_steps = 8
    render_fps = 20
    pace: float = 1.0
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, key):
        state = State(jnp.float32(0.0), jnp.float32(0.0))
        return state, jnp.stack(state)

    def step(self, key, state, action):
        after = State(state.x + self.pace * action[0], state.y + self.pace * action[1])
        return after, jaxenvs.Step(jnp.stack(after), after.x, after.x > 5.0)

    def render(self, state):
        return np.full((40, 60, 3), int(100 + state.x), np.uint8)


class Turns(Walk):
    """Three named choices, one at a time."""

    render_fps = 5
    action_space = gymnasium.spaces.Discrete(3)

    def step(self, key, state, action):
        after = State(state.x + action.astype(jnp.float32), state.y + 1.0)
        return after, jaxenvs.Step(jnp.stack(after), after.x, after.x > 5.0)


@pytest.fixture
def screen(monkeypatch):
    """A function that plays a script in a window that nobody sees: {round: events posted in it}."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown = []

    def scripted(script):
        rounds = itertools.count()

        def wait(self, fps):
            for event in script.get(next(rounds), []):
                pygame.event.post(event)

        monkeypatch.setattr(window.Window, "wait", wait)
        show = window.Window.show
        monkeypatch.setattr(window.Window, "show", lambda self, picture: (shown.append(picture), show(self, picture)))
        return shown

    yield scripted
    pygame.display.quit()


def code(name):
    return getattr(pygame, f"K_{name if len(name) == 1 else name.upper()}")


def down(name):
    return pygame.event.Event(pygame.KEYDOWN, key=code(name))


def up(name):
    return pygame.event.Event(pygame.KEYUP, key=code(name))


def click(x, y):
    return pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=(x, y))


def drag(x, y):
    return pygame.event.Event(pygame.MOUSEMOTION, buttons=(1, 0, 0), pos=(x, y), rel=(1, 1))


CLOSE = pygame.event.Event(pygame.QUIT)


@pytest.fixture
def games(monkeypatch):
    """The games that are played."""
    made, init = [], play.Game.__init__
    monkeypatch.setattr(play.Game, "__init__", lambda self, *args: (made.append(self), init(self, *args))[1])
    return made


def test_each_key_is_a_step_of_an_environment_that_waits(screen, games):
    screen({1: [down("c"), up("c")], 4: [down("s"), up("s"), down("n")], 9: [CLOSE]})
    assert play.play("HeartPole-v0") == []
    (game,) = games
    assert game.steps == 3 and float(game.state.time_elapsed) == 16 + 3
    assert int(game.state.last_action) == 0


def test_a_held_key_acts_at_each_step_and_the_last_one_goes_on_where_nothing_is_idle(screen, games):
    screen({2: [down("d")], 5: [up("d")], 7: [CLOSE]})
    play.play("CartPole-v1", seed=1)
    (game,) = games
    # Nothing moves before the first key; then each round is a step to the right.
    assert game.steps == 5 and float(game.state.velocity) > 0.9


def test_arrows_gain_strength_and_letters_have_it_at_once(screen, games):
    screen({0: [down("right")], 2: [up("right")], 30: [CLOSE]})
    play.play(Walk())
    (game,) = games
    assert float(game.state.x) > 0 and float(game.state.y) == 0
    stick = controls.controls(Walk(), 20)
    stick.feed(Event("down", "right"))
    strengths = [stick.action(None)[0] for _ in range(8)]
    assert 0 < strengths[0] < strengths[1] < 1 and strengths[-1] == 1
    stick.feed(Event("up", "right"))
    assert 0 < stick.action(None)[0] < 1
    rocket = controls.controls(jaxenvs.SimpleRocket(), 50)
    rocket.feed(Event("down", "a"))
    assert rocket.action(None) == [-1.0]


def test_the_mouse_moves_the_worker_to_the_place_of_the_click(screen, games):
    # The square is 288 pixels for 50 of the environment; it begins 16 pixels from the left and 16 + 40 from the top.
    screen({1: [click(16 + 58, 56 + 145)], 3: [drag(16 + 173, 56 + 116)], 5: [CLOSE]})
    play.play("PointInterceptRandom-v0", seed=3)
    (game,) = games
    assert game.steps == 2 and (int(game.state.worker_x), int(game.state.worker_y)) == (30, 20)


def test_a_click_outside_the_square_is_no_step(screen, games):
    screen({1: [click(420, 200)], 3: [CLOSE]})
    play.play("PointIntercept-v0")
    assert games[0].steps == 0


def test_pause_stops_time_and_return_restarts(screen, games):
    screen({0: [down("right")], 3: [down("space")], 6: [down("space")], 8: [down("return")], 9: [CLOSE]})
    play.play(Walk())
    (game,) = games
    assert game.episode == 2 and game.steps < 3


def test_help_lists_the_keys_and_stops_time(screen, games):
    shown = screen({1: [down("f1")], 4: [down("f1")], 6: [CLOSE]})
    play.play("MountainCar-v0")
    assert len(shown) == 6 and {picture.shape for picture in shown} == {shown[0].shape}
    first, _, _, page, *_ = shown
    assert (page != first).any(axis=-1).mean() > 0.9 and games[0].steps == 4
    names = dict(controls.controls(jaxenvs.HeartPole(), 0).help)
    assert names["c"] == "1: coffee: more alertness, more hypertension" and names["s"].startswith("3: sleep")


def test_an_episode_ends_with_its_score_and_waits_for_the_next(screen, games):
    screen({0: [down("right")], 20: [down("return")], 21: [CLOSE]})
    (score,) = play.play(Walk(pace=3.0))
    assert score > 5 and games[0].episode == 2


def test_digits_choose_where_a_class_names_no_keys(screen, games):
    screen({0: [down("3")], 1: [up("3"), down("1")], 3: [CLOSE]})
    play.play(Turns())
    assert (float(games[0].state.x), float(games[0].state.y)) == (2.0, 2.0)


def test_constants_and_the_time_limit_can_be_set_from_the_command_line(screen, games, capsys):
    screen({0: [down("d")], 9: [CLOSE]})
    assert main(["play", "CartPole-v1", "--set", "gravity=5.0", "--set", "max_episode_steps=4"]) == 0
    assert games[0].env.gravity == 5.0 and games[0].steps == 4
    assert capsys.readouterr().out == "scores: 4\n"


def test_an_environment_of_ones_own_file_is_played_and_recorded(screen, games, empty_folder, capsys):
    assert main(["new", "my_env.py"]) == 0
    screen({1: [down("1"), up("1")], 6: [CLOSE]})
    assert main(["play", "my_env.py:MyEnv", "--record", "film.gif", "--fps", "0"]) == 0
    with Image.open("film.gif") as film:
        assert len(list(ImageSequence.Iterator(film))) == games[0].steps + 1 == 2


def test_a_film_has_a_frame_for_each_step(screen, tmp_path):
    import imageio_ffmpeg

    screen({0: [down("right")], 12: [CLOSE]})
    play.play(Walk(), record=tmp_path / "film.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "film.mp4")[0] == 9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["CartPole-v7"], "unknown environment id 'CartPole-v7'"),
        (["CartPole-v1", "--set", "mass=3"], "no constant 'mass'"),
        (["CartPole-v1", "--fps", "-1"], "fps must be at least 0 and at most 1000, got -1"),
        (["CartPole-v1", "--record", "a.avi"], "must end in .mp4 or .gif"),
    ],
)
def test_what_cannot_be_played_is_one_sentence(capsys, arguments, said):
    assert main(["play", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and said in line


def test_without_pygame_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pygame", None)
    assert main(["play", "CartPole-v1"]) == 1
    assert capsys.readouterr().err == 'error: a window needs pygame-ce: pip install "jaxenvs[play]"\n'


def test_without_a_display_it_says_so(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    pygame.display.quit()
    assert main(["play", "CartPole-v1"]) == 1
    assert "error: there is no display for a window" in capsys.readouterr().err


def test_every_environment_can_be_played():
    for id in jaxenvs.registry:
        env = jaxenvs.make(id)
        for fps in (0, 30):
            player = controls.controls(env, fps)
            keys = [keys for keys, _ in player.help if keys != "mouse"]
            assert keys, id
            player.feed(Event("down", keys[0].split(" + ")[0]))
            assert env.action_space.contains(np.asarray(player.action(None), env.action_space.dtype)), id


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
def test_a_person_plays_in_a_real_window(tmp_path):
    """Keys and a click are sent by the X server; what they did is seen in the states; the window is closed."""
    code = (
        "import jaxenvs.play as p\n"
        "step, show = p.Game.step, p.Window.show\n"
        "p.Game.step = lambda self, action: (step(self, action), print(self.state.worker_x, self.state.worker_y))\n"
        "p.Window.show = lambda self, picture: (show(self, picture), print(self._screen.get_size()))\n"
        "p.play('PointInterceptRandom-v0', seed=1); print('closed')\n"
    )
    display = f":{os.getpid() % 10_000 + 100}"
    environment = {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11", "SDL_VIDEO_WINDOW_POS": "0,0"}
    server = subprocess.Popen(["Xvfb", display, "-screen", "0", "800x600x24"], stderr=subprocess.DEVNULL)
    played = subprocess.Popen(
        [sys.executable, "-u", "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # A killed process prints nothing more, so that no line is waited for longer.
    watchdog = threading.Timer(60, played.kill)
    watchdog.start()

    def send(*arguments):
        """Sends something by the X server; returns the next line that the game prints."""
        time.sleep(0.3)
        subprocess.run(["xdotool", *arguments], env=environment, check=True)
        return played.stdout.readline().strip()

    try:
        assert played.stdout.readline() == "(440, 360)\n"
        # Without a window manager, keys go to the window below the mouse.
        assert send("mousemove", "100", "200", "key", "q") == "8 8"
        assert played.stdout.readline() == "(440, 360)\n"
        assert send("mousemove", str(16 + 145), str(56 + 73), "click", "1") == "25 12"
        assert played.stdout.readline() == "(440, 360)\n"
        assert send("key", "Escape") == "closed"
        assert played.wait(30) == 0
    finally:
        watchdog.cancel()
        played.kill()
        played.communicate()
        server.terminate()
        server.wait()
