# Spaces may be plain class attributes.
# pyright: reportAssignmentType=false

from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.registry import registry
from jaxenvs.render import film
from jaxenvs.render.canvas import Canvas
from train import ppo
from train.reports import report
from train.reports.episodes import Frames, Part
from train.runs.plan import Plan


class State(NamedTuple):
    count: jax.Array


class Count(jaxenvs.Environment):
    """Counts from 10 to its end; its picture is the count."""

    max_episode_steps = 6
    render_fps = 5
    end: int = 13

    observation_space = gymnasium.spaces.Box(0.0, 100.0, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, key):
        return State(jnp.int32(10)), jnp.array([10.0])

    def step(self, key, state, action):
        state = State(state.count + 1)
        return state, jaxenvs.Step(state.count[None].astype(jnp.float32), jnp.float32(1), state.count >= self.end)

    def render(self, state):
        return np.full((4, 4, 3), state.count, np.uint8)


@pytest.fixture(autouse=True)
def count():
    jaxenvs.register("Count-v0", Count)
    yield
    del registry["Count-v0"]


PLAN = Plan(
    algorithm="ppo", env="Count-v0", constants={}, training={}, curve_as_trained=False,
    config=ppo.Config(num_envs=4, num_steps=8, hidden=(4,)), total_steps=32, seed=0,
)  # fmt: skip


def part(episodes=None, seconds=100.0, label="p"):
    return Part(label, lambda arguments, key, obs: jnp.zeros(obs.shape[:1], jnp.int32), None, episodes, seconds)


def counts(*parts, **constants):
    """What the pictures of a film show, below their text."""
    frames = Frames(Count(**constants), parts, jax.random.key(0), 6)
    return [int(frame[40, 150, 0]) for frame in frames]


def test_a_film_shows_entire_episodes_and_how_they_ended():
    # 0.8 s of 5 frames a second are 4 frames, and the episode has 3 steps.
    assert counts(part(2)) == 2 * [10, 11, 12, 13, 13, 13]


def test_a_film_shows_the_state_at_a_time_limit():
    assert counts(part(1), end=100) == [10, 11, 12, 13, 14, 15, 16, 16, 16, 16]


def test_the_end_of_an_episode_of_one_step_does_not_linger():
    assert counts(part(2), end=11) == [10, 11, 10, 11]


def test_parts_follow_each_other():
    assert counts(part(1), part(2), end=11) == [10, 11, 10, 11, 10, 11]


def test_as_many_episodes_as_fit_are_shown_and_at_most_five():
    assert counts(part(seconds=0.5), end=11) == [10, 11] * 2
    assert counts(part(seconds=100), end=11) == [10, 11] * 5


def test_an_episode_that_is_longer_than_the_budget_is_shown_faster_with_its_end():
    # Six steps are 1.2 s.
    assert counts(part(1, seconds=0.6), end=100) == [10, 12, 14, 16, 16, 16]


def test_the_text_says_the_policy_the_episode_the_step_the_reward_and_the_return(monkeypatch):
    texts = []
    monkeypatch.setattr(Canvas, "text", lambda self, x, y, text, *_: texts.append(text))
    counts(part(2, seconds=0.3, label="trained policy"))
    assert texts[:2] == ["trained policy, episode 1 of 2, 2x speed", "step 0   return 0.00"]
    assert texts[3::2][:2] == ["step 2   reward 1.00   return 2.00", "step 3   reward 1.00   return 3.00"]
    assert texts[6] == "trained policy, episode 2 of 2, 2x speed"


def test_a_film_of_a_run_shows_the_untrained_policy_first(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(report, "Frames", lambda env, parts, key, limit: seen.extend(parts) or [])
    monkeypatch.setattr(film, "save", lambda frames, path: path)
    state = PLAN.key(0), jnp.zeros(3)
    paths, problems = report.write_film(PLAN, state, tmp_path, seed=0)
    assert [part.label for part in seen] == ["untrained policy", "trained policy"] and not problems
    assert [path.name for path in paths] == ["film.gif", "film.mp4"]
    first = ppo.init(PLAN.config, PLAN.training_envs(), PLAN.key(0)).params.actor
    assert jax.tree.all(jax.tree.map(np.allclose, seen[0].arguments[2].params.actor, first))
    assert seen[1].arguments[2] is state


@pytest.mark.parametrize("broken", ["absent", "not a program", "fails"])
def test_without_an_ffmpeg_that_runs_the_gif_is_made_all_the_same(monkeypatch, tmp_path, broken):
    path = tmp_path / "ffmpeg"
    if broken != "absent":
        path.write_text("#!/bin/sh\nexit 3\n" if broken == "fails" else "nonsense")
        path.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
    assert set(film.missing()) == {".mp4"}
    state = ppo.init(PLAN.config, PLAN.training_envs(), PLAN.key(0))
    paths, (problem,) = report.write_film(PLAN, state, tmp_path, seed=0, episodes=1)
    assert [path.name for path in paths] == ["film.gif"] and paths[0].read_bytes().startswith(b"GIF89a")
    assert problem.startswith("film.mp4: an MP4 needs an ffmpeg that runs: ")
