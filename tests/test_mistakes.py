"""Mistakes of an author in their own file, and the report: the line or the field, and the fix.

Each mistake is an edit of what `python -m jaxenvs new` writes; `# here` marks the line that has to be named. The rules
of `check_env` have more of them in `test_check.py`.
"""

import re

import jax
import pytest
from reference.mistakes import DT, MISTAKES

import jaxenvs
from jaxenvs.__main__ import main
from jaxenvs.check import _RULES as RULES
from jaxenvs.check.engine import examine
from jaxenvs.check.probe import Probe
from jaxenvs.loading import LoadError, load


@pytest.fixture
def my_env(empty_folder):
    """A new my_env.py, in a new current folder."""
    assert main(["new", "my_env.py"]) == 0
    return empty_folder / "my_env.py"


@pytest.fixture(autouse=True)
def as_an_author_has_it(quick_compiles):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def edit(path, edits):
    """Makes the edits; returns "my_env.py:12, in" for the marked line, empty without a mark."""
    text = path.read_text()
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    marked = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here")]
    return f"my_env.py:{marked[0]}, in" if marked else ""


def with_needs(name):
    """A rule after those that it needs."""
    wanted = {name}
    for rule in reversed(RULES):
        wanted |= set(rule.needs) if rule.name in wanted else set()
    return [rule for rule in RULES if rule.name in wanted]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_with_its_place_and_its_fix(name, my_env):
    mistake = MISTAKES[name]
    place = edit(my_env, mistake.edits)
    if mistake.rule == "class":
        with pytest.raises(LoadError) as caught:
            load("my_env.py:MyEnv")
        report = str(caught.value)
        assert re.search(r"my_env\.py:\d+, in", report)
        assert all(part in report for part in (place, mistake.found, mistake.fix))
        return
    cls = load("my_env.py:MyEnv")
    report = examine(with_needs(mistake.rule), Probe(cls if mistake.rule == "environment" else cls()))
    assert {finding.rule for finding in report.findings} == {mistake.rule}, str(report)
    finding = report.findings[0]
    assert place in finding.found
    assert mistake.found in finding.found
    assert mistake.fix in finding.fix


def test_an_unknown_constant_that_lacks_its_type_is_named(my_env):
    edit(my_env, {DT: "    dt = 0.1\n"})
    with pytest.raises(TypeError, match=r"MyEnv: dt is not a constant, because it has no type: write dt: float = 0\.1"):
        jaxenvs.make("my_env.py:MyEnv", dt=0.2)


def test_a_constant_is_never_assigned(my_env):
    env = jaxenvs.make("my_env.py:MyEnv")
    with pytest.raises(AttributeError, match="cannot assign to field 'loss'"):
        env.loss = 0.3  # pyright: ignore[reportAttributeAccessIssue]


def test_there_are_mistakes_enough():
    assert len(MISTAKES) >= 60
