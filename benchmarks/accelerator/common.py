"""Compiling apart from timing, and what a profile says."""

import tempfile
import time
from collections import defaultdict
from pathlib import Path

import jax

from benchmarks.common import spread


def compile_for(function, *args, options=None):
    """(compiled, seconds): a function compiled for arguments like these, which are not computed with.

    Args:
        options: XLA's, by name; or None.
    """
    like = jax.eval_shape(lambda *args: args, *args)
    began = time.perf_counter()
    ready = jax.jit(function).lower(*like).compile(compiler_options=options or None)
    return ready, time.perf_counter() - began


def seconds_of(call, runs):
    """Seconds of each of some calls, after one that is not counted; each is waited for."""

    def once():
        began = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - began

    once()
    return [once() for _ in range(runs)]


def rates(amount, seconds):
    """The spread of what was done in a second."""
    return spread([amount / s for s in seconds])


def profiled(call, most=14):
    """Where a call's time goes on the device: its length, and the kernels that take most of it.

    Returns:
        dict: `wall_ms`; `busy_ms`, the sum of the kernels' times; `kernels`, how many ran; `most`, a list of
        [name, how many, milliseconds].
    """
    jax.block_until_ready(call())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            began = time.perf_counter()
            jax.block_until_ready(call())
            wall = time.perf_counter() - began
        files = list(Path(folder).rglob("*.xplane.pb"))
        data = jax.profiler.ProfileData.from_file(str(files[0]))
        totals = defaultdict(lambda: [0, 0.0])
        for plane in data.planes:
            if not plane.name.startswith("/device:"):
                continue
            for line in plane.lines:
                if not line.name.startswith("Stream"):
                    continue
                for event in line.events:
                    total = totals[event.name]
                    total[0] += 1
                    total[1] += event.duration_ns / 1e6
    order = sorted(totals.items(), key=lambda item: -item[1][1])
    return {
        "wall_ms": round(1e3 * wall, 3),
        "busy_ms": round(sum(ms for _, (_, ms) in order), 3),
        "kernels": sum(count for _, (count, _) in order),
        "most": [[name[:80], count, round(ms, 3)] for name, (count, ms) in order[:most]],
    }
