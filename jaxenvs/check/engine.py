"""`Rule`, one sentence of the contract with the function that checks it, and `examine`, which checks them in order."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxenvs.check.report import Finding, Report, Skipped
from jaxenvs.explain.blame import explain


class Rule(NamedTuple):
    """One sentence of the contract."""

    name: str
    #: The sentence: what an environment that keeps the rule does.
    statement: str
    #: The rules without which this one cannot be checked.
    needs: tuple[str, ...]
    #: A function of a `Probe` that yields `(found, expected, fix)` for each violation.
    check: Callable[[Any], Any]


class NotApplicable(Exception):
    """Raised by a check where its rule says nothing about the environment; the message is the reason."""


def rule(name, statement, needs=()):
    """Makes a `Rule` of the function below it.

    Args:
        name: a short name, in words joined by hyphens.
        statement: the rule as a sentence about an environment that keeps it.
        needs: the names of earlier rules that must hold first.
    """
    return lambda check: Rule(name, statement, tuple(needs), check)


def examine(rules, probe):
    """Checks the rules in order.

    Args:
        rules: `Rule`s, each after those it needs.
        probe: the `Probe` of an environment.
    Returns:
        A `Report`. An exception inside a check is also a finding: it comes from the environment's code.
    """
    held, findings, skipped, measured = [], [], [], {}
    roots = {}  # For each rule that is broken, or depends on one that is: the broken ones.
    for one in rules:
        broken_needs = list(dict.fromkeys(root for need in one.needs for root in roots.get(need, ())))
        if broken_needs:
            roots[one.name] = broken_needs
            skipped.append(Skipped(one.name, f"depends on {', '.join(broken_needs)}"))
            continue
        try:
            broken = _broken(one, probe)
        except NotApplicable as reason:
            skipped.append(Skipped(one.name, str(reason)))
            continue
        findings.extend(broken)
        measured |= {one.name: probe.measured} if probe.measured else {}
        if broken:
            roots[one.name] = [one.name]
        else:
            held.append(one.name)
    return Report(repr_of(probe.env), tuple(held), tuple(findings), tuple(skipped), measured)


def _broken(one, probe):
    probe.measured = {}
    try:
        return [Finding(one.name, *violation) for violation in one.check(probe)]
    except NotApplicable:
        raise
    except Exception as error:
        found, fix = explain(error, probe.author_files)
        return [Finding(one.name, found, one.statement, fix)]


def repr_of(env):
    """`repr(env)`, or the name of its class where that fails."""
    try:
        return repr(env)
    except Exception:
        return type(env).__name__
