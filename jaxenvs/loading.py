"""Environments named by their location: "my_env.py:MyEnv" in a file, "package.module:MyEnv" in a module."""

import difflib
import importlib
import importlib.machinery
import importlib.util
import linecache
import re
import sys
import types
import zlib
from pathlib import Path

import gymnasium

from jaxenvs.core import Environment
from jaxenvs.explain.blame import explain, first_line

#: The modules that `load` made from files: {path: ((time of the last change, size), module)}.
_loaded = {}


class LoadError(ValueError):
    """An entry that names no environment; the message is one line."""


def is_entry(text):
    """Whether a text is an entry rather than an id.

    >>> is_entry("my_env.py:MyEnv"), is_entry("package.module:MyEnv"), is_entry("HeartPole-v0")
    (True, True, False)
    """
    return isinstance(text, str) and (":" in text or text.endswith(".py"))


def load(entry):
    """The class of the environment that an entry names.

    A file is loaded once, and again when it has changed; its folder is searched last for its own imports.

    Args:
        entry: "path.py:Class", "module:Class", or just "path.py" if the file has one environment.
    Raises:
        LoadError: if there is no such file, module or class, if loading it fails (with the line), or if the class is
            not an `Environment`.

    >>> load("jaxenvs.envs.heartpole:HeartPole").__name__
    'HeartPole'
    """
    where, name = _parts(entry)
    module = _file(Path(where)) if where.endswith(".py") else _imported(where)
    return _environment(module, where, name)


def absolute(entry):
    """The entry that means the same from any folder; a module's is not changed.

    Raises:
        LoadError: as `load`.
    """
    where, _ = _parts(entry)
    name = load(entry).__name__
    return f"{Path(where).resolve() if where.endswith('.py') else where}:{name}"


def class_name(entry):
    """The part of an entry after its file or module: "MyEnv" of "my_env.py:MyEnv"; an id is not changed."""
    return _parts(entry)[1] if is_entry(entry) else entry


def _parts(entry):
    where, _, name = (entry, "", "") if entry.endswith(".py") else entry.rpartition(":")
    return where, name


def _file(path):
    path = path.expanduser().resolve()
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise LoadError(f"{_shown(path)}: {what}{_near(path)}")
    stamp = path.stat().st_mtime_ns, path.stat().st_size
    if path in _loaded and _loaded[path][0] == stamp:
        return _loaded[path][1]
    module = types.ModuleType(_module_name(path))
    module.__file__ = str(path)
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, origin=str(path))
    # Before running it: a file may call `make` with its own entry.
    _loaded[path] = stamp, module
    try:
        _run(path, module)
    except LoadError:
        del _loaded[path]
        raise
    return module


def _near(path):
    there = [other.name for other in path.parent.glob("*.py")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def _run(path, module):
    """Runs a file's code in a module, which is importable (for pickle) under its name from then on."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    linecache.checkcache(str(path))
    try:
        # Not through the import system, whose cached bytecode misses a change within the same second.
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:
        sys.modules.pop(module.__name__)
        if before is not None:
            sys.modules[module.__name__] = before
        raise LoadError(_failure(error, str(path), _shown(path))) from error


def _module_name(path):
    """The file's own name, unless it would hide another module."""
    name = re.sub(r"\W", "_", path.stem)
    known = sys.modules.get(name)
    if known is not None:
        return name if getattr(known, "__file__", None) == str(path) else f"{name}_{zlib.crc32(bytes(path)):08x}"
    found = importlib.util.find_spec(name)
    return name if found is None or found.origin == str(path) else f"{name}_{zlib.crc32(bytes(path)):08x}"


def _imported(name):
    if not all(part.isidentifier() for part in name.split(".")):
        raise LoadError(f"{name!r} is neither a file that ends in .py nor a module: write my_env.py:MyEnv")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise LoadError(f"no module named {error.name!r} can be imported; name a file with its .py") from error
        raise LoadError(f"{name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        found = importlib.util.find_spec(name)
        raise LoadError(_failure(error, found.origin if found else "", name)) from error


def _failure(error, file, shown):
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        where = _shown(Path(error.filename)) if error.filename else shown
        number = "" if error.lineno is None else f":{error.lineno}"
        return f"{where}{number}: {error.msg}" + (f": `{line}`" if line else "")
    if isinstance(error, UnicodeDecodeError):
        return f"{shown}: not a text file in UTF-8 ({first_line(error)})"
    return f"{shown} cannot be loaded: {explain(error, {file})[0]}"


def _environment(module, where, name):
    there = _environments(module)
    if not name:
        if len(there) == 1:
            return vars(module)[there[0]]
        none = "it has no environment, which is a subclass of jaxenvs.Environment"
        named = f"name one of its environments, {where}:{there[0]}" if there else none
        raise LoadError(f"{where}: {named}{' (' + ', '.join(there) + ')' if there else ''}")
    found = getattr(module, name, None)
    if found is None:
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise LoadError(f"{where} has no class {name}{hint} Its environments: {', '.join(there) or 'none'}")
    if isinstance(found, type) and issubclass(found, Environment) and found is not Environment:
        return found
    what = f"a {type(found).__name__}"
    if isinstance(found, type):
        gymnasiums = issubclass(found, gymnasium.Env)
        what = "a Gymnasium class (docs/from_gymnasium.md shows how to port it)" if gymnasiums else "another class"
    raise LoadError(
        f"{where}: {name} is not a subclass of jaxenvs.Environment but {what}. "
        f"Its environments: {', '.join(there) or 'none'}"
    )


def _environments(module):
    """The names of the environments that a module defines."""
    return [
        name for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Environment) and value.__module__ == module.__name__
    ]  # fmt: skip


def _shown(path):
    """A path relative to the current folder, if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
