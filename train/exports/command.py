"""`jaxenvs export`: what the command does and says."""

import sys

from ..runs import run, trust
from .export import MANIFEST, export


def export_run(options):
    """Runs the command; see `jaxenvs export --help`.

    Raises:
        RunError: as `export`, and for an environment's file that is not trusted.
    """
    trust.check(options.run, options.trust)
    manifest = export(options.run, options.to, forms=options.forms, which=run.BEST if options.best else run.STATE)
    for form, figures in manifest["forms"].items():
        print(f"{form}: {_about(figures)}", file=sys.stderr)
    print(options.to / MANIFEST)
    return 0


def _about(figures):
    """What there is to say about an exported form."""
    if "refused" in figures:
        return f"none: {figures['refused']}"
    files = ", ".join(figures["files"])
    if "not_measured" in figures:
        return f"{files}; not measured: {figures['not_measured']}"
    names = "largest_difference", "different_actions"
    said = [f"{name.replace('_', ' ')} {figures[name]:.2g}" for name in names if name in figures]
    return f"{files}; {', '.join(said)} of {figures['observations']:,} observations"
