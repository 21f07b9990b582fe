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
from train import ppo
from train.reports import report
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


def counts(monkeypatch, tmp_path, num_steps, **constants):
    """What the pictures of a film show."""
    frames = []
    monkeypatch.setattr(report, "save_mp4", lambda given, path, fps: frames.extend(frame[0, 0, 0] for frame in given))
    monkeypatch.setattr(report, "save_gif", lambda given, path, fps: None)
    config = ppo.Config(num_envs=4, num_steps=8, hidden=(4,))
    plan = Plan(
        algorithm="ppo", env="Count-v0", constants=constants, training={}, curve_as_trained=False, config=config,
        total_steps=32, seed=0,
    )  # fmt: skip
    report.write_film(
        plan, ppo.init(config, plan.training_envs(), jax.random.key(0)), tmp_path, seed=0, num_steps=num_steps
    )
    return [int(frame) for frame in frames]


def test_a_film_shows_how_an_episode_ended_and_the_next_start(monkeypatch, tmp_path):
    # 0.8 s of 5 frames a second are 4 frames, and the episode has 3 steps.
    assert counts(monkeypatch, tmp_path, 5) == [10, 11, 12, 13, 13, 13, 10, 11, 12]


def test_a_film_shows_the_state_at_a_time_limit(monkeypatch, tmp_path):
    assert counts(monkeypatch, tmp_path, 7, end=100) == [10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 10, 11]


def test_the_end_of_an_episode_of_one_step_does_not_linger(monkeypatch, tmp_path):
    assert counts(monkeypatch, tmp_path, 2, end=11) == [10, 11, 10, 11, 10]
