"""What happens to a run from outside: other processes, kills in the middle of a save, NaN, slow chunks, full disks."""

import dataclasses
import json
import os
import shutil
import signal

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxenvs
from jaxenvs.registry import registry
from train import ppo
from train.runs import checkpoint, files, run, saver, sound
from train.runs.lock import locked
from train.runs.log import Log, read_rows
from train.runs.plan import Plan, RunError

CONFIG = ppo.Config(num_envs=4, num_steps=8, segment=4, minibatches=1, epochs=1, hidden=(4,))


class Late(jaxenvs.Environment):
    """Its reward, or its observation, stops being finite in step 20 of an episode."""

    max_episode_steps = 40
    bad_reward: float = jaxenvs.constant(0.0)
    bad_obs: float = jaxenvs.constant(0.0)

    @property
    def observation_space(self):
        return gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    @property
    def action_space(self):
        return gymnasium.spaces.Discrete(2)

    def reset(self, key):
        return jnp.float32(0.0), jnp.zeros(1)

    def step(self, key, state, action):
        late = state >= 20
        obs = jnp.where(late & (self.bad_obs > 0), jnp.nan, state / 40)[None]
        return state + 1, jaxenvs.Step(obs, jnp.where(late & (self.bad_reward > 0), jnp.inf, 1.0), jnp.bool_(False))


@pytest.fixture(scope="module", autouse=True)
def saves_at_every_point():
    """Chunks of tests are shorter than a save is worth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saver, "_WORTH", 0)
        yield


@pytest.fixture(scope="module", autouse=True)
def late():
    jaxenvs.register("Late-v0", Late)
    yield
    del registry["Late-v0"]


def plan(**changes):
    constants = changes.pop("constants", {})
    return Plan(
        algorithm="ppo", env="Late-v0", constants=constants, training={}, curve_as_trained=False,
        config=dataclasses.replace(CONFIG, **changes), total_steps=16 * 32, seed=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run.begin(plan(), folder, quiet=True)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def stored(folder):
    with np.load(folder / "state.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}


@pytest.mark.parametrize("constant, named", [("bad_reward", "rewards"), ("bad_obs", "observations")])
def test_an_environment_that_stops_being_finite_is_named_and_the_last_good_state_is_kept(constant, named, tmp_path):
    with pytest.raises(sound.Diverged) as caught:
        run.begin(plan(stagger=False, constants={constant: 1.0}), tmp_path / "run", quiet=True)
    message = str(caught.value)
    assert message.startswith(f"the run diverged at 96 steps: {named} of Late-v0 were not finite")
    assert f"The state of 64 steps is kept in {tmp_path / 'run'}" in message
    assert run.read(tmp_path / "run")[1].updates == 2 and not sound.broken(run.read(tmp_path / "run")[1])


def test_broken_arrays_are_found_but_for_those_of_environments():
    state = ppo.init(CONFIG, jaxenvs.make_vec("CartPole-v1", 4), jax.random.key(0))
    assert sound.broken(state) == []
    assert sound.broken(state._replace(obs=jnp.full((4, 4), jnp.nan))) == []
    assert sound.broken(state._replace(discounted=jnp.full(4, jnp.inf))) == [".discounted"]


def test_a_run_that_is_being_trained_is_neither_resumed_nor_begun_again(copy, tmp_path):
    (tmp_path / "new").mkdir()
    with locked(copy), locked(tmp_path / "new"):
        with pytest.raises(RunError, match="is already being trained by process"):
            run.resume(copy, quiet=True)
        with pytest.raises(RunError, match="is already being trained by process"):
            run.begin(plan(), tmp_path / "new", quiet=True)


def test_a_run_that_was_killed_in_its_first_save_is_resumed_from_its_seed(finished, copy, monkeypatch):
    for path in copy.iterdir():
        if path.name != "config.json":
            path.unlink()
    (copy / ".state.npz.12345").write_bytes(b"half")

    def killed(self, row):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Log, "write", killed)
        run.resume(copy, quiet=True)
    # Figures without a checkpoint could not be resumed.
    assert (copy / "metrics.jsonl").exists() and (copy / "state.npz").exists()
    assert run.resume(copy, quiet=True)
    assert stored(copy) == stored(finished)
    assert not (copy / ".state.npz.12345").exists()


@pytest.mark.parametrize(
    "bad", ['{"steps": 7', "5", "null", '{"eval_mean": 3}', '{"steps": 8, "eval_mean": "x"}', "\0\0"]
)
def test_a_bad_line_in_the_middle_costs_nothing_but_itself_and_is_named(tmp_path, bad):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"steps": 0}\n' + bad + '\n{"steps": 64}\n')
    assert read_rows(path) == [{"steps": 0}, {"steps": 64}]
    before = path.read_bytes()
    log = Log(tmp_path, upto=64)
    log.close()
    assert log.damaged == [2] and log.rows == [{"steps": 0}, {"steps": 64}]
    assert (tmp_path / "metrics.jsonl.bak").read_bytes() == before


def test_figures_are_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"steps": 0}\n{"steps": 64}\n')

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Log(tmp_path, upto=0)
    assert len(path.read_text().splitlines()) == 2


def test_a_chunk_that_takes_long_is_left_for_signals_and_saved_in_the_middle(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_CHUNKS", 2)
    monkeypatch.setattr(saver, "_GLANCE", 0.0)
    saves, save = [], checkpoint.save

    def stopping(path, tree, **options):
        save(path, tree, **options)
        saves.append((path.name, int(tree.updates)))
        if saves[-1] == (run.STATE, 3):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(checkpoint, "save", stopping)
    folder = tmp_path / "run"
    assert run.begin(plan(), folder, quiet=True, save_every=1e-9) is run.Ending.TERMINATED
    assert [count for name, count in saves if name == run.STATE] == [0, 1, 2, 3]
    monkeypatch.undo()
    monkeypatch.setattr(run, "_CHUNKS", 2)
    assert run.resume(folder, quiet=True)
    assert stored(folder) == stored(finished)
    assert [row["steps"] for row in read_rows(folder / "metrics.jsonl")] == [0, 96, 256, 512]


def test_a_config_that_cannot_be_written_leaves_the_one_that_was(copy, monkeypatch):
    before = (copy / "config.json").read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.resume(copy, quiet=True, total_steps=64 * 32)
    assert (copy / "config.json").read_text() == before and json.loads(before)["total_steps"] == 16 * 32


def test_the_checkpoint_before_a_damaged_one_is_used_and_the_run_ends_the_same(finished, copy, capsys):
    (copy / "state.npz").write_bytes((finished / "state.npz").read_bytes()[:-100])
    assert run.resume(copy, quiet=True)
    warning = capsys.readouterr().err
    assert "state.npz is damaged" in warning and "state-1.npz of 4" in warning
    assert stored(copy) == stored(finished)
    assert {path.name for path in copy.glob("state*")} == {"state.npz", "state-1.npz", "state.npz.damaged"}
    # The damaged one did not become the one before.
    checkpoint.about(copy / "state-1.npz")


def test_what_a_symbolic_link_points_to_is_never_written(finished, copy, tmp_path):
    others = []
    for name in ("metrics.jsonl", "state-1.npz", "best.npz", ".state.npz.1"):
        others.append(tmp_path / f"behind-{name}")
        others[-1].write_text("mine")
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(others[-1])
    os.remove(copy / "state.npz")
    (copy / "state.npz").write_bytes((finished / "state-1.npz").read_bytes())
    assert run.resume(copy, quiet=True)
    assert [other.read_text() for other in others] == ["mine"] * 4
    (copy / ".lock").symlink_to(others[0])
    with pytest.raises(OSError), locked(copy):
        pass
    assert others[0].read_text() == "mine"


def test_a_run_goes_on_beyond_two_to_the_31_steps(copy):
    _, state = run.read(copy)
    late, about = state._replace(updates=jnp.int32(2**26 - 1)), checkpoint.about(copy / "state.npz")
    checkpoint.save(copy / "state.npz", late, about=about)
    with pytest.raises(ValueError, match="--total-steps must be at most 68,719,476,704 for this configuration"):
        run.resume(copy, quiet=True, total_steps=2**36)
    assert run.resume(copy, quiet=True, total_steps=2**31 + 32)
    assert int(run.read(copy)[1].updates) == 2**26 + 1
    assert read_rows(copy / "metrics.jsonl")[-1]["steps"] == 2**31 + 32
