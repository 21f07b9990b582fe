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
    {"jaxenvs.misuse"},
    {
        "jaxenvs.captured",
        "jaxenvs.constants",
        "jaxenvs.devices",
        "jaxenvs.ids",
        "jaxenvs.precision",
        "jaxenvs.random",
        "jaxenvs.render",
        "jaxenvs.settings",
        "jaxenvs.physics.trig",
    },
    {"jaxenvs.physics", "jaxenvs.spaces"},
    {"jaxenvs.definition"},
    {"jaxenvs.core"},
    {"jaxenvs.envs"},
    {"jaxenvs.vector"},
    {"jaxenvs.rollout"},
    {"jaxenvs.explain"},
    {"jaxenvs.check", "jaxenvs.loading"},
    {"jaxenvs.registry"},
    {"jaxenvs.experimental", "jaxenvs.show"},
    {"jaxenvs.controls"},
    {"jaxenvs.bridges", "jaxenvs.play"},
    {"jaxenvs.public"},
    {"jaxenvs"},
    {"jaxenvs.starter"},
    {"jaxenvs.__main__"},
]
TRAIN = [
    {"train.floor", "train.output", "train.tuned"},
    {"train.algorithm"},
    {"train.ppo", "train.dqn", "train.pqn", "train.td3", "train.sac"},
    {"train.presets"},
    {"train.runs"},
    {"train.reports"},
    {"train.sweeps"},
    {"train.runs.load"},
    {"train.exports"},
    {"train.showing", "train.sweeping", "train.options"},
    {"train.sweep_options"},
    {"train.finishing", "train.planning"},
    {"train.commands"},
    {"train", "train.__main__"},
]

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
    """Every module that a file imports: absolute names, submodules instead of the packages they are imported from."""
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
        assert other_height < height or other == name, (
            f"{module} (floor {height}) imports {imported} (floor {other_height})"
        )


def reached(module):
    """Every file of this repository that is imported with a file."""
    found, pending = set(), {module}
    while pending:
        found |= pending
        pending = {name for one in pending for name in imports(one, at_module_level(one)) if name in FILES} - found
    return found


def test_loading_an_environment_from_a_file_needs_no_test_of_the_contract():
    assert not {name for name in reached("jaxenvs.loading") if name.startswith("jaxenvs.check")}


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


@pytest.mark.parametrize("module", [name for name in FILES if name.split(".")[0] == "train"])
def test_train_imports_its_own_files_by_relative_imports(module):
    """The folder is `train` in a checkout, and `jaxenvs.train` where the project is installed."""
    absolute = [node for node in ast.walk(ast.parse(FILES[module].read_text())) if not getattr(node, "level", 0)]
    assert not {name for name in imports(module, absolute) if name.split(".")[0] == "train"}


@pytest.mark.parametrize(
    "module", [name for name in FILES if name.startswith("jaxenvs") and not name.startswith("jaxenvs.bridges.")]
)
def test_jaxenvs_imports_jax_numpy_and_gymnasium_only(module):
    roots = {name.split(".")[0] for name in imports(module, at_module_level(module))}
    assert roots - set(sys.stdlib_module_names) <= {"jaxenvs", "jax", "numpy", "gymnasium"}


@each_file
def test_no_file_imports_tests_or_benchmarks(module):
    assert not {name.split(".")[0] for name in imports(module)} & {"tests", "benchmarks", "reference"}


def loaded_by(code, *modules):
    """Which of some modules are loaded after a piece of code."""
    code = f"import sys; {code}; print(*[m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_importing_jaxenvs_loads_no_jax_before_a_name_is_used():
    assert loaded_by("import jaxenvs", "jax", "gymnasium") == ["gymnasium"]
    assert loaded_by("import jaxenvs; jaxenvs.make", "jax") == ["jax"]


def test_loading_a_file_imports_no_file_of_check():
    assert loaded_by("import jaxenvs.loading", "jaxenvs.check", "jaxenvs.explain") == ["jaxenvs.explain"]


def test_using_jaxenvs_loads_nothing_beyond_jax_and_gymnasium():
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
        "flax",
        "chex",
        "train",
        "jaxenvs.train",
    ]
    assert loaded_by("import jaxenvs; jaxenvs.make", *heavy) == []


def test_trying_an_environment_before_training_imports_no_file_of_check():
    assert loaded_by("import train.runs.trial", "jaxenvs.check", "jaxenvs.explain") == ["jaxenvs.explain"]
