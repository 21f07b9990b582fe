"""One process trains in a run's folder at a time."""

import contextlib
import os
import time
from pathlib import Path

from .plan import RunError

try:
    import fcntl
except ImportError:  # Windows has none: there, nothing is locked
    fcntl = None

#: The file that is locked. It says which process holds the lock, and is gone after it.
LOCK = ".lock"


@contextlib.contextmanager
def locked(folder):
    """While open, no other process gets the lock of this folder. The kernel releases it when the process ends.

    Args:
        folder: an existing folder.
    Raises:
        RunError: if another process has it, with the process's number.
    """
    path = Path(folder) / LOCK
    file = None if fcntl is None else _acquired(path)
    try:
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            file.close()


def _acquired(path):
    while True:
        # Open until it is closed; a symbolic link is not followed, as the file behind it would be emptied.
        file = open(path, "a+", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # pyright: ignore[reportOptionalMemberAccess]
        except OSError as error:
            with file:
                file.seek(0)
                raise RunError(f"{path.parent} is already being trained by process {file.read() or '?'}") from error
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.truncate(0)
            file.write(f"{os.getpid()} (started at {time.strftime('%H:%M')})")
            file.flush()
            return file
        # The holder before removed the file between our opening and locking it.
        file.close()
