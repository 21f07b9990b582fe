"""Every file of `examples/` runs, with small numbers, and does what it says."""

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def as_a_user_has_it(quick_compiles):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def example(name, *arguments):
    """What a file's `main` returns; the file is a module, so that its classes pickle."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([*arguments])


def test_a_batch_plays():
    assert example("batch", "--num-envs", "4", "--steps", "60").reward.shape == (60, 4)


def test_an_own_scan_steps_each_person():
    scores = example("own_scan", "--people", "3", "--steps", "5")
    assert scores.shape == (3, 5) and len(np.unique(scores)) == 15


def test_gymnasium_is_played_alone_and_in_a_batch():
    returns, attacks = example("gymnasium_loop", "--episodes", "2", "--steps", "40")
    assert len(returns) == 2 and min(returns) > 5 and attacks.shape == (8,) and attacks[0] == 0 < attacks[-1]


def test_stable_baselines_learns():
    pytest.importorskip("stable_baselines3")
    assert example("sb3", "--num-envs", "8", "--updates", "1") > 5


def test_an_environment_of_ones_own_is_checked_and_trained(capsys):
    metrics = example("own_environment", "--num-envs", "8", "--updates", "11")
    assert "keeps every rule" in capsys.readouterr().out
    assert metrics.return_sum.shape == (11,) and metrics.episodes.sum() >= 8


def test_a_population_has_a_return_for_each_rate_and_seed():
    last = example("population", "--num-envs", "4", "--updates", "2", "--seeds", "2", "--rates", "1e-3", "1e-2", "1e-1")
    assert last.shape == (3, 2)


def test_the_gradient_leads_the_rocket_home():
    costs = example("rocket_gradient", "--steps", "300", "--iterations", "30")
    assert len(costs) == 30 and costs[-1] < 0.7 * costs[0]


def test_main_trains_saves_loads_and_films(tmp_path):
    tiny = ["--total-steps", "256", "--num-envs", "8", "--num-steps", "16", "--epochs", "1", "--minibatches", "2"]
    figures = example(
        "main", "--out", str(tmp_path / "run"), "--episodes", "2", "--", *tiny, "--hidden", "8", "--quiet",
        "--episodes", "2", "--devices", "1",
    )  # fmt: skip
    assert figures["episodes"] == 2 and (tmp_path / "run" / "agent.mp4").stat().st_size > 1000


def test_each_file_is_tested_and_listed():
    files = {path.stem for path in EXAMPLES.glob("*.py")}
    tested = {name for name in files if f'"{name}"' in Path(__file__).read_text()}
    assert files == tested and all(f"[{name}.py]" in (EXAMPLES / "README.md").read_text() for name in files)
