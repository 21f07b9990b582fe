import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from train.runs.compiling import cache_folder, request_cpu_devices, use_compilation_cache
from train.runs.compiling import compiled as compiled_with

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """JAX's settings as they are at a start, given back afterwards; and a user's folder that is empty."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def folder_in_use():
    return getattr(jax.config, "jax_compilation_cache_dir", None)


def test_compiled_programs_are_kept_in_the_users_cache(settings, tmp_path):
    use_compilation_cache()
    assert folder_in_use() == str(cache_folder())
    assert cache_folder().parent == tmp_path / "jaxenvs"


def test_a_folder_that_jax_was_given_stays(settings, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    use_compilation_cache()
    assert folder_in_use() == str(tmp_path / "mine")


def test_another_kind_of_machine_has_another_folder(settings, monkeypatch):
    here = cache_folder()
    monkeypatch.setattr("platform.machine", lambda: "another")
    assert cache_folder() != here


def test_without_a_cache_home_it_is_below_the_users_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder().parent == tmp_path / ".cache" / "jaxenvs"


def test_the_command_line_fills_it(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    options = ["--env", "FiveChoices-v0", "--total-steps", "1000", "--film-episodes", "0", "--episodes", "8"]
    command = [sys.executable, "-m", "train", "ppo", *options, "--out", str(tmp_path / "run"), "--quiet"]
    subprocess.run(command, cwd=ROOT, env={**kept, "XDG_CACHE_HOME": str(tmp_path)}, check=True, capture_output=True)
    assert len(list((tmp_path / "jaxenvs").rglob("*"))) > 3


def test_hints_that_xla_does_not_know_are_left_out():
    lowered = jax.jit(lambda x: x + 1).lower(1.0)
    hints = {"xla_backend_optimization_level": 0, "xla_no_such_thing": True, "xla_nor_that": 3}
    assert compiled_with(lowered, hints)(1.0) == 2
    assert len(hints) == 3


def test_a_hint_of_the_wrong_kind_is_no_unknown_one():
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_backend_optimization_level"):
        compiled_with(jax.jit(lambda x: x + 1).lower(1.0), {"xla_backend_optimization_level": "high"})


def test_devices_are_not_made_once_jax_has_begun():
    there = len(jax.devices())
    assert request_cpu_devices(there + 7) == there
