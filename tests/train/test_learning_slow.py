"""Whole runs of the presets: `--env` alone reaches the figures that the README gives."""

import numpy as np
import pytest

from train.__main__ import main
from train.runs import run
from train.runs.log import read_rows
from train.runs.plan import read_plan

pytestmark = pytest.mark.slow

# Sleeping at every step gives -123.58; the optimum is -123.31.
HEARTPOLE_GOAL = -123.35
ROCKET_GOAL = 725.0


def trained(tmp_path_factory, env_id):
    folder = tmp_path_factory.mktemp(env_id) / "run"
    assert main(["ppo", "--env", env_id, "--out", str(folder), "--film-episodes", "0", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def heartpole(tmp_path_factory):
    return trained(tmp_path_factory, "HeartPole-v0")


@pytest.fixture(scope="module")
def rocket(tmp_path_factory):
    results, _ = run.evaluate_run(*run.read(trained(tmp_path_factory, "SimpleRocket-v0")), episodes=4096, seed=1)
    return results


def test_heartpole_reaches_its_goal_before_the_middle_and_holds_it_to_the_end(heartpole):
    # While the policy still explores, it comes and goes: evaluations are greedy.
    rows = read_rows(heartpole / "metrics.jsonl")
    assert all(row["eval_mean"] >= HEARTPOLE_GOAL for row in rows if row["steps"] >= 3_000_000)


def test_heartpole_curve_is_evaluated_without_noise(heartpole):
    plan = read_plan(heartpole)
    assert plan.curve_as_trained and plan.training == {"expected_penalty": True}


def test_heartpole_mean_over_exact_episodes_is_the_noise_free_return(heartpole):
    plan, state = run.read(heartpole)
    _, exact = run.evaluate_run(plan, state, episodes=16_384, seed=1)
    _, expected = run.evaluate_run(plan, state, episodes=16_384, seed=1, constants={"expected_penalty": True})
    assert expected["mean"] >= HEARTPOLE_GOAL
    assert exact["mean"] == pytest.approx(expected["mean"], abs=2 * exact["standard_error"])


def test_rocket_reaches_its_goal(rocket):
    assert np.mean(rocket.episode_return) >= ROCKET_GOAL


def test_rocket_ends_near_the_origin_in_99_of_100_episodes(rocket):
    assert np.mean(np.abs(np.asarray(rocket.final_obs)[:, 0]) <= 0.1) >= 0.99
