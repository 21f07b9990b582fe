"""Sweeps on Ray Tune, on a cluster of worker processes; `make interop-ray` runs this where its library is installed."""

import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from pages import blocks

ray = pytest.importorskip("ray")

from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining

import jaxenvs
import train
from train import ppo
from train.runs import checkpoint
from train.sweeps import ray_tune
from train.sweeps.distributions import choice, grid, integer, loguniform, uniform
from train.sweeps.members import chunk_path, read_curves

ROOT = Path(__file__).parents[2]
CONFIG = {"num_envs": 4, "num_steps": 8, "segment": 4, "epochs": 1, "minibatches": 2, "hidden": (4,)}
TINY = {"config": CONFIG, "total_steps": 128, "evaluations": 4, "episodes": 4, "seeds": 1}
# The greedy policy of equal logits takes the first choice, so what pays is the score.
PAYMENT = {"env.payment": uniform(2.0, 3.0)}


class Kill(tune.Callback):
    """Kills the worker of the first trial after a result: once, or whenever there is one."""

    def __init__(self, always=False):
        self.killed, self._always = [], always

    def on_trial_result(self, iteration, trials, trial, result, **info):
        due = result["training_iteration"] == 2 and (self._always or not self.killed)
        if trial is trials[0] and due:
            self.killed.append(result["pid"])
            os.kill(result["pid"], signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def two_workers(compiled):
    variables = {
        "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "200", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(compiled), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def tuner(space, folder, **options):
    return ray_tune.tuner("ppo", "FiveChoices-v0", space, storage_path=str(folder), name="it", **{**TINY, **options})


def test_a_sweep_loses_nothing_with_a_worker_that_is_killed(tmp_path):
    kill, space = Kill(), {"learning_rate": loguniform(1e-3, 1e-2), **PAYMENT}
    results = tuner(space, tmp_path, trials=2, population=2, seeds=2, callbacks=[kill]).fit()
    (killed,) = kill.killed
    assert ray_tune.lost(results) == []
    assert [one.metrics["steps"] for one in results] == [128, 128]
    assert results[0].metrics["pid"] != killed
    found = ray_tune.ranking(results)
    assert [one.steps for one in found] == [128] * 4
    assert [one.score.score for one in found] == sorted((one.score.score for one in found), reverse=True)
    for one in found:
        np.testing.assert_allclose(one.values, one.setting["env.payment"], rtol=1e-6)
    # The members of the killed trial are what they would have been alone.
    agents = [train.load(one.checkpoint.path, member=one.members[-1]) for one in found]
    assert len({agent.plan.seed for agent in agents}) == 4
    alone = jax.jit(ppo.train, static_argnums=3)
    for agent in agents:
        env = jaxenvs.make(agent.plan.env, **agent.plan.constants)
        wanted = alone(agent.plan.config, env, agent.plan.key(agent.plan.seed), 4)[0]
        for x, y in zip(jax.tree.leaves(agent.state.params), jax.tree.leaves(wanted.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_a_trial_whose_worker_dies_too_often_is_named_and_the_others_go_on(tmp_path):
    results = tuner(PAYMENT, tmp_path, trials=2, max_failures=0, callbacks=[Kill(always=True)]).fit()
    (sentence,) = ray_tune.lost(results)
    assert sentence.startswith("trial 0 of 2 failed: ") and "its last checkpoint is " in sentence
    assert "\n" not in sentence and "died" in sentence
    assert results[1].metrics["steps"] == 128
    assert {one.steps for one in ray_tune.ranking(results)} >= {128}


def test_its_asha_stops_the_worse_trials(tmp_path):
    # A trial after the other, the best one first.
    results = tuner(
        {"env.payment": grid(3.0, 2.5, 2.0)}, tmp_path, trials=1, max_concurrent_trials=1,
        scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2),
    ).fit()  # fmt: skip
    found = {one.setting["env.payment"]: one.steps for one in ray_tune.ranking(results)}
    assert found == {3.0: 128, 2.5: 32, 2.0: 32}


def test_its_population_based_training_copies_the_better_with_other_values(tmp_path):
    space = {**PAYMENT, "learning_rate": loguniform(1e-3, 1e-2)}
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=1, quantile_fraction=0.5, synch=True,
        hyperparam_mutations=ray_tune.mutations("ppo", "FiveChoices-v0", space),
    )  # fmt: skip
    results = tuner(space, tmp_path, trials=2, scheduler=scheduler).fit()
    assert ray_tune.lost(results) == [] and scheduler._num_perturbations > 0
    found = ray_tune.ranking(results)
    assert len(found) == 2 and all(2.0 <= one.setting["env.payment"] <= 3.0 for one in found)
    assert all(one.steps == 128 for one in found)
    # The copy begins with the evaluations of the better one, and has random numbers of its own.
    firsts = [read_curves(chunk_path(one.checkpoint.path, 0)).returns[0] for one in found]
    assert firsts[0] == firsts[1] and found[0].setting != found[1].setting
    keys = [checkpoint.read_arrays(Path(one.checkpoint.path) / "states.npz")[".key"] for one in found]
    assert not np.array_equal(*keys)


def test_the_best_setting_is_trained_again_with_fresh_seeds_though_a_worker_is_killed(tmp_path):
    results = tuner(
        {"env.payment": grid(3.0, 2.5)}, tmp_path, trials=1, max_concurrent_trials=1, seeds=2,
        scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2),
    ).fit()  # fmt: skip
    kill = Kill()
    best, other = ray_tune.confirmed(results, seeds=3, callbacks=[kill])
    assert len(kill.killed) == 1
    assert [one.setting for one in (best, other)] == [one.setting for one in ray_tune.ranking(results)]
    assert other.fresh is None and (best.steps, best.fresh.steps, other.steps) == (128, 128, 32)
    assert best.fresh.setting == best.setting == {"env.payment": 3.0}
    np.testing.assert_allclose(best.fresh.values, [3.0] * 3, rtol=1e-6)
    agents = [
        train.load(one.checkpoint.path, member=member) for one in (best, other, best.fresh) for member in one.members
    ]
    assert len({agent.plan.seed for agent in agents}) == 2 + 2 + 3
    assert not (tmp_path / "it" / "it-confirmed").exists() and (tmp_path / "it-confirmed").is_dir()


def test_fresh_seeds_get_the_values_of_a_population_when_it_had_them(tmp_path):
    space = {**PAYMENT, "learning_rate": loguniform(1e-3, 1e-2)}
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=1, quantile_fraction=0.5, synch=True,
        hyperparam_mutations=ray_tune.mutations("ppo", "FiveChoices-v0", space),
        # The copy is better than its source, so that the best one has had several values.
        custom_explore_fn=lambda config: {**config, "env.payment": config["env.payment"] + 0.01},
    )  # fmt: skip
    found = ray_tune.confirmed(tuner(space, tmp_path, trials=2, scheduler=scheduler).fit(), seeds=2)
    best = found[0]
    assert len({one["env.payment"] for one in best.schedule}) > 1 and best.schedule[-1] == best.setting
    assert best.fresh.schedule == best.schedule
    # Each evaluation earns the payment of its interval.
    for one in (*found, best.fresh):
        returns = read_curves(chunk_path(one.checkpoint.path, 0)).returns
        wanted = [[values["env.payment"]] * len(one.members) for values in one.schedule]
        np.testing.assert_allclose(returns, wanted, rtol=1e-6)


def test_a_sweep_without_a_best_setting_is_not_confirmed(tmp_path):
    with pytest.raises(ValueError, match="seeds must be at least 1, got 0"):
        ray_tune.confirmed([], seeds=0)
    results = tuner({"learning_rate": grid(1e30)}, tmp_path, trials=1).fit()
    with pytest.raises(ValueError, match="it has no best setting: all runs diverged"):
        ray_tune.confirmed(results)


def test_members_that_diverge_rank_last_and_end_their_trial(tmp_path):
    rates = {"learning_rate": grid(1e30, 1e-3)}
    results = tuner(rates, tmp_path, trials=1).fit()
    assert ray_tune.lost(results) == []
    first, second = ray_tune.ranking(results)
    assert (first.setting, first.score.diverged) == ({"learning_rate": 1e-3}, 0)
    assert (second.setting, second.score.diverged) == ({"learning_rate": 1e30}, 1)
    assert second.steps < 128
    assert results.get_best_result().config == {"learning_rate": 1e-3}


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path))
    (block,) = blocks("sweeps.md", "ray")
    example = {}
    exec(compile(block, "sweeps.md", "exec"), example)
    assert [set(one.setting) for one in example["ranking"]] == [set(example["space"])] * 4
    assert {one.setting["hidden"] for one in example["ranking"]} <= {(8,), (8, 8)}
    assert np.isfinite(example["agent"].evaluate(4)["mean"])


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({}, {}, "the space is empty"),
        ({"gamma": uniform(0.9, 1.1)}, {}, "gamma must be .*got 1.1"),
        ({"minibatches": grid(2, 3)}, {}, "the setting minibatches=3: .*minibatches must divide"),
        ({"gamma": grid(0.9, 0.99)}, {"population": 2}, r"gamma=grid\(0.9, 0.99\): with a population of 2, grid"),
        (PAYMENT, {"population": 0}, "population must be at least 1, got 0"),
        (PAYMENT, {"metric": "least"}, "--metric must be"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(space, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        tuner(space, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_static_choices_are_not_mutated():
    space = {"activation": choice("tanh", "relu"), "epochs": integer(1, 2), "gamma": grid(0.9, 0.99)}
    found = ray_tune.mutations("ppo", "FiveChoices-v0", space, population=2)
    assert found.keys() == {"settings"} and {tuple(one) for one in found["settings"].values()} == {("gamma",)}
    with pytest.raises(ValueError, match="every parameter is static"):
        ray_tune.mutations("ppo", "FiveChoices-v0", {"activation": choice("tanh", "relu")})
