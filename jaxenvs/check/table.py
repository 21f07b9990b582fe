"""`table`, what `jaxenvs check` prints."""

from jaxenvs.check import rules


def table(report):
    """A `Report` as a table: a line for each rule, and below a broken rule what was found."""
    reasons = dict(report.skipped)
    lines = []
    for name, statement in rules().items():
        found = [finding for finding in report.findings if finding.rule == name]
        mark = "FIX" if found else "-" if name in reasons else "ok"
        text = f"not checked: {reasons[name]}" if name in reasons else statement
        lines.append(f"{mark:<5} {name:<20} {text}")
        lines += [line for finding in found for line in str(finding).splitlines()[1:]]
    count = len({finding.rule for finding in report.findings})
    verdict = f"{count} {'rule' if count == 1 else 'rules'} to fix" if count else "keeps the full contract"
    notes = [f"note: {note}" for note in report.notes]
    return "\n".join(
        [*lines, "", *notes, f"{report.env}: {verdict} ({len(report.held)} hold, {len(reasons)} not checked)"]
    )
