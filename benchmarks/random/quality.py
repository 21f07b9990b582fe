"""How good the numbers of `jaxenvs.random.fast` are: published statistical tests of more than 1e9 draws.

    python -m benchmarks.random.quality                     # all; about five minutes on two cores
    python -m benchmarks.random.quality --only "pairs, top" # some tests; their rows are replaced in the file
    python -m benchmarks.random.quality --draws 1e6         # fewer words for each test and sequence

Words are drawn as environments draw them: keys as `rollout` and `VectorEnv.step` make them, arrays in the shapes that
environments ask for, several sizes of batch; `SEQUENCES` says in which orders they are tested. Beside `fast` stand
`jax.random` itself, a Weyl sequence and the hash of `fast` with 4, 8 and 12 of its 16 rounds: a test that passes the
first of these says nothing, and the others say how far `fast` is from where flaws can be seen.

A p-value is the probability of a statistic as large or larger. The verdict was set before the first run: two-sided
1e-4 for each (with 163 p-values for each generator, Bonferroni's bound for 5 % in all is 3e-4). What is beyond it
for `fast` or `jax.random` is tested again with another seed and ten times the draws, and both are kept.
"""

import argparse
import itertools
import json
import math
import time
import zlib

import jax
import numpy as np
import scipy.stats

from benchmarks.common import RESULTS, commit, save
from benchmarks.random.statistics import TESTS, coins
from benchmarks.random.streams import CHUNK, GENERATORS, SEQUENCES, chunks, flips

THRESHOLD = 1e-4
AVALANCHE = "avalanche"
# The others are bad, some on purpose.
TESTED = ("fast", "jax.random")


def avalanche(generator, kind, key, draws):
    """`Judged`, and how many words were drawn."""
    count, tosses, size = flips(generator)[kind]
    number = max(1, round(draws / size))
    heads = sum(np.asarray(count(key, index), np.int64) for index in range(number))
    return coins(heads, tosses * number), number * size


def measure(generator, name, sequence, draws, seed):
    """One test of one sequence: `Judged`, and how many words were drawn."""
    key = jax.random.key(zlib.crc32(f"{name}, {sequence}, {seed}".encode()))
    if name == AVALANCHE:
        return avalanche(generator, sequence, key, draws)
    test, words = TESTS[name], _cached_chunks(generator, sequence)
    number = max(1, round(draws / CHUNK))
    total = sum(test.count(words(key, index)) for index in range(number))
    return test.judge(total, CHUNK, number), number * CHUNK


_compiled = {}


def _cached_chunks(generator, sequence):
    if (generator, sequence) not in _compiled:
        _compiled[generator, sequence] = chunks(generator, SEQUENCES[sequence])
    return _compiled[generator, sequence]


def row_of(name, subject, draws=None):
    """All sequences of one test and generator."""
    generator = GENERATORS[subject]
    published = (
        "the strict avalanche criterion (Webster and Tavares 1985): each bit of a block changes in half of flips"
    )
    row: dict = {"test": name, "published": published if name == AVALANCHE else TESTS[name].published}
    row |= {"generator": subject, "draws": 0, "statistic": {}, "p": {}, "beyond": [], "commit": commit()}
    began = time.perf_counter()
    for sequence in flips(generator) if name == AVALANCHE else SEQUENCES:
        wanted = draws or generator.draws
        judged, made = measure(generator, name, sequence, wanted, 0)
        row["draws"] += made
        row["statistic"][sequence], row["p"][sequence] = judged.statistic, judged.above
        if judged.two_sided < THRESHOLD:
            row["beyond"].append(sequence)
            if subject in TESTED:
                again, made = measure(generator, name, sequence, 10 * wanted, 1)
                row.setdefault("again", {})[sequence] = {"draws": made, "p": again.above}
    row["seconds"] = round(time.perf_counter() - began, 1)
    return row


def summary(rows):
    """For each generator: draws, p-values, how many are beyond the threshold, and whether all look uniform together."""
    found = {}
    for subject in GENERATORS:
        mine = [row for row in rows if row["generator"] == subject]
        if not mine:
            continue
        p = np.array([p for row in mine for p in row["p"].values()])
        found[subject] = {
            "draws": sum(row["draws"] for row in mine),
            "p_values": len(p),
            "least": float(p.min()),
            "greatest": float(p.max()),
            "beyond": sum(len(row["beyond"]) for row in mine),
            "tests_failed_somewhere": sum(bool(row["beyond"]) for row in mine),
            "tests": len(mine),
            "p_values_uniform_kolmogorov_smirnov": float(scipy.stats.kstest(p, "uniform").pvalue),
        }
    return found


def rows_before(name):
    """Rows of an earlier run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


def number_of_draws(text):
    """A number of at least 1, such as 1e6."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, such as 1e6, got {text!r}")
    return number


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*TESTS, AVALANCHE]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="TEST", help=", ".join(names))
    parser.add_argument("--generators", nargs="+", choices=GENERATORS, default=[*GENERATORS], metavar="GENERATOR")
    parser.add_argument("--draws", type=number_of_draws, help="words for each test and sequence")
    parser.add_argument("--name", default="quality", help="results/NAME.json")
    options = parser.parse_args(arguments)
    rows = {(row["test"], row["generator"]): row for row in rows_before(options.name)}
    for test in options.only:
        for subject in options.generators:
            row = rows[test, subject] = row_of(test, subject, options.draws)
            p = row["p"].values()
            print(
                f"{test:20} {subject:14} {row['draws']:.1e} draws, p {min(p):.2g} to {max(p):.4g}, "
                f"{len(row['beyond'])} of {len(p)} beyond, {row['seconds']} s {row.get('again', '')}",
                flush=True,
            )
        found = [rows[place] for place in itertools.product(names, GENERATORS) if place in rows]
        save(options.name, found, threshold_two_sided=THRESHOLD, summary=summary(found))


if __name__ == "__main__":
    main()
