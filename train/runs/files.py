"""Files that are complete under their name or not there: written under another name, synced and renamed."""

import contextlib
import os
import shutil
from pathlib import Path


def copy(path, to):
    """Gives a file another name besides, or copies it on file systems without links; `to` is replaced at once."""
    path, to = Path(path), Path(to)
    link = to.with_name(f".{to.name}.{os.getpid()}")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link, follow_symlinks=False)
    except (OSError, NotImplementedError):
        with replacing(to) as file, open(path, "rb") as source:
            shutil.copyfileobj(source, file)
    else:
        os.replace(link, to)
        _sync(to.parent)


def older(path, age):
    """Where the checkpoint of `age` saves before the newest is kept: state-1.npz for state.npz.

    >>> older("runs/mine/state.npz", 1).as_posix()
    'runs/mine/state-1.npz'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}-{age}{path.suffix}")


@contextlib.contextmanager
def replacing(path, *, keep=1):
    """A binary file to write, which takes the place of `path` once it is complete and on the disk.

    A symbolic link at `path` is replaced, and what it points to stays as it is.

    Args:
        path: where to.
        keep: how many are kept, the new one included, as `save` says.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _age(path, keep)
        os.replace(unfinished, path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _age(path, keep):
    """Makes each kept file one older; the newest stays under its own name too, so that one is always there."""
    if keep < 2 or path.is_symlink() or not path.is_file():
        return
    for age in range(keep - 1, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(older(path, age - 1), older(path, age))
    previous = older(path, 1)
    link = previous.with_name(f".{previous.name}.{os.getpid()}")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link, follow_symlinks=False)
    except (OSError, NotImplementedError):  # file systems without links
        os.replace(path, previous)
    else:
        os.replace(link, previous)


def _sync(folder):
    """Puts a folder's names on the disk, where the system can."""
    with contextlib.suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def unfinished_files(folder):
    """What saves that were killed have left in a folder: a list of paths."""
    return [path for path in Path(folder).glob(".*.*") if path.suffix[1:].isdecimal()]
