"""Every example in the documentation runs: the docstrings', the README's blocks, and the full pages of docs."""

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import jax
import pytest

import jaxenvs
import train

ROOT = Path(__file__).parent.parent
# Their libraries are not in the lock: `make interop` runs these.
FOREIGN = {"jaxenvs.bridges.gymnax", "jaxenvs.bridges.sb3", "train.sweeps.ray_trainable"}
# Pages whose programs take ten seconds and more to compile.
LONG_PAGES = {"constants.md", "python.md", "sweeps.md", "write_your_own.md"}
PAGE_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Added to commands of a page that train, so that they take a moment.
TINY = (
    "--total-steps 128 --num-envs 8 --num-steps 16 --epochs 1 --minibatches 2 --hidden 8 --episodes 2 --film-episodes 1"
)
SHORT = {"ppo": f"{TINY} --quiet", "resume": "--episodes 2 --film-episodes 0 --quiet", "evaluate": "--episodes 2"}
#: Pages whose commands are run; those of the others train for minutes, or on several machines.
RUN = {"from_gymnasium.md", "python.md", "write_your_own.md"}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules():
    for package in (jaxenvs, train):
        yield package.__name__
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__") and info.name not in FOREIGN:
                yield info.name


def pages():
    return sorted(path.name for path in ROOT.glob("*.md"))


@pytest.fixture(autouse=True)
def as_a_user_has_it():
    """JAX's default settings instead of the suite's strict ones; ids that examples register are gone afterwards."""
    before = dict(jaxenvs.registry)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
    jaxenvs.registry.clear()
    jaxenvs.registry.update(before)


@pytest.mark.parametrize("name", sorted(modules()))
def test_docstring_examples_run(name, quick_compiles):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


@pytest.mark.parametrize("page", pages())
def test_python_blocks_run(page, monkeypatch, empty_folder, quick_compiles):
    if page == "README.md":
        assert run("jaxenvs train ppo --env HeartPole-v0") == 0  # for the block that loads it
    for block in BLOCK.findall((ROOT / page).read_text()):
        example = types.ModuleType("example")
        monkeypatch.setitem(sys.modules, "example", example)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(as_in_a_checkout(block), page, "exec"), vars(example))
        expected = re.findall(r"print\(.*?\) +# (\(.*\))", block)
        assert [line for line in expected if line.split(":")[0].strip() not in printed.getvalue()] == []


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(path.name, marks=[pytest.mark.slow] * (path.name in LONG_PAGES))
        for path in sorted((ROOT / "docs").glob("*.md"))
    ],
)
def test_a_page_runs_from_top_to_bottom(page, empty_folder, monkeypatch, capsys, quick_compiles):
    """In an empty folder: Python blocks in one namespace, those that begin with a file's name as that file."""
    namespace = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", namespace)
    for kind, block in PAGE_BLOCK.findall((ROOT / "docs" / page).read_text()):
        if kind == "console":
            commands = [line[2:] for line in block.splitlines() if line.startswith("$ ") and page in RUN]
            assert [command for command in commands if run(command) != 0] == []
        elif file := re.match(r"# (\w+\.py)\n", block):
            Path(file[1]).write_text(block)
        else:
            capsys.readouterr()
            exec(compile(as_in_a_checkout(block), page, "exec"), vars(namespace))
            expected = re.findall(r"print\(.*\) +# (\(.*\))", block)
            printed = capsys.readouterr().out.splitlines()
            assert [line for line in expected if line not in printed] == []


def test_the_block_that_wants_a_process_of_its_own_runs_in_one():
    (block,) = re.findall(
        r"^ *```python alone\n(.*?)^ *```$", (ROOT / "docs" / "performance.md").read_text(), re.MULTILINE | re.DOTALL
    )
    # A batch must divide among the cores: on any machine, the block gets two of them at most.
    cores = sorted(os.sched_getaffinity(0))[:2]
    code = f"import os; os.sched_setaffinity(0, {cores})\n{textwrap.dedent(block)}"
    command = [sys.executable, "-c", f"{code}assert len(obs.sharding.device_set) == {len(cores)}"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0


def as_in_a_checkout(block):
    """A block that names the trainers as this process has them: an installed package has them as `jaxenvs.train`."""
    return block.replace("from jaxenvs import train", "import train").replace("from jaxenvs.train", "from train")


def run(command):
    """The exit status of a command of a page, run in this process, which has JAX already; 0 for other programs."""
    if not command.startswith("jaxenvs "):
        return 0
    name, *rest = shlex.split(command, comments=True)[1:]
    if name == "train":
        name, *rest = rest
    if name == "new":
        Path(rest[0]).unlink(missing_ok=True)
    package = "jaxenvs" if name in ("new", "check") else "train"
    return importlib.import_module(f"{package}.__main__").main([name, *rest, *SHORT.get(name, "").split()])


def test_readme_shows_the_two_commands_that_the_makefile_has():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    assert all(f"make {name}" in readme and f"\n{name}: " in makefile for name in ("train", "test"))
