"""What every benchmark shares: where it ran, how often, and where its figures go."""

import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine():
    """The machine, the versions and the commit that figures belong to."""
    import gymnasium
    import jax

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "devices": [device.device_kind for device in jax.devices()],
        "python": platform.python_version(),
        "jax": jax.__version__,
        "gymnasium": gymnasium.__version__,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


def commit():
    """The commit of the working tree, with a plus sign where files differ from it."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        tree = subprocess.run(
            ["git", "status", "--porcelain", "--", "*.py"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if tree.stdout.strip() else "")


def timed(function, *args, runs):
    """Seconds of the first call, compilation included, and of `runs` more."""
    import jax

    def once():
        began = time.perf_counter()
        jax.block_until_ready(function(*args))
        return time.perf_counter() - began

    return once(), [once() for _ in range(runs)]


def spread(values):
    """Median, least and greatest of several measurements."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}


def save(name, rows, **more):
    """Writes `results/name.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **more, "rows": rows}, indent=1) + "\n")
    print(f"written: benchmarks/results/{path.name}")


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
