"""Compiled programs, kept between runs of the command line."""

import hashlib
import os
import platform
from pathlib import Path

import jax


def use_compilation_cache():
    """Keeps compiled programs in a folder of the user's, unless JAX's own settings already say where, or not to.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none. Programs for a CPU
    run only on such a CPU, so each kind of machine has a folder of its own, below `$XDG_CACHE_HOME/jaxenvs`
    (`~/.cache/jaxenvs`).
    """
    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return
    jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
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
