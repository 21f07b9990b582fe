"""`benchmarks.rules`: the control laws are those of the oracles, and what they return is measured."""

import json

import jax
import numpy as np
import pytest
from reference.rocket_landing import RocketLanding as Oracle
from reference.rocket_landing import controller

import jaxenvs
from benchmarks import common, rules


def test_the_rocket_descends_by_the_controller_of_the_oracle():
    env = jaxenvs.RocketLanding()
    obs = np.random.default_rng(0).uniform(-1, 1, (100, 9)).astype(np.float32)
    expected = np.clip(controller(obs.astype(np.float64), Oracle()), -1, 1)
    np.testing.assert_allclose(rules.descend(env, obs), expected, rtol=1e-4, atol=1e-4)


def test_returns_are_written_with_their_rule(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    rows = rules.main(["--env", "HeartPole-v0", "--episodes", "4"])
    means = {row["rule"]: row["mean"] for row in rows}
    # The penalty of sleeping is certain: 100 * 1000 * sigmoid(-6) / 2, less what waking well earns.
    assert means["sleep, always"] == pytest.approx(-123.58, abs=0.1) and means["coffee, always"] < -1000
    stored = json.loads((tmp_path / "rules.json").read_text())["rows"]
    assert [row["rule"] for row in stored] == list(rules.RULES["HeartPole-v0"])


def test_the_pd_law_presses_against_position_and_velocity():
    thrust = rules.pd(4.0, 2.0)(jaxenvs.SimpleRocket(), jax.numpy.array([[0.1, 0.05], [-1.0, 0.0]]))
    np.testing.assert_allclose(thrust, [[-0.5], [1.0]], rtol=1e-6)
