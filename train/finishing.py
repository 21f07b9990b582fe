"""What a run makes at its end: its last evaluation, its curve and its films."""

import json
import math
import sys
from pathlib import Path

from .output import command, show
from .presets import preset


def finish(options, folder, ended):
    """The pictures and the last evaluation of a run that has come to its end or was stopped; returns the exit status.

    There are none after a SIGTERM or a second Ctrl-C: there, the process must end soon.
    """
    from .runs import hosts, run
    from .runs.files import replacing

    hosts.stop()
    if ended in (run.Ending.TERMINATED, run.Ending.INTERRUPTED):
        print(f"stopped, and saved; resume with: {command('resume', folder)}", file=sys.stderr)
        return 143 if ended is run.Ending.TERMINATED else 130
    plan, state = run.read(folder)
    if int(state.updates) == 0:
        print(f"stopped before the first figures; resume with: {command('resume', folder)}", file=sys.stderr)
        return 130
    episodes = preset(plan.algorithm, plan.env).episodes if options.episodes is None else options.episodes
    _, figures = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1)
    if plan.training:
        _, trained = run.evaluate_run(plan, state, episodes=episodes, seed=plan.seed + 1, constants=plan.training)
        shown = {name: trained[name] for name in ("mean", "standard_error")}
        figures["as_trained"] = {**plan.training, **shown}
    if plan.until is not None:
        ends = {
            "reached": run.reached(plan, run.read_figures(folder)),
            "steps": plan.steps_after(state.updates),
        }
        figures["until"] = {"return": plan.until, **ends}
    figures["steps"] = plan.steps_after(state.updates)
    with replacing(Path(folder) / "evaluation.json") as file:
        file.write((_json(figures) + "\n").encode())
    _pictures(options, folder, plan, state)
    show_figures({"run": str(folder), "env": plan.env, **figures})
    if not ended:
        print(f"stopped early; resume with: {command('resume', folder)}", file=sys.stderr)
    return 0 if ended else 130


def _pictures(options, folder, plan, state):
    """The curve and the films of a run; what cannot be made is a sentence, and costs nothing else."""
    from .reports import report

    try:
        print(f"curve: {report.write_curve(plan, folder) or 'none'}", file=sys.stderr)
    except (ImportError, OSError) as error:
        print(f"curve: none: {error}", file=sys.stderr)
    if options.film_episodes == 0:
        return
    try:
        films, problems = report.write_film(plan, state, folder, seed=plan.seed, episodes=options.film_episodes)
    except (ImportError, OSError) as error:
        films, problems = [], [str(error)]
    nothing = "none" if problems else "none, the environment has no picture"
    print(f"film: {', '.join(map(str, films)) or nothing}", file=sys.stderr)
    for problem in problems:
        print(f"film: not made: {problem}", file=sys.stderr)


def show_figures(figures):
    """Prints figures: a short table on a terminal, and one JSON object otherwise."""
    show(_table(figures) if sys.stdout and sys.stdout.isatty() else _json(figures))


def _table(figures):
    """An evaluation as lines for a person.

    >>> print(_table({"env": "A-v0", "mean": 1.5, "standard_error": 0.25, "quantiles": {"0%": 1.0, "100%": 2.0}}))
    env             A-v0
    mean            1.5 +- 0.25 (standard error)
    quantiles       0%: 1, 100%: 2
    """

    def text(value):
        if isinstance(value, dict):
            return ", ".join(f"{name}: {text(part)}" for name, part in value.items())
        return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)

    shown = {name.replace("_", " "): text(value) for name, value in figures.items() if name != "standard_error"}
    if "standard_error" in figures:
        shown["mean"] += f" +- {figures['standard_error']:.3g} (standard error)"
    return "\n".join(f"{name:<15} {value}" for name, value in shown.items())


def _json(figures):
    """One line of JSON, which has null for what is not finite, such as the spread of a single episode."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(figures))
