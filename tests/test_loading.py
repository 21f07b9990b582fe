"""Environments named by where they are: "my_env.py:MyEnv" and "module:MyEnv"."""

# What is loaded from a file has constants that a type checker cannot know.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import pickle
import sys

import gymnasium
import pytest

import jaxenvs
from jaxenvs.loading import LoadError, absolute, class_name, load

TEXT = """
import gymnasium
import jaxenvs

class {name}(jaxenvs.Environment):
    max_episode_steps = 9
    size: float = {size}
    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(3)

class Classic(gymnasium.Env):
    pass

def make():
    pass
"""


@pytest.fixture(autouse=True)
def folder(empty_folder):
    return empty_folder


def write(path, name="Mine", size=1.0, before=""):
    path.write_text(before + TEXT.format(name=name, size=size))
    return path


def test_make_takes_a_file(folder):
    write(folder / "mine.py")
    env = jaxenvs.make("mine.py:Mine", size=2.0)
    assert (type(env).__name__, env.size) == ("Mine", 2.0)


def test_make_vec_takes_the_time_limit_of_a_files_class(folder):
    write(folder / "mine.py")
    assert jaxenvs.make_vec("mine.py:Mine", 2).max_episode_steps == 9


def test_a_file_can_be_registered(folder):
    path = write(folder / "mine.py")
    jaxenvs.register("tests/Mine-v0", f"{path}:Mine", size=3.0)
    try:
        assert jaxenvs.make("tests/Mine-v0").size == 3.0
        assert "tests/Mine-v0" in gymnasium.registry
    finally:
        del jaxenvs.registry["tests/Mine-v0"], gymnasium.registry["tests/Mine-v0"]


def test_a_module_and_its_class():
    assert load("jaxenvs.envs.heartpole:HeartPole") is jaxenvs.HeartPole


def test_a_file_with_one_environment_needs_no_class(folder):
    write(folder / "mine.py")
    assert load("mine.py").__name__ == "Mine"


def test_a_file_is_loaded_once_from_any_folder(folder, monkeypatch):
    write(folder / "mine.py")
    first = load("mine.py:Mine")
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert load("../mine.py:Mine") is first


def test_a_changed_file_is_loaded_again(folder):
    write(folder / "mine.py")
    assert load("mine.py:Mine")().size == 1.0
    write(folder / "mine.py", size=20.0)
    assert load("mine.py:Mine")().size == 20.0


def test_an_environment_from_a_file_survives_pickle(folder):
    write(folder / "mine.py")
    env = jaxenvs.make("mine.py:Mine", size=2.0)
    assert pickle.loads(pickle.dumps(env)) == env


def test_a_file_does_not_hide_the_module_of_its_name(folder):
    write(folder / "pathlib.py")
    assert load("pathlib.py:Mine").__name__ == "Mine"
    assert hasattr(sys.modules["pathlib"], "Path")


def test_two_files_of_one_name_stay_apart(folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    write(folder / "a" / "mine.py", size=1.0)
    write(folder / "b" / "mine.py", size=2.0)
    first, second = load("a/mine.py:Mine"), load("b/mine.py:Mine")
    assert (first().size, second().size) == (1.0, 2.0)
    assert pickle.loads(pickle.dumps(first())) == first()


def test_a_file_imports_modules_from_its_folder(folder, monkeypatch):
    (folder / "sub").mkdir()
    (folder / "sub" / "beside_mine.py").write_text("SIZE = 4.0\n")
    write(folder / "sub" / "mine.py", size="SIZE", before="from beside_mine import SIZE\n")
    assert load("sub/mine.py:Mine")().size == 4.0


def test_a_file_may_use_its_own_entry(folder):
    write(folder / "mine.py")
    with (folder / "mine.py").open("a") as file:
        file.write("\nENV = jaxenvs.make('mine.py:Mine')\n")
    assert load("mine.py:Mine").__name__ == "Mine"


def test_absolute_names_the_file_and_the_class(folder):
    write(folder / "mine.py")
    assert absolute("mine.py") == f"{(folder / 'mine.py').resolve()}:Mine"
    assert absolute("jaxenvs.envs.heartpole:HeartPole") == "jaxenvs.envs.heartpole:HeartPole"


def test_class_name_leaves_an_id_alone():
    assert (class_name("/a/b.py:Mine"), class_name("HeartPole-v0")) == ("Mine", "HeartPole-v0")


FAILURES = [
    ("absent.py:Mine", r"absent\.py: no such file$"),
    ("mime.py:Mine", r"mime\.py: no such file; did you mean mine\.py\?"),
    ("mine.py:Mime", r"mine\.py has no class Mime; did you mean Mine\? Its environments: Mine"),
    ("mine.py:Other", r"mine\.py has no class Other\. Its environments: Mine"),
    ("mine.py:make", r"make is not a subclass of jaxenvs\.Environment but a function\. Its environments: Mine"),
    (
        "mine.py:Classic",
        r"but a Gymnasium class \(docs/from_gymnasium\.md shows how to port it\)\. Its environments: Mine",
    ),
    ("broken.py:Mine", r"broken\.py:2: .*: `size = \(`"),
    ("raises.py:Mine", r"raises\.py cannot be loaded: raises\.py:1, in <module>, `1 / 0`: ZeroDivisionError"),
    ("exits.py:Mine", r"exits\.py cannot be loaded: exits\.py:1, in <module>.*SystemExit"),
    ("needs.py:Mine", r"needs\.py:1.*No module named 'nowhere_at_all'"),
    ("binary.py:Mine", r"binary\.py:(?!None)"),
    ("empty.py", r"empty\.py: it has no environment, which is a subclass of jaxenvs\.Environment"),
    ("two.py", r"two\.py: name one of its environments, two\.py:Mine \(Mine, More\)"),
    ("nowhere_at_all:Mine", r"no module named 'nowhere_at_all' can be imported; name a file with its \.py"),
    ("jaxenvs.nowhere:Mine", r"no module named 'jaxenvs\.nowhere'"),
    ("../folder:Mine", r"'\.\./folder' is neither a file that ends in \.py nor a module: write my_env\.py:MyEnv"),
    (":Mine", r"'' is neither a file that ends in \.py nor a module"),
    (".relative:Mine", r"'\.relative' is neither a file that ends in \.py nor a module"),
    ("raises:Mine", r"raises cannot be loaded: raises\.py:1, in <module>"),
    ("jaxenvs.envs.heartpole:HartPole", r"has no class HartPole; did you mean HeartPole\?"),
]


@pytest.mark.parametrize(("entry", "message"), FAILURES, ids=[entry for entry, _ in FAILURES])
def test_an_entry_without_an_environment_is_reported_in_one_line(entry, message, folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    write(folder / "mine.py")
    (folder / "broken.py").write_text("import os\nsize = (\n")
    (folder / "raises.py").write_text("1 / 0\n")
    (folder / "exits.py").write_text("raise SystemExit\n")
    (folder / "needs.py").write_text("import nowhere_at_all\n")
    (folder / "binary.py").write_bytes(b"\xff\xfe\x00")
    (folder / "empty.py").write_text("import jaxenvs\n")
    write(folder / "two.py").write_text((folder / "two.py").read_text() + "\nclass More(Mine):\n    pass\n")
    with pytest.raises(LoadError, match=message) as caught:
        load(entry)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_fails_leaves_no_module_behind(folder):
    (folder / "raises.py").write_text("1 / 0\n")
    with pytest.raises(LoadError):
        load("raises.py:Mine")
    assert "raises" not in sys.modules
