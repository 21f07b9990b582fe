"""Records every use of every key, by a generator that draws the same numbers as JAX's."""

import collections
import contextlib
import functools
import sys
import traceback
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer
from jax.extend import random as jex_random

from jaxenvs.explain.blame import place

_threefry = jex_random.threefry_prng_impl


class Use(NamedTuple):
    """One use of one key."""

    #: "split", "drawn from" or "folded into".
    what: str
    #: The key's own numbers.
    key: bytes
    #: The author's line, in words; None if only a library used the key.
    place: str | None
    #: The frame of the `jax.random` function that the author's line called; None for any other caller.
    call: Any
    #: The shape of what was drawn.
    shape: tuple[int, ...] = ()


class _Recorder:
    files: frozenset[str] = frozenset()
    uses: list[Use] | None = None


@contextlib.contextmanager
def recorded(files):
    """Collects, as a list of `Use`, the uses of keys made by `watched` inside this context.

    Args:
        files: the names of the files with the author's code.
    """
    before = _Recorder.files, _Recorder.uses
    uses = []
    _Recorder.files, _Recorder.uses = files, uses
    try:
        yield uses
        jax.effects_barrier()
    finally:
        _Recorder.files, _Recorder.uses = before


def watched(key):
    """The same key with its uses recorded; outside `jax.jit` it draws the same numbers.

    Args:
        key: a threefry2x32 key.
    """
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=_recording_threefry())


def reused(uses):
    """Pairs of uses of one key that make its numbers dependent; at most one pair per key.

    A key may be split once, or drawn from once, or folded with any numbers. If `fold_in` returns the same key twice,
    it is reported where it is used twice.
    """
    seen = collections.defaultdict(list)
    for use in uses:
        seen[use.key].append(use)
    for same in seen.values():
        pairs = ((first, second) for i, first in enumerate(same) for second in same[i + 1 :])
        pair = next((pair for pair in pairs if _clash(*pair)), None)
        if pair is not None:
            yield pair


def _clash(first, second):
    if first.what == second.what == "folded into":
        return False
    # One call of a library function, such as jax.random.binomial, may use its key in two ways by design.
    return first.call is None or first.call is not second.call


@functools.cache
def _recording_threefry():
    return jex_random.define_prng_impl(
        key_shape=(2,),
        seed=_threefry.seed,
        split=_split,
        random_bits=_random_bits,
        fold_in=_fold_in,
        name="threefry2x32_watched",
        tag="fry_watched",
    )


def _split(key, shape):
    record("split", key)
    with jax.disable_jit(False):
        return _threefry.split(key, shape)


def _random_bits(key, bit_width, shape):
    record("drawn from", key, shape)
    with jax.disable_jit(False):
        return _threefry.random_bits(key, bit_width, shape)


def _fold_in(key, data):
    record("folded into", key)
    with jax.disable_jit(False):
        return _threefry.fold_in(key, data)


def record(what, key, shape=()):
    """Notes one use of a key inside `recorded`; nothing outside it."""
    uses = _Recorder.uses
    if uses is None:
        return
    where, call = _author_line(_Recorder.files)
    note = lambda value: uses.append(Use(what, np.asarray(value).tobytes(), where, call, shape))  # noqa: E731
    if isinstance(key, Tracer):
        jax.debug.callback(note, key)
    else:
        note(key)


def _author_line(files):
    frame, inner = sys._getframe(2), None
    while frame is not None and frame.f_code.co_filename not in files:
        frame, inner = frame.f_back, frame
    if frame is None or inner is None:
        return None, None
    library = inner.f_globals.get("__name__", "").startswith("jax._src.random")
    summary = traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    return place(summary), inner if library else None
