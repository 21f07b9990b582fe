"""A run's folder names code: the file or module of its environment, which reading the run executes."""

import sys
from pathlib import Path

from jaxenvs.loading import is_entry

from .plan import RunError, read_plan


def check(folder, trusted=False):
    """Says on the standard error which code a run's folder names, before it is executed.

    Args:
        folder: the run's folder.
        trusted: whether that code may lie anywhere.
    Raises:
        RunError: if the folder holds no run, or for a file outside the working directory that is not trusted.
    """
    check_entry(read_plan(folder).env, folder, trusted)


def check_entry(entry, folder, trusted=False):
    """As `check`, for the environment that a folder is known to name."""
    if not is_entry(entry):
        return
    where = entry if entry.endswith(".py") else entry.rpartition(":")[0]
    if not where.endswith(".py"):
        print(f"loading the module {where}", file=sys.stderr)
        return
    path = Path(where).expanduser().resolve()
    if not path.is_file():
        return
    if not trusted and not path.is_relative_to(Path.cwd()):
        raise RunError(
            f"{folder} would execute {path}, which is outside the working directory: read that file, and add --trust "
            "if it may run"
        )
    print(f"loading {path}", file=sys.stderr)
