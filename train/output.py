"""Standard streams that cannot be written to: what is shown is lost, and the computation continues."""

import contextlib
import errno
import os
import shlex
import sys


class Unbreakable:
    """A text stream whose failures are ignored: a full disk, a closed pipe, or no stream at all.

    Args:
        stream: a text stream, or None, as Python has it for a standard stream that is closed.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        """Writes what can be written; returns the number of characters, as if it could."""
        self._tried("write", text)
        return len(text)

    def flush(self):
        self._tried("flush")

    def isatty(self):
        return bool(self._tried("isatty"))

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def _tried(self, method, *args):
        try:
            return None if self._stream is None else getattr(self._stream, method)(*args)
        except (OSError, ValueError):  # ValueError: the stream was closed
            discard(self._stream)


@contextlib.contextmanager
def unbreakable_stderr():
    """While open, nothing fails because the standard error cannot be written to."""
    before = sys.stderr
    sys.stderr = Unbreakable(before)
    try:
        yield
    finally:
        sys.stderr = before


def show(text):
    """Prints a command's result on the standard output.

    Raises:
        OSError: if it cannot be written.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "the standard output is closed")
    try:
        print(text, flush=True)
    except OSError as error:
        discard(sys.stdout)
        raise OSError(error.errno, f"the standard output: {error.strerror}") from error


def discard(stream):
    """Sends the rest of a broken stream to nowhere: Python flushes it once more when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def command(*words):
    """A command of this package as a person can paste it.

    >>> command("resume", "my runs/1")
    "python -m jaxenvs resume 'my runs/1'"
    """
    return shlex.join(["python", "-m", "jaxenvs", *map(str, words)])
