"""The results of a check: `Finding`, `Skipped` and `Report`, and the error that contains them."""

import textwrap
from typing import NamedTuple


class Finding(NamedTuple):
    """One violation of the contract."""

    #: The name of the rule that is broken.
    rule: str
    #: What the environment does, with the field or the line of the author's code.
    found: str
    #: What the contract asks for.
    expected: str
    #: How to fix it.
    fix: str

    @property
    def mend(self):
        """The former name of `fix`."""
        return self.fix

    def __str__(self):
        parts = [("found", self.found), ("expected", self.expected), ("fix", self.fix)]
        return "\n".join([self.rule, *(_paragraph(label, text) for label, text in parts)])


class Skipped(NamedTuple):
    """One rule that was not checked, and why not."""

    rule: str
    reason: str


class Report(NamedTuple):
    """The outcome of `check_env`; `str(report)` is the full report as text."""

    #: The `repr` of the environment.
    env: str
    #: The names of the rules that hold.
    held: tuple[str, ...]
    #: What has to be fixed.
    findings: tuple[Finding, ...]
    #: The rules that depend on a broken one, or do not apply.
    skipped: tuple[Skipped, ...]
    #: What rules measured, such as numbers of steps: {rule: {name: value}}.
    measured: dict = {}  # noqa: RUF012
    #: What breaks no rule, but is needed for some uses.
    notes: tuple[str, ...] = ()

    @property
    def ok(self):
        """Whether the environment keeps the contract."""
        return not self.findings

    def __str__(self):
        count = len({finding.rule for finding in self.findings})
        verdict = f"breaks {count} {'rule' if count == 1 else 'rules'}" if count else "keeps every rule"
        lines = [f"{self.env} {verdict} of the contract ({len(self.held)} hold, {len(self.skipped)} not checked)"]
        lines += [f"\n{finding}" for finding in self.findings]
        lines += [f"\nnote: {note}" for note in self.notes]
        by_reason = {}
        for rule, reason in self.skipped:
            by_reason.setdefault(reason, []).append(rule)
        lines += ["\nnot checked"] if self.skipped else []
        return "\n".join([*lines, *(_paragraph(reason, ", ".join(names)) for reason, names in by_reason.items())])


class ContractError(ValueError):
    """An environment breaks its contract; `report` has the details."""

    def __init__(self, report):
        super().__init__(report)
        self.report = report

    def __str__(self):
        return str(self.report)


def _paragraph(label, text):
    indent = f"    {label + ':':<10}" if len(label) < 10 else f"    {label}: "
    return textwrap.fill(text, 110, initial_indent=indent, subsequent_indent=" " * 14, break_long_words=False)
