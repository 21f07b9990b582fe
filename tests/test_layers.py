"""The floors of the house: a file imports only from floors below its own. `docs/design.md` says why."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# Modules of one floor, from the ground up; a name stands for the file or for everything in the package.
JAXENVS = [
    {
        "jaxenvs.core",
        "jaxenvs.spaces",
        "jaxenvs.constants",
        "jaxenvs.definition",
        "jaxenvs.random",
        "jaxenvs.devices",
        "jaxenvs.trig",
        "jaxenvs.physics",
        "jaxenvs.render",
    },
    {"jaxenvs.envs"},
    {"jaxenvs.vector", "jaxenvs.rollout", "jaxenvs.fused", "jaxenvs.check", "jaxenvs.entries"},
    {"jaxenvs.registry"},
    {"jaxenvs.bridges"},
    {"jaxenvs"},
    {"jaxenvs.starter"},
    {"jaxenvs.__main__"},
]
TRAIN = [
    {
        "train.returns",
        "train.replay",
        "train.networks",
        "train.distributions",
        "train.evaluate",
        "train.checkpoint",
        "train.log",
        "train.cache",
        "train.devices",
        "train.film",
        "train.curve",
    },
    {"train.ppo", "train.dqn", "train.td3"},
    {
        "train.presets",
        "train.programs",
        "train.sweep",
        "train.run",
        "train.report",
        "train.trial",
        "train.__main__",
        "train",
    },
]
# Floors whose files may read each other.
OPEN_FLOORS = (JAXENVS[0], JAXENVS[2], TRAIN[0], TRAIN[2])

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("jaxenvs", "train")
    for path in sorted((ROOT / package).rglob("*.py"))
}
each_file = pytest.mark.parametrize("module", FILES)


def floors_of(module):
    return JAXENVS if module.split(".")[0] == "jaxenvs" else TRAIN


def entry(module):
    """The longest name in the table that stands for a module, and its floor."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for height, names in enumerate(floors_of(module)):
            if name in names and (length > 1 or len(parts) == 1):
                return name, height
    raise AssertionError(f"{module} is on no floor: give it one in tests/test_layers.py")


def imports(module, nodes=None):
    """Every module that a file imports: absolute names, submodules in place of the packages they are taken from."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())) if nodes is None else nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield f"{source}.{alias.name}" if f"{source}.{alias.name}" in FILES else source


def at_module_level(module):
    """The nodes of a file that run when it is imported: all but the bodies of functions."""
    pending: list[ast.AST] = list(ast.parse(FILES[module].read_text()).body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def of_this_repository(names):
    return {name for name in names if name.split(".")[0] in ("jaxenvs", "train")}


@each_file
def test_every_file_is_on_a_floor(module):
    entry(module)


@each_file
def test_a_file_imports_only_from_floors_below(module):
    name, height = entry(module)
    for imported in of_this_repository(imports(module)):
        if imported.split(".")[0] != module.split(".")[0]:
            continue
        other, other_height = entry(imported)
        beside = other_height == height and (other == name or floors_of(module)[height] in OPEN_FLOORS)
        assert other_height < height or beside, f"{module} (floor {height}) imports {imported} (floor {other_height})"


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("jaxenvs.envs.")])
def test_an_environment_imports_no_other_environments_file_but_that_of_what_it_is_a_variant_of(module):
    others = {name for name in imports(module) if name.startswith("jaxenvs.envs.")} - {module}
    assert all(re.fullmatch(rf"{re.escape(other)}_v\d+", module) for other in others)


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("jaxenvs.envs.")])
def test_an_environment_imports_pictures_lazily(module):
    assert not {name for name in imports(module, at_module_level(module)) if name.startswith("jaxenvs.render")}


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("jaxenvs.render")])
def test_pictures_import_nothing_of_ours_but_pictures(module):
    assert {name for name in of_this_repository(imports(module)) if not name.startswith("jaxenvs.render")} == set()


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("jaxenvs.bridges.")])
def test_a_bridge_imports_no_bridge_to_another_world(module):
    bridges = {name for name in imports(module) if name.startswith("jaxenvs.bridges.")}
    assert {world(name) for name in bridges} <= {world(module), "packing"}


def world(bridge):
    """`gymnasium` of both `jaxenvs.bridges.gymnasium` and `jaxenvs.bridges.gymnasium_vector`."""
    return bridge.split(".")[2].split("_")[0]


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("jaxenvs")])
def test_jaxenvs_never_imports_train(module):
    assert not {name for name in imports(module) if name.split(".")[0] == "train"}


@pytest.mark.parametrize(
    "module", [name for name in FILES if name.startswith("jaxenvs") and not name.startswith("jaxenvs.bridges.")]
)
def test_jaxenvs_imports_jax_numpy_and_gymnasium_only(module):
    roots = {name.split(".")[0] for name in imports(module, at_module_level(module))}
    assert roots - set(sys.stdlib_module_names) <= {"jaxenvs", "jax", "numpy", "gymnasium"}


@each_file
def test_no_file_imports_tests_or_benchmarks(module):
    assert not {name.split(".")[0] for name in imports(module)} & {"tests", "benchmarks", "reference"}


def test_importing_jaxenvs_loads_nothing_beyond_jax_and_gymnasium():
    code = "import jaxenvs, sys; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = [
        "PIL",
        "matplotlib",
        "optax",
        "torch",
        "pygame",
        "tqdm",
        "tensorboardX",
        "imageio_ffmpeg",
        "gymnax",
        "train",
    ]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
