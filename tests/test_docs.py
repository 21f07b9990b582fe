"""Every example in the documentation runs: the docstrings', and the README's and docs' Python blocks."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import sys
import types
from pathlib import Path

import jax
import pytest

import jaxenvs
import train

ROOT = Path(__file__).parent.parent
# Their libraries are not in the lock: `make interop` runs these.
FOREIGN = {"jaxenvs.bridges.gymnax", "jaxenvs.bridges.sb3"}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules():
    for package in (jaxenvs, train):
        yield package.__name__
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__") and info.name not in FOREIGN:
                yield info.name


def pages():
    return sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    """JAX's ordinary settings in place of the suite's strict ones; ids that examples register are gone afterwards."""
    before = dict(jaxenvs.registry)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
    jaxenvs.registry.clear()
    jaxenvs.registry.update(before)


@pytest.mark.parametrize("name", sorted(modules()))
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.mark.parametrize("page", pages())
def test_python_blocks_run(page, monkeypatch):
    for block in BLOCK.findall((ROOT / page).read_text()):
        example = types.ModuleType("example")
        monkeypatch.setitem(sys.modules, "example", example)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(block, page, "exec"), vars(example))
        expected = re.findall(r"print\(.*?\) +# (\(.*\))", block)
        assert [line for line in expected if line.split(":")[0].strip() not in printed.getvalue()] == []


def test_readme_shows_the_two_commands_that_the_makefile_has():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    assert all(f"make {name}" in readme and f"\n{name}: " in makefile for name in ("train", "test"))
