"""How a run's programs are compiled: devices of the CPU, options of XLA, and the cache of compiled programs."""

import contextlib
import hashlib
import os
import platform
import threading
from pathlib import Path

import jax


def request_cpu_devices(count):
    """Splits the CPU into `count` JAX devices, if JAX has not computed anything yet.

    Returns:
        How many of them there are; 1 where JAX computes on something else.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", count)
    return min(count, jax.local_device_count()) if jax.default_backend() == "cpu" else 1


def compiled(lowered, hints):
    """`lowered.compile()` with options of XLA that no result depends on, but for rounding.

    Args:
        lowered: what `jax.jit(...).lower(...)` returns.
        hints: a dict of XLA's names and values. XLA renames and drops them: those that it does not know are left out.
    """
    hints = dict(hints)
    while True:
        try:
            return lowered.compile(compiler_options=hints)
        except jax.errors.JaxRuntimeError as error:
            unknown = [name for name in hints if f"No such compile option: '{name}'" in str(error)]
            if not unknown:
                raise
            del hints[unknown[0]]


def run_once():
    """Hints with which XLA:CPU compiles a program in less than half the time (jaxlib 0.10.2), that is slow then."""
    return {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}


def run_often():
    """Hints for a program that takes most of a run's time, for this kind of device; none where there are none.

    CPUs: registers of 512 bits where the processor has them (PPO's updates took 8 % less time on an AMD EPYC). GPUs:
    CUDA graphs for loops of few kernels as well (a loop of four kernels took a third of the time on an H200).
    """
    if jax.default_backend() == "gpu":
        return {"xla_gpu_graph_min_graph_size": 1}
    try:
        has = jax.default_backend() == "cpu" and " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        has = False
    return {"xla_cpu_prefer_vector_width": 512} if has else {}


def untuned():
    """Hints with which XLA:GPU does not time kernels against each other while it compiles.

    PPO then compiles in 4 s, not 9 (H200). Batches of a million steps take three times as long, small ones do not.
    """
    return {"xla_gpu_autotune_level": 0} if jax.default_backend() == "gpu" else {}


def wake():
    """Starts a GPU's runtime in a thread while the caller traces; a CPU needs no start."""
    if jax.default_backend() != "cpu":
        threading.Thread(target=lambda: jax.block_until_ready(jax.device_put(0.0) + 1.0), daemon=True).start()


def allocate_as_needed():
    """Has JAX take a GPU's memory when it needs it, unless the user's settings say otherwise.

    By default it takes three quarters of the memory at its start, which takes over a second (H200).
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def host():
    """JAX's CPU device, or None where JAX has none, such as with `JAX_PLATFORMS=cuda`."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None


def use_compilation_cache():
    """Keeps compiled programs in a folder of the user's, unless JAX's own settings already say where, or not to.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none. Programs for a CPU
    run only on such a CPU, so each kind of machine has a folder of its own, below `$XDG_CACHE_HOME/jaxenvs`
    (`~/.cache/jaxenvs`). Where neither is known, nothing is kept.
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return
    try:
        folder = cache_folder()
    except RuntimeError:  # a user without a home folder, as in some containers
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only programs that took a second are kept; a run has dozens of small ones.
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def cache_folder():
    """Where compiled programs for this kind of machine are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jaxenvs" / hashlib.sha256(_machine().encode()).hexdigest()[:16]


def _machine():
    """What a compiled program depends on: the architecture, and the instructions that the processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    known = {line for line in lines if line.split(":")[0].strip() in ("model name", "flags", "Features")}
    return "\n".join([platform.machine(), platform.processor(), *sorted(known)])
