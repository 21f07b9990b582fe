"""From an exception inside an author's code to the line that raised it, what is wrong there, and the fix."""

import inspect
import linecache
import os
import sys
import traceback

from jaxenvs.core import Environment
from jaxenvs.explain.mistakes import fitting
from jaxenvs.explain.names import explain_name

_ELSEWHERE = "no line of the class raised it: check the values that its methods return, and their arguments"


def explain(error, files):
    """Explains an exception from an environment's code.

    Args:
        error: the exception.
        files: the names of the files with the author's code.
    Returns:
        (found, fix), both str; `found` begins with the author's line where there is one.
    """
    frame = _last_frame(error, files)
    message = f"{type(error).__name__}: {first_line(error)}"
    if frame is None:
        found, fix = _fitting(error, "")
        return (f"{found} ({message})", fix) if found else (message, _ELSEWHERE)
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    found, fix = _fitting(error, line)
    return f"{place(frame)}: {found} ({message})" if found else f"{place(frame)}: {message}", fix


def _fitting(error, line):
    return explain_name(error) or fitting(error, line)


def _last_frame(error, files):
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return frames[-1] if frames else None


def first_line(error):
    """The first line of an exception's message."""
    return next(iter(str(error).strip().splitlines()), "no message")


def place(frame):
    """A frame in words: "my_env.py:42, in step, `if state.x > 1:`".

    Args:
        frame: a `traceback.FrameSummary`.
    """
    path = os.path.relpath(frame.filename) if os.path.isabs(frame.filename) else frame.filename
    path = frame.filename if path.startswith("..") else path
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{path}:{frame.lineno}, in {frame.name}" + (f", `{line}`" if line else "")


def author_files(cls):
    """The names of the files in which a class and its bases are defined, spelled as in tracebacks."""
    files = set()
    for owner in cls.__mro__:
        if owner in (Environment, object):
            continue
        files.add(getattr(sys.modules.get(owner.__module__), "__file__", None))
        for name, member in vars(owner).items():
            code = getattr(inspect.unwrap(getattr(member, "fget", None) or member), "__code__", None)
            files.add(None if name.startswith("__") else getattr(code, "co_filename", None))
    return frozenset(file for file in files if file)


def where(equation, files):
    """ ", at my_env.py:42, in step, `line`" for the author's line of an equation; empty if JAX does not record it."""
    frames = getattr(getattr(equation.source_info, "traceback", None), "frames", ())
    own = [frame for frame in frames if frame.file_name in files]
    if not own:
        return ""
    return f", at {place(traceback.FrameSummary(own[0].file_name, own[0].line_num, own[0].function_name))}"
