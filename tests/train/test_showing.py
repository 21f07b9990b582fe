"""`jaxenvs record` and `jaxenvs watch`."""

import pytest
from PIL import Image

from jaxenvs.__main__ import main
from train import showing
from train.runs import checkpoint, run
from train.runs.plan import claim, write_plan
from train.showing import is_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from train.__main__ import _parser
    from train.commands import plan_of
    from train.runs.programs import ALGORITHMS

    options = ["ppo", "--env", "CartPole-v1", "--num-envs", "8", "--num-steps", "16", "--hidden", "8", "--set"]
    plan, _ = plan_of(_parser().parse_args([*options, "max_episode_steps=30"]))
    path = tmp_path_factory.mktemp("runs") / "cart"
    claim(path)
    write_plan(plan, path)
    checkpoint.save(path / run.STATE, ALGORITHMS["ppo"].init(plan.config, plan.training_envs(), plan.key(0)))
    return path


@pytest.mark.parametrize("more", [[], ["--random"], ["--untrained"], ["--set", "gravity=5.0"]], ids=str)
def test_a_run_is_filmed(folder, tmp_path, capsys, more):
    assert main(["record", str(folder), "--to", str(tmp_path / "a.gif"), "--episodes", "1", *more]) == 0
    label = {"--random": "random", "--untrained": "untrained"}.get(more[0] if more else "", "trained")
    assert f"a.gif: {label} policy" in capsys.readouterr().err
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames > 5  # pyright: ignore[reportAttributeAccessIssue]
        assert film.size == (600, 360)


def test_an_id_is_filmed_with_random_actions_and_the_seed_decides_them(tmp_path, capsys):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        arguments = ["record", "MountainCar-v0", "--to", str(tmp_path / f"{name}.mp4"), "--seed", str(seed)]
        assert main([*arguments, "--episodes", "1", "--set", "max_episode_steps=20"]) == 0
    first, again, other = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["HartPole-v0", "--to", "a.gif"], "nearest: HeartPole-v0"),
        (["my/run", "--to", "a.gif"], "error: no such folder, and unknown environment id 'my/run'; "),
        (["CartPole-v1", "--to", "a.avi"], "must end in .mp4 or .gif, got 'a.avi'"),
        (["CartPole-v1", "--to", "no/a.gif"], "there is no folder no"),
        (["CartPole-v1", "--to", "a.gif", "--untrained"], "--untrained needs a run's folder, got CartPole-v1"),
        (["CartPole-v1", "--to", "a.gif", "--episodes", "0"], "--episodes must be at least 1, got 0"),
        (["CartPole-v1", "--to", "a.gif", "--set", "mass=1"], "no constant 'mass'"),
        (["runs/none", "--to", "a.gif"], "runs/none holds no run: there is no such folder"),
    ],
)
def test_what_cannot_be_filmed_is_one_sentence(empty_folder, capsys, arguments, said):
    assert main(["record", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and list(empty_folder.iterdir()) == []


def test_a_folder_is_a_run_and_an_entry_is_not(tmp_path):
    assert is_run(str(tmp_path)) and is_run("runs/HeartPole-v0-ppo-1")
    assert not is_run("HeartPole-v0") and not is_run("my_env.py:MyEnv") and not is_run("tests/Flat-v0")


@pytest.mark.parametrize("more", [[], ["--stochastic"], ["--set", "gravity=5.0"]], ids=str)
def test_an_agent_is_watched_episode_after_episode_until_the_window_is_closed(folder, monkeypatch, capsys, more):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    games, run = [], showing.play.run
    monkeypatch.setattr(showing.play, "run", lambda *args, **kwargs: (games.append(args[1]), run(*args, **kwargs)))

    def wait(self, fps):
        assert fps == 8
        if games[0].episode == 3:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    monkeypatch.setattr(showing.Window, "wait", wait)
    assert main(["watch", str(folder), "--fps", "8", *more]) == 0
    (game,) = games
    assert len(game.scores) == 2 and all(5 < score <= 30 for score in game.scores)
    assert game.env.gravity == (5.0 if "gravity=5.0" in more else 9.8)
    assert capsys.readouterr().err == f"{folder}: 2 episodes were watched to their end\n"


def test_what_cannot_be_watched_is_one_sentence(folder, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    for arguments, said in (
        ([str(folder)], "there is no display for a window"),
        ([str(folder), "--fps", "0"], "fps must be at least 0.1 and at most 1000, got 0"),
        (["runs/none"], "runs/none holds no run: there is no such folder"),
    ):
        assert main(["watch", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
