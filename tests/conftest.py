"""Settings of the entire suite: the oracles of `tests/reference` can be imported, and JAX is at its strictest."""

import gc
import importlib.metadata
import os
import pathlib
import sys

# Most tests compile much and run little, so XLA compiles in half the time, to slower programs. `make test-all` sets
# TEST_PROGRAMS=optimised: there, the same tests run the programs that users run.
QUICK = (
    "--xla_backend_optimization_level=0"
    " --xla_llvm_disable_expensive_passes=true --xla_cpu_parallel_codegen_split_count=1"
)
# XLA ends the process at a flag that it does not know, and newer ones do not know this one.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    QUICK += " --xla_cpu_use_fusion_emitters=false"
if os.environ.get("TEST_PROGRAMS") != "optimised" and QUICK not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}"

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxenvs.registry import registry

TESTS = pathlib.Path(__file__).parent
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))

# Code that users write, or would: JAX as they find it.
AS_FOUND = TESTS / "test_check.py", TESTS / "test_docs.py", TESTS / "interop"
# Optax raises floats to integer powers, which strict promotion of dtypes refuses.
MIXED_DTYPES = TESTS / "train", TESTS / "bridges", TESTS / "test_accelerators.py"


# Tests by file that compile for five seconds and more, and what their names hold: slow ones. Each asserts for one more
# environment or algorithm what default tests assert for others.
LONG = {
    # Other ids have the same class.
    "test_check.py": [
        "LunarLander",
        "constants[CartPole-v0]",
        "constants[PointIntercept-v0]",
        "constants[PointInterceptC",
    ],
    "test_random.py": [
        f"in_a_batch_of_any_size[{id}]"
        for id in registry
        if id not in ("CartPole-v1", "FiveChoices-v0", "HeartPole-v0", "Pendulum-v1")
    ],
    "test_quality.py": ["enough[low places", "enough[high places"],
    "test_fast_draws.py": ["LunarLander"],
    "test_algorithms.py": [
        f"{test}[{case}{name}]"
        for name in ("dqn", "pqn", "td3", "sac")
        for test, case in (
            ("test_updates_one_by_one_are_the_run", "fast-"),
            ("test_a_population_is_trained_as_each_member_alone", "rates-"),
        )
    ]
    # PQN plays as PPO does, TD3 as SAC.
    + [
        f"{test}-{name}]"
        for name in ("pqn", "td3")
        for test in (
            "test_updates_one_by_one_are_the_run[ordinary",
            "test_a_population_is_trained_as_each_member_alone[keys",
        )
    ],
    "test_algorithms_run.py": [
        f"{test}[{name}]"
        for name in ("dqn", "pqn", "td3", "sac")
        for test in (
            "test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not",
            "test_the_command_line_trains_evaluates_films_and_resumes",
        )
    ],
    "test_main.py": ["test_an_interrupted_run_keeps_what_it_has"],
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if any(part in item.nodeid for part in LONG.get(item.path.name, [])):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def strict_jax(request):
    """Refuses silent promotion of dtypes and of ranks."""
    found, mixed = (bool({request.path, *request.path.parents} & set(paths)) for paths in (AS_FOUND, MIXED_DTYPES))
    dtypes, ranks = "standard" if found or mixed else "strict", "allow" if found else "raise"
    with jax.numpy_dtype_promotion(dtypes), jax.numpy_rank_promotion(ranks):
        yield


@pytest.fixture(scope="module", autouse=True)
def own_ids():
    """Ids that a file registers are gone after it."""
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Where compiled programs are kept for the session: all its processes compile a program only once."""
    folder = tmp_path_factory.getbasetemp()
    # Each worker has a folder of its own in that of the session.
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "compiled"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def compile_once(compiled):
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    # A process that keeps the programs of all its files grows to seven gigabytes.
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def quick_compiles():
    """XLA compiles faster, to slower programs: for tests that compile much and run little."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """An empty current folder; modules made of its files are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(sys.modules)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path.resolve())):
            del sys.modules[name]
            sys.modules.update({name: before[name]} if name in before else {})
