"""What the benchmarks share, the matrix of stepping, and the table of the short set, on batches of four."""

# Spaces are plain class attributes.
# pyright: reportAssignmentType=false

import json
import platform
import sys
import types

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from benchmarks import __main__ as short_set
from benchmarks import calls, common, endurance, stepping
from benchmarks.peers import stepping as peers

KEY = ("id", "num_envs")


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """An empty folder of results, and no other devices than there are."""
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(stepping, "ask_for_devices", lambda count: None)
    monkeypatch.setattr(jaxenvs, "tune_cpu", lambda count: None)
    return tmp_path


@pytest.fixture
def short_calls(monkeypatch):
    monkeypatch.setattr(stepping, "steps_of_a_call", lambda num_envs: 3)


def rows_of(name):
    return (common.load(name) or {})["rows"]


def measured(*arguments):
    """The rows of the file after a run with these arguments."""
    stepping.main([*arguments, "--runs", "2", "--seconds", "0.001", "--devices", "1", "--name", "matrix"])
    return rows_of("matrix")


def test_rows_of_equal_key_are_replaced_and_others_stay():
    old = [{"id": "b", "num_envs": 8, "rate": 1}, {"id": "a", "num_envs": 64, "rate": 2}, {"id": "of an earlier form"}]
    new = [{"id": "b", "num_envs": 8, "rate": 3}, {"id": "a", "num_envs": 1, "rate": 4}]
    found = common.merged(old, new, KEY)
    assert [(row["id"], row["num_envs"], row["rate"]) for row in found] == [("a", 1, 4), ("a", 64, 2), ("b", 8, 3)]


def test_rows_are_saved_each_with_its_commit(results, monkeypatch):
    monkeypatch.setattr(common, "commit", lambda: "first")
    common.save_into("some", [{"id": "a", "num_envs": 1}, {"id": "b", "num_envs": 1}], KEY)
    monkeypatch.setattr(common, "commit", lambda: "second")
    common.save_into("some", [{"id": "b", "num_envs": 1}], KEY)
    found = common.load("some") or {}
    assert [(row["id"], row["commit"]) for row in found["rows"]] == [("a", "first"), ("b", "second")]
    assert found["machine"]["commit"] == "second"
    assert sorted(path.name for path in results.iterdir()) == ["some.json"]


def test_rows_of_another_machine_are_dropped(results, capsys):
    common.save_into("some", [{"id": "a", "num_envs": 1}], KEY)
    found = common.load("some") or {}
    found["machine"]["processor"] = "another"
    (results / "some.json").write_text(json.dumps(found))
    common.save_into("some", [{"id": "b", "num_envs": 1}], KEY)
    assert [row["id"] for row in rows_of("some")] == ["b"]
    assert "another machine" in capsys.readouterr().out


def test_processors_of_one_name_are_distinguished():
    one = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    assert common.processor_name(one + "\n" + one.replace("17", "18")) == "AMD EPYC, family 25, model 17"
    assert common.processor_name("model name : Ampere\n") == "Ampere"
    assert common.processor_name("") == (platform.processor() or platform.machine())


def test_a_spread_has_median_ends_and_count():
    assert common.spread([3.26, 1.04, 2.0]) == {"median": 2.0, "min": 1.04, "max": 3.26, "runs": 3}
    assert common.spread([3.26, 1.04, 2.0], digits=0) == {"median": 2, "min": 1, "max": 3, "runs": 3}
    assert common.spread([3.26, 1.04], digits=1)["max"] == 3.3


def test_subjects_take_turns_and_may_change_their_order():
    order = []
    subjects = {name: lambda name=name: (order.append(name), len(order))[1] for name in ("one", "two")}
    assert common.take_turns(subjects, 2) == {"one": [1, 3], "two": [2, 4]}
    assert order == ["one", "two"] * 2
    order.clear()
    assert common.take_turns(subjects, 3, alternate=True) == {"one": [1, 4, 5], "two": [2, 3, 6]}
    assert order == ["one", "two", "two", "one", "one", "two"]


def test_a_run_has_as_many_calls_as_it_must_last_and_goes_on_from_the_last():
    made = []
    repeated = common.Repeated(lambda n: made.append(n) or n + 1, 0, {})
    common.in_turn([repeated], runs=3, least=0.002)
    assert made == list(range(len(made)))
    assert repeated.calls > 10
    assert len(repeated.seconds) == 3 and min(repeated.seconds) > 0.0005


def test_a_cell_is_measured_and_its_figures_fit_together(short_calls):
    row, faster = measured("--ids", "HeartPole-v0", "--sizes", "4")
    assert faster["subject"] == "jaxenvs, fast keys"
    assert (row["subject"], row["id"], row["num_envs"]) == ("jaxenvs", "HeartPole-v0", 4)
    assert row["devices"] == 1 and row["by_devices"] == {"1": row["steps_per_second"]["median"]}
    assert row["steps_per_second"]["runs"] == 2
    steps = 4 * row["num_steps"] * row["calls"]
    # The shortest run's seconds are rounded to a tenth of a millisecond.
    assert steps / row["steps_per_second"]["max"] == pytest.approx(row["run_s"], abs=1e-4)
    assert 0.01 < row["compile_s"] < 60


def test_our_stepper_steps_the_batch_with_new_keys(short_calls):
    stepper = stepping.our_stepper("CartPole-v1", 4, 1)
    key, state, obs = stepper.function(stepper.carry)
    assert state.episode_length.tolist() == [3] * 4
    again = stepper.function((key, stepper.carry[1], stepper.carry[2]))
    assert not np.array_equal(again[2], obs)


def test_gymnasium_is_measured_beside_ours(short_calls):
    rows = measured("--ids", "CartPole-v1", "Acrobot-v1", "FiveChoices-v0", "--sizes", "4", "--peers")
    found = {(row["id"], row["subject"]): row for row in rows if "gymnax" not in row["subject"]}
    assert found["CartPole-v1", "gymnasium"]["mode"] == "vector_entry_point"
    assert found["Acrobot-v1", "gymnasium"]["mode"] == "sync"
    assert ("FiveChoices-v0", "gymnasium") not in found and ("FiveChoices-v0", "jaxenvs") in found
    assert all(row["steps_per_second"]["median"] > 1000 for row in found.values())


def test_gymnasium_is_left_out_where_a_step_takes_too_long():
    assert peers.gymnasium_steppers("Pendulum-v1", 2 * peers.SYNC_LIMIT) == []


class FakeSpace(types.SimpleNamespace):
    """gymnax's spaces, as far as they are used."""

    def sample(self, key):
        return jax.random.randint(key, (), 0, self.n)


class FakeEnv:
    """An environment that counts, with gymnax's signatures."""

    def action_space(self, params):
        return FakeSpace(n=params)

    def reset(self, key, params):
        return jnp.float32(0), jnp.int32(0)

    def step(self, key, state, action, params):
        return jnp.float32(0), state + 1 + 0 * action, jnp.float32(0), jnp.bool_(False), jnp.bool_(False), {}


def test_gymnax_is_measured_where_it_is_installed(monkeypatch):
    fake = types.SimpleNamespace(registered_envs=["CartPole-v1"], make=lambda id: (FakeEnv(), 2))
    monkeypatch.setitem(sys.modules, "gymnax", fake)
    monkeypatch.setattr(peers.importlib.metadata, "version", lambda name: "1.2.3")
    assert peers.gymnax_steppers("Pendulum-v1", 4, [1]) == []
    (stepper,) = peers.gymnax_steppers("CartPole-v1", 4, [1])
    assert stepper.about["version"] == "1.2.3" and stepper.about["devices"] == 1
    _, state = stepper.function(stepper.carry)
    assert state.tolist() == [stepper.about["num_steps"]] * 4


def test_gymnax_is_measured_with_a_key_for_each_environment_too(monkeypatch):
    fake = types.SimpleNamespace(registered_envs=["CartPole-v1"], make=lambda id: (FakeEnv(), 2))
    monkeypatch.setitem(sys.modules, "gymnax", fake)
    monkeypatch.setattr(peers.importlib.metadata, "version", lambda name: "1.2.3")
    (stepper,) = peers.gymnax_steppers("CartPole-v1", 4, [1], as_published=True)
    before, _ = stepper.carry
    after, state = stepper.function(stepper.carry)
    assert state.tolist() == [stepper.about["num_steps"]] * 4
    keys = [tuple(words.tolist()) for words in jax.random.key_data(jnp.concatenate([before, after]))]
    assert before.shape == (4,) and len(set(keys)) == 8


def test_gymnax_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    assert peers.gymnax_steppers("CartPole-v1", 4, [1]) == []


def test_actions_for_gymnax_are_in_its_spaces():
    key = jax.random.key(0)
    assert set(peers.sample(FakeSpace(n=3), key, 100).tolist()) == {0, 1, 2}
    actions = peers.sample(FakeSpace(shape=(1,), low=-2.0, high=2.0), key, 100)
    assert actions.shape == (100, 1) and -2 <= actions.min() < -1 and 1 < actions.max() <= 2


def test_cells_of_this_commit_are_not_measured_again(short_calls, monkeypatch, capsys):
    arguments = ["--ids", "FiveChoices-v0", "--sizes", "1", "4"]
    monkeypatch.setattr(common, "commit", lambda: "now")
    monkeypatch.setattr(stepping, "commit", lambda: "now")
    measured(*arguments[:-1])
    before = rows_of("matrix")
    capsys.readouterr()
    rows = measured(*arguments, "--missing")
    assert "N=4 " in (said := capsys.readouterr().out) and "N=1 " not in said
    assert [row["num_envs"] for row in rows] == [1, 1, 4, 4] and rows[:2] == before
    monkeypatch.setattr(stepping, "commit", lambda: "later")
    assert len(stepping.cells(stepping.parser().parse_args([*arguments, "--missing", "--name", "matrix"]))) == 2


def test_without_time_left_the_status_says_so(capsys):
    with pytest.raises(SystemExit) as left:
        measured("--ids", "FiveChoices-v0", "CartPole-v1", "--sizes", "4", "--within", "-1")
    assert left.value.code == stepping.SOME_LEFT
    assert "2 of 2 cells are left" in capsys.readouterr().out


def test_some_sizes_are_measured_again_with_jax_as_it_is_found(short_calls, monkeypatch):
    started = []
    monkeypatch.setattr(stepping, "SIZES", (4, 8))
    monkeypatch.setattr(stepping, "UNTUNED_SIZES", (4,))
    ended = types.SimpleNamespace(returncode=75)
    fake = types.SimpleNamespace(run=lambda command, env: started.append((command, env)) or ended)
    monkeypatch.setattr(stepping, "subprocess", fake)
    monkeypatch.setattr(stepping, "FOUND", {"XLA_FLAGS": "--found"})
    monkeypatch.setenv("XLA_FLAGS", "--found --tuned")
    monkeypatch.setenv("NPROC", "1")
    with pytest.raises(SystemExit) as left:
        measured("--ids", "FiveChoices-v0", "--all")
    assert left.value.code == 75
    options = stepping.parser().parse_args(started[0][0][3:])
    assert started[0][1]["XLA_FLAGS"] == "--found" and "NPROC" not in started[0][1]
    assert options.untuned and options.ids == ["FiveChoices-v0"] and options.name == "matrix"
    assert stepping.cells(options) == [("FiveChoices-v0", 4)]


def test_untuned_rows_stand_apart(short_calls):
    measured("--ids", "FiveChoices-v0", "--sizes", "4")
    rows = measured("--ids", "FiveChoices-v0", "--sizes", "4", "--untuned")
    assert [row["subject"] for row in rows] == ["jaxenvs", "jaxenvs, fast keys", "jaxenvs, untuned"]


def test_fast_keys_are_those_of_the_row_of_that_name(short_calls, monkeypatch):
    kinds = []
    about = {"devices": 1, "num_steps": 1, "compile_s": 0.0}

    def stepper(*_, kind, **__):
        kinds.append(kind)
        return common.Repeated(lambda n: n, 0, about)

    monkeypatch.setattr(stepping, "our_stepper", stepper)
    measured("--ids", "FiveChoices-v0", "--sizes", "4")
    assert kinds == [jaxenvs.random.as_key, jaxenvs.random.fast]


def test_the_row_for_the_limit_has_what_the_limit_reads(short_calls):
    row = stepping.measure("CartPole-v1", 4, steps=40, runs=1)
    assert (row["id"], row["num_envs"], row["num_steps"]) == ("CartPole-v1", 4, 10)
    assert row["steps_per_second"]["runs"] == 1


def rate(value):
    return {"steps_per_second": {"median": value}}


def test_the_table_says_ours_peer_limit_and_ratios():
    limit = []
    for id in short_set.IDS:
        for (subject, generator), ours in zip(short_set.LIMITS, (100e6, 200e6)):
            limit.append({"id": id, "subject": subject, "num_envs": 16384, **rate(ours)})
            about = {"id": id, "subject": "C", "form": "scan", "generator": generator}
            limit += [{**about, **rate(1.5e9)}, {**about, "ours_over_this": 0.2, **rate(5 * ours)}]
    cell = {"id": "CartPole-v1", "num_envs": 65536}
    ours = {"jaxenvs": 150e6, "jaxenvs, fast keys": 210e6}
    step = [{**cell, "subject": name, **rate(value)} for name, value in (*ours.items(), ("gymnasium", 30e6))]
    cell = {"id": "HeartPole-v0", "num_envs": 8}
    alone = [{**cell, "subject": name, **rate(value / 30)} for name, value in ours.items()]
    names = "CartPole-v1, gymnasium.make", "gymnasium.make('CartPole-v1')", "HeartPole-v0, bare", "NumPy HeartPole"
    single = [{"subject": name, "microseconds": {"median": us}} for name, us in zip(names, (8.0, 4.0, 7.0, 14.0))]
    names = "CartPole-v1, NumPy, NextStep", "gymnasium's CartPole-v1, NumPy"
    bridges = [{"subject": name, **rate(value)} for name, value in zip(names, (20e6, 25e6))]
    about = {"id": "CartPole-v1"}
    training = [{**about, "subject": "ours, 2 devices", **rate(560e3)}, {**about, "subject": "one core", **rate(1)}]
    training += [{**about, "subject": "matrix product", **rate(1120e3)}]
    trained = [
        {"algorithm": "pqn", "subject": "jaxenvs", **rate(300e3)},
        {"algorithm": "pqn", "subject": "jaxenvs, 2 devices", **rate(900e3)},
        {"algorithm": "pqn", "subject": "rejax", **rate(450e3)},
        {"algorithm": "sac", "subject": "jaxenvs", **rate(7e3)},
    ]
    lines = [line.split("  ") for line in short_set.table(limit, step + alone, training, single, bridges, trained)]
    found = [[part.strip() for part in line if part.strip()] for line in lines]
    assert found[0] == ["steps per second", "ours", "peer", "ours/peer", "limit", "ours/limit", "beside ours"]
    assert found[1][1:] == ["100M", "-", "-", "500M", "0.20", "limit: C, threefry2x32-20 as ours"]
    assert found[2][0].endswith("fast keys") and found[2][1:6] == ["200M", "-", "-", "1G", "0.20"]
    what = "CartPole-v1, random policy, N=65536"
    assert found[7] == [what + ", fast keys", "210M", "-", "-", "-", "-"]
    assert found[8] == [what, "150M", "30M", "5.00", "-", "-", "peer: Gymnasium's NumPy"]
    assert found[10] == ["HeartPole-v0, random policy, N=8", "5M", "-", "-", "-", "-"]
    assert found[11][1:] == ["560k", "-", "-", "1.12M", "0.50", "limit: a matrix product"]
    assert found[12][1:4] == ["125k", "250k", "0.50"]
    assert found[13][1:4] == ["143k", "71.4k", "2.00"]
    assert found[14][1:4] == ["20M", "25M", "0.80"]
    assert found[15] == ["PQN, training", "900k", "450k", "2.00", "-", "-", "peer: rejax"]
    assert found[16][:3] == ["SAC, training", "7k", "-"]


def test_calls_are_measured_beside_what_they_cannot_cost_less_than():
    row = calls.measure("CartPole-v1", 4, calls=3, runs=2)
    least = row["floor_us"]["min"] + row["physics_us"]["min"]
    assert min(row["physics_us"]["median"], row["floor_us"]["median"]) > 0
    assert row["ours_over_floor_and_physics"]["min"] <= row["ours_us"]["max"] / least


class Rises(jaxenvs.Environment):
    """The square of the constant leaves the floats after some steps where the constant is large."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (), np.float32)
    max_episode_steps = 5

    factor: float = jaxenvs.constant(1.0, above=0.5, high=1e9)

    def reset(self, key):
        return jnp.float32(1.0), jnp.float32(1.0)

    def step(self, key, state, action):
        state = state * self.factor
        return state, jaxenvs.Step(state, jnp.float32(0.0), jnp.bool_(False))


def test_endurance_counts_what_is_not_finite_under_random_constants(monkeypatch):
    monkeypatch.setattr(endurance, "NUM_ENVS", 4)
    monkeypatch.setattr(endurance, "NUM_STEPS", 10)
    constants = endurance.drawn(Rises(), np.random.default_rng(0))
    assert set(constants) == {"factor"} and constants["factor"].min() > 1e7
    monkeypatch.setattr(endurance, "NUM_ENVS", 2)
    envs = jaxenvs.make_vec(Rises(), 2, factor=np.array([2.0, 1e9], np.float32))
    # Of 5 steps of an episode the fifth is 1e45.
    assert tuple(map(int, endurance.blocks(envs, jax.random.key(0)))) == (4, 2)
