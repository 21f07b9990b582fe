"""How many steps a second the machine can make, by C written for this alone, and which part of it ours reach.

    python -m benchmarks.limit                       # HeartPole-v0, SimpleRocket-v0 and CartPole-v1, N = 16384
    python -m benchmarks.limit --ids CartPole-v1 --num-envs 65536

The C of `benchmarks/native/`, which `cc` (or `$CC`) compiles into a temporary folder, does what `benchmarks.stepping`
measures of ours: a random policy, the physics in float32, the time limit, autoreset, and each episode's return and
length. It uses what a general library cannot: constants are known to the compiler; divisions are shared; sines are
short series, since a running episode's pole is near upright; what no later step reads is not kept, and observations
are the state itself. `tests/test_limit.py` holds its physics against ours.

The state is stored in tiles of 256 environments, an array per field in each, so that a tile and its draws stay in the
first cache. Two forms:

- "scan" steps the entire batch once, tile after tile, then once more: what a `jax.lax.scan` does. The main figure.
- "blocked" makes all steps of one tile before the next: a higher limit, which no policy that sees the batch can have.

The generators:

- "threefry2x32-20 as ours": a block for each number, its two words joined by exclusive or, and starts drawn at every
  step for every environment: the hashes that `jaxenvs.rollout` makes of ordinary JAX keys, 6, 3 and 5 a step.
- "threefry2x32-20": both words of a block are used, and starts are drawn where an episode ended.
- "philox4x32-10, a block a step": a block for each environment and step, whether or not its four words are needed.
- "philox4x32-10": all four words are used. In these three, HeartPole's action is made of bits of a word of which a
  uniform number takes only the upper 23.
- "none": a fixed pattern instead of random words.

Ours are measured with ordinary keys and with those of `jaxenvs.random.fast`, in a process set up by `jaxenvs.tune_cpu`.
Each run of ours stands beside one of each C program, several times in turn; a ratio is that of neighbours. Threads of
C are pinned to a core each, and ours run on as many host devices. On one thread only C is measured: XLA computes on
all cores also for one device.
"""

import argparse
import contextlib
import ctypes
import functools
import io
import itertools
import math
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxenvs
from benchmarks.common import save, spread
from benchmarks.stepping import measure
from jaxenvs.random import as_key, fast

SOURCE = Path(__file__).parent / "native" / "limit.c"
GENERATORS = (
    "threefry2x32-20 as ours",
    "threefry2x32-20",
    "philox4x32-10, a block a step",
    "philox4x32-10",
    "none",
)
FORMS = ("scan", "blocked")
OURS = {"jaxenvs": as_key, "jaxenvs, fast keys": fast}
OVER = {"jaxenvs": "ours_over_this", "jaxenvs, fast keys": "fast_over_this"}


class Layout(NamedTuple):
    """What the C of an environment takes."""

    #: Place in the table of `limit.c`.
    index: int
    #: Rows of the state: the environment's own fields, then return and length of the episode so far.
    fields: int
    #: Random words of a step, the action's included and last, and of a start.
    step_words: int
    start_words: int


LAYOUTS = {
    "HeartPole-v0": Layout(0, fields=8, step_words=5, start_words=1),
    "SimpleRocket-v0": Layout(1, fields=4, step_words=1, start_words=2),
    "CartPole-v1": Layout(2, fields=6, step_words=1, start_words=4),
}


class Statistics(NamedTuple):
    """What the episodes that ended in a run of C came to; NaN where none did."""

    episodes: int
    mean_return: float
    mean_length: float


class NoCompiler(RuntimeError):
    """There is no C compiler, or it refuses."""


class Native:
    """The compiled C; environments are named by id, generators by `GENERATORS`.

    Raises:
        NoCompiler: if it cannot be compiled.
    """

    def __init__(self):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            self._library = _load(Path(folder))
        self.compile_seconds = time.perf_counter() - began
        #: Environments in a tile, and bytes in a vector.
        self.tile = self._library.tile_size()
        self.vector_bytes = self._library.vector_bytes()

    def start(self, id, words):
        """Starts a batch: f32[num_tiles, fields, tile], from u32[num_tiles, start_words, tile]."""
        layout = LAYOUTS[id]
        state = _aligned_zeros((len(words), layout.fields, self.tile))
        for tile, tile_words in zip(state, words):
            self._library.start_given(layout.index, tile, np.ascontiguousarray(tile_words))
        return state

    def step(self, id, state, words, start_words, time_limit):
        """Steps one tile with given words, in place.

        Args:
            state: f32[fields, tile], overwritten by that after autoreset.
            words, start_words: u32[step_words, tile] and u32[start_words, tile].
            time_limit: steps.
        Returns:
            (reward f32[tile], terminated bool[tile], truncated bool[tile]).
        """
        reward, ended = np.empty(self.tile, np.float32), np.empty(self.tile, np.uint32)
        self._library.step_given(LAYOUTS[id].index, time_limit, state, words, start_words, reward, ended)
        return reward, ended & 1 != 0, ended & 2 != 0

    def run(self, id, generator, state, num_steps, time_limit, *, form="scan", threads=1, key=(0, 1), first_step=0):
        """Steps a batch, in place, with a random policy: `Statistics`.

        Raises:
            RuntimeError: if a thread cannot be started.
        """
        results = np.zeros(3)
        failed = self._library.run_batch(
            LAYOUTS[id].index,
            GENERATORS.index(generator),
            FORMS.index(form),
            threads,
            np.array([core(thread) for thread in range(threads)], np.int32),
            len(state),
            num_steps,
            time_limit,
            np.array(key, np.uint32),
            first_step,
            state,
            results,
        )
        if failed:
            raise RuntimeError(f"{threads} threads could not be started")
        episodes, return_sum, length_sum = results.tolist()
        if not episodes:
            return Statistics(0, math.nan, math.nan)
        return Statistics(int(episodes), return_sum / episodes, length_sum / episodes)

    def blocks(self, generator, key, index, step):
        """The words of one block for each counter (index, step), u32[words of a block, number of counters]."""
        width = {"threefry2x32-20 as ours": 1, "threefry2x32-20": 2}.get(generator, 4)
        words = np.empty((width, len(index)), np.uint32)
        given = np.array(key, np.uint32), np.ascontiguousarray(index, np.uint32)
        self._library.blocks_of(GENERATORS.index(generator), *given, len(index), step, words)
        return words

    def philox(self, key, counter):
        """One block of Philox-4x32-10, u32[4], of a key of two words and a counter of four."""
        block = np.array(counter, np.uint32)
        self._library.philox_block(np.array(key, np.uint32), block)
        return block

    def exp2(self, x):
        """2**x as the physics has it, f32[n]."""
        result = np.empty_like(x)
        self._library.exp2_of(x, result, len(x))
        return result

    def sin_cos(self, x):
        """Sine and cosine of small angles as the physics has them, f32[n] each."""
        sine, cosine = np.empty_like(x), np.empty_like(x)
        self._library.sin_cos_of(x, sine, cosine, len(x))
        return sine, cosine


def _aligned_zeros(shape):
    """f32 zeros from the start of a line of the cache: a vector across two lines costs twice."""
    bytes_needed = 4 * math.prod(shape)
    raw = np.zeros(bytes_needed + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + bytes_needed].view(np.float32).reshape(shape)


def _load(folder):
    # Linked separately: with -ffast-math, GCC links code that flushes subnormal numbers in the entire process.
    compiled, library = folder / "limit.o", folder / "limit.so"
    _cc(*flags(), "-c", str(SOURCE), "-o", str(compiled))
    _cc("-shared", "-pthread", str(compiled), "-o", str(library))
    loaded = ctypes.CDLL(str(library))
    floats, words, doubles = (np.ctypeslib.ndpointer(kind, flags="C") for kind in (np.float32, np.uint32, np.float64))
    cores = np.ctypeslib.ndpointer(np.int32, flags="C")
    number, long, real, unsigned = ctypes.c_int, ctypes.c_int64, ctypes.c_float, ctypes.c_uint32
    for name, arguments, result in (
        ("tile_size", [], number),
        ("vector_bytes", [], number),
        ("start_given", [number, floats, words], None),
        ("step_given", [number, real, floats, words, words, floats, words], None),
        ("run_batch", [*[number] * 4, cores, long, long, real, words, unsigned, floats, doubles], number),
        ("blocks_of", [number, words, words, number, unsigned, words], None),
        ("philox_block", [words, words], None),
        ("exp2_of", [floats, floats, number], None),
        ("sin_cos_of", [floats, floats, floats, number], None),
    ):
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, result
    return loaded


def _cc(*arguments):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NoCompiler("no C compiler: neither $CC nor cc is there")
    done = subprocess.run([compiler, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{compiler} failed on {SOURCE.name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def flags():
    """What the C is compiled with; `$CFLAGS` comes last."""
    wide = ["-mprefer-vector-width=512"] if platform.machine() in ("x86_64", "AMD64") else []
    always = ["-std=c11", "-O3", "-march=native", *wide, "-ffast-math", "-fopenmp-simd", "-fPIC", "-pthread"]
    return always + os.environ.get("CFLAGS", "").split()


def core(thread):
    """The core to pin a thread to, -1 for none."""
    try:
        allowed = sorted(os.sched_getaffinity(0))
    except AttributeError:
        return -1
    return allowed[thread % len(allowed)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--num-envs", type=int, default=16384)
    parser.add_argument("--devices", type=int, default=os.cpu_count(), help="host devices of ours, and threads of C")
    parser.add_argument("--steps", type=int, default=40_000_000, help="environment steps of a run of C, roughly")
    parser.add_argument("--our-steps", type=int, default=10_000_000, help="environment steps of a run of ours, roughly")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--name", default="limit", help="of the file in benchmarks/results/")
    options = parser.parse_args()
    jaxenvs.tune_cpu(options.devices)
    native = Native()
    if options.num_envs < 1 or options.num_envs % native.tile:
        parser.error(f"--num-envs must be a multiple of {native.tile}, got {options.num_envs}")
    rows = list(itertools.chain.from_iterable(compare(native, id, options) for id in options.ids))
    more = {
        "compiler": _cc("--version").splitlines()[0],
        "flags": flags(),
        "vector_bytes": native.vector_bytes,
        "compile_s": native.compile_seconds,
        "ours_over_limit": main_ratios(rows),
    }
    save(options.name, rows, **more)


def compare(native, id, options):
    """Rows for one environment: ours, and C by generator, form and number of threads."""
    threads = sorted({1, options.devices})
    subjects = list(itertools.product(GENERATORS, FORMS, threads))
    runs = {subject: runner(native, id, options, *subject) for subject in subjects}
    num_steps = max(1, options.steps // options.num_envs)
    for run in runs.values():
        run(num_steps=100)
    ours, rates, statistics = {name: [] for name in OURS}, {subject: [] for subject in subjects}, {}
    for _ in range(options.runs):
        for name, kind in OURS.items():
            # Its own line would say too little: the rows are printed below.
            with contextlib.redirect_stdout(io.StringIO()):
                ours[name].append(measure(id, options.num_envs, options.our_steps, runs=1, kind=kind))
        for subject, run in runs.items():
            rate, statistics[subject] = run(num_steps)
            rates[subject].append(rate)
    our_rates = {name: [row["steps_per_second"]["median"] for row in found] for name, found in ours.items()}
    rows = []
    for name, found in ours.items():
        about = {"subject": name, "devices": jax.device_count(), "steps_per_second": spread(our_rates[name])}
        rows.append({**found[0], **about})
        print(f"{id:16} {name:31} {'':8} {jax.device_count()} devices {rate_text(rows[-1])}")
    for subject in subjects:
        generator, form, count = subject
        row = {
            "id": id,
            "subject": "C",
            "generator": generator,
            "form": form,
            "threads": count,
            "num_envs": options.num_envs,
            "num_steps": num_steps,
            "steps_per_second": spread(rates[subject]),
            "last_run": {name: None if math.isnan(value) else value for name, value in statistics[subject].items()},
        }
        if count == options.devices:
            for name, mine in our_rates.items():
                row[OVER[name]] = spread([one / its for one, its in zip(mine, rates[subject])])
        ratio = "".join(f"  {text} {row[text]['median']:.2f}" for text in OVER.values() if text in row)
        print(f"{id:16} {generator:31} {form:8} {count} threads {rate_text(row)}{ratio}")
        rows.append(row)
    return rows


def runner(native, id, options, generator, form, threads):
    """A function that runs a number of steps in C, from where the last run ended: (steps per second, statistics)."""
    random = np.random.default_rng(0)
    shape = (options.num_envs // native.tile, LAYOUTS[id].start_words, native.tile)
    state = native.start(id, random.integers(0, 2**32, shape, np.uint32))
    first_steps = itertools.count(step=1 << 20)
    time_limit = jaxenvs.make_vec(id, 1).max_episode_steps
    step_batch = functools.partial(native.run, id, generator, state, form=form, threads=threads, time_limit=time_limit)

    def run(num_steps):
        first_step = next(first_steps)
        began = time.perf_counter()
        statistics = step_batch(num_steps=num_steps, first_step=first_step)
        rate = options.num_envs * num_steps / (time.perf_counter() - began)
        return rate, statistics._asdict()

    return run


def main_ratios(rows):
    """{id: {ours: {generator: median of ours / C}}} for the form of a scan and all threads."""
    ratios = {}
    for row in rows:
        for name, over in OVER.items():
            if row.get("form") == "scan" and over in row:
                ratios.setdefault(row["id"], {}).setdefault(name, {})[row["generator"]] = row[over]["median"]
    return ratios


def rate_text(row):
    rates = row["steps_per_second"]
    return f"{rates['median'] / 1e6:7.0f}M steps/s ({rates['min'] / 1e6:.0f} to {rates['max'] / 1e6:.0f})"


if __name__ == "__main__":
    main()
