"""What every benchmark shares: where it ran, how often, and where its figures go."""

import json
import math
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
        "processor": processor_name(_cpuinfo()),
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
    """The commit of the working tree, with a plus sign where files differ from it.

    The environment variable `BENCHMARK_COMMIT` says it where there is no git.
    """
    if stated := os.environ.get("BENCHMARK_COMMIT"):
        return stated
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


class Repeated:
    """A compiled function whose calls go on from each other's results, called as often as a run must last.

    Args:
        function: carry -> carry.
        carry: what the first call gets: JAX or NumPy arrays.
        about: what the row of figures says of it besides, such as the number of devices.
    """

    def __init__(self, function, carry, about):
        self.function, self.carry, self.about = function, carry, about
        self.calls, self.seconds = 1, []

    def once(self):
        """Seconds of one run, the wait for its results included."""
        import jax

        carry = self.carry
        began = time.perf_counter()
        for _ in range(self.calls):
            carry = self.function(carry)
        jax.block_until_ready(carry)
        seconds = time.perf_counter() - began
        self.carry = carry
        return seconds

    def calibrate(self, least):
        """Chooses how many calls a run has, so that it lasts some more than `least` seconds."""
        self.once()
        # Of two, since a noisy moment makes one look long enough.
        while (seconds := min(self.once(), self.once())) < least:
            # Up to tenfold at a time: the wait at its end makes up most of a run that is very short.
            self.calls = math.ceil(self.calls * min(10.0, 1.25 * least / seconds))


def take_turns(subjects, runs, *, alternate=False):
    """What several subjects return that are called in turns, so that a noisy moment of the machine meets all.

    Args:
        subjects: dict of name to function without arguments.
        runs: calls of each.
        alternate: reverse the order at every other turn, so that none is always behind the same other one.
    Returns:
        dict of name to list of what its calls returned.
    """
    found = {name: [] for name in subjects}
    for turn in range(runs):
        for name in reversed(subjects) if alternate and turn % 2 else subjects:
            found[name].append(subjects[name]())
    return found


def in_turn(subjects, *, runs, least):
    """Runs several `Repeated` in turns, and fills their `seconds`."""
    for subject in subjects:
        subject.calibrate(least)
    seconds = take_turns({number: subject.once for number, subject in enumerate(subjects)}, runs)
    for subject, found in zip(subjects, seconds.values()):
        subject.seconds += found


def compiled(function, *args, **options):
    """(function, seconds): compiled for these arguments with these options of `jax.jit`, and the time that it took."""
    import jax

    began = time.perf_counter()
    ready = jax.jit(function, **options).lower(*args).compile()
    return ready, time.perf_counter() - began


def ask_for_devices(count):
    """Splits the host's cores into `count` JAX devices, before the first computation; accelerators are not changed."""
    import jax

    jax.config.update("jax_num_cpu_devices", count)


def usable(counts, num_envs):
    """Those numbers of devices that there are and that divide the batch."""
    import jax

    return [count for count in counts if count <= jax.device_count() and num_envs % count == 0]


def over_devices(tree, count=None):
    """Splits the batch axis of every array over devices; the environments in a batch are independent.

    Args:
        count: how many of the devices; all by default.
    """
    import jax

    return jax.device_put(tree, _over(count, "envs"))


def on_all_of(tree, count=None):
    """Copies a pytree to each of those devices that `over_devices` splits a batch over."""
    import jax

    return jax.device_put(tree, _over(count))


def _over(count, *axes):
    import jax

    axis = jax.sharding.AxisType.Auto
    devices = jax.devices()[:count]
    mesh = jax.make_mesh((len(devices),), ("envs",), axis_types=(axis,), devices=devices)
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


def spread(values, digits=None):
    """Median, minimum and maximum of several measurements, optionally rounded to a number of decimals."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    if digits is not None:
        found = {name: round(value, digits) if digits else round(value) for name, value in found.items()}
    return {**found, "runs": len(values)}


def save(name, rows, **more):
    """Writes `results/name.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **more, "rows": rows}, indent=1) + "\n")
    print(f"written: benchmarks/results/{path.name}")


def save_into(name, rows, key, *, any_machine=False, **more):
    """Writes rows into `results/name.json`, instead of those with the same values under `key`; the others are kept.

    Each row says of which commit and day it is. Rows of another machine, or of another JAX, are dropped: they cannot
    stand beside these.

    Args:
        rows: dicts.
        key: names of the values that identify a row, and by which rows are sorted.
        any_machine: keep rows of other machines, for figures that are no seconds; each row then names its processor.
    """
    RESULTS.mkdir(exist_ok=True)
    path, here = RESULTS / f"{name}.json", machine()
    old = load(name)
    if old and not any_machine and not _comparable(old["machine"], here):
        print(f"{path.name} had rows of another machine or JAX, which are dropped")
        old = None
    stamp = {"commit": here["commit"], "date": here["date"]}
    if any_machine:
        stamp["processor"] = here["processor"]
    kept = merged(old["rows"] if old else [], [{**row, **stamp} for row in rows], key)
    head = json.dumps({"machine": here, **more}, indent=1)[:-2]
    lines = ",\n  ".join(json.dumps(row) for row in kept)
    # A run that is killed while it writes must not take the rows of earlier ones with it.
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_text(f'{head},\n "rows": [\n  {lines}\n ]\n}}\n')
    partial.replace(path)


def load(name):
    """What `results/name.json` holds, None where there is no such file."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def merged(old, new, key):
    """Old rows, where new ones replace those with the same values under `key`, sorted by these values.

    Old rows without such a value, of an earlier form of the file, are dropped.
    """
    complete = [row for row in old if set(key) <= set(row)]
    rows = {tuple(row[name] for name in key): row for row in [*complete, *new]}
    return [rows[values] for values in sorted(rows)]


def _comparable(machine, other):
    """Whether figures of two machines may stand in one table."""
    same = ("processor", "cores", "jax")
    kinds = [set(found["devices"]) for found in (machine, other)]
    return kinds[0] == kinds[1] and all(machine[name] == other[name] for name in same)


def processor_name(cpuinfo):
    """The processor's name, with its family and model: clouds give many kinds the same name.

    Args:
        cpuinfo: the text of Linux's `/proc/cpuinfo`, or an empty one.
    """
    pairs = [[part.strip() for part in line.split(":", 1)] for line in cpuinfo.splitlines() if ":" in line]
    found = dict(reversed(pairs))
    if "model name" not in found:
        return platform.processor() or platform.machine()
    kind = [f"{name} {found[key]}" for name, key in (("family", "cpu family"), ("model", "model")) if key in found]
    return ", ".join([found["model name"], *kind])


def _cpuinfo():
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
