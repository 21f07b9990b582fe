"""Pictures of a sweep: the score over each parameter, and all parameters side by side."""

import os
from pathlib import Path

import numpy as np

from ..reports.curve import matplotlib_figure
from .lineage import read_lineage, schedule_of

_COLOURS = "viridis"


def write(sweep, result, folder):
    """Draws `plots/NAME.png` for each parameter, `plots/parallel.png` for all, and the schedules of a population.

    Args:
        sweep: `SweepPlan`.
        result: `results.Result`.
        folder: the sweep's.
    Returns:
        The paths, a list.
    Raises:
        ImportError: if Matplotlib is not installed.
    """
    figure_class = matplotlib_figure("a plot")
    rows = [row for row in result.table if np.isfinite(row.score.score)]
    folder = Path(folder) / "plots"
    folder.mkdir(exist_ok=True)
    paths = []
    for name, distribution in sweep.space.items():
        paths.append(_save(_one(figure_class, sweep, rows, name, distribution), folder / f"{name}.png"))
    paths.append(_save(_parallel(figure_class, sweep, rows), folder / "parallel.png"))
    if sweep.search == "pbt":
        intervals = read_lineage(folder.parent, list(sweep.space))
        paths.append(_save(_schedules(figure_class, sweep, rows, intervals), folder / "schedules.png"))
    return paths


def positions(distribution, values):
    """Where values stand on the axis of a parameter.

    Args:
        distribution: `Distribution`.
        values: a list of its values.
    Returns:
        f64[n]: the number itself, or the place of a value among those of a choice that are no numbers.
    """
    known = distribution.values
    if known is not None and not all(map(_is_number, known)):
        return np.array([known.index(value) for value in values], np.float64)
    return np.array(values, np.float64)


def heights(distribution, values):
    """Positions between 0 and 1, on a logarithmic axis for a logarithmic distribution."""
    places = positions(distribution, values)
    ends = positions(distribution, list(distribution.values or distribution.arguments))
    low, high = ends.min(), ends.max()
    if distribution.kind == "loguniform":
        places, low, high = np.log(places), np.log(low), np.log(high)
    return np.full(len(places), 0.5) if low == high else (places - low) / (high - low)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one(figure_class, sweep, rows, name, distribution):
    figure = figure_class(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    x = positions(distribution, [row.setting[name] for row in rows])
    score = np.array([row.score.score for row in rows])
    # The interval of a bootstrap contains its score, but for rounding.
    spread = np.array([[row.score.score - row.score.low, row.score.high - row.score.score] for row in rows]).T
    spread = np.clip(np.nan_to_num(spread), 0.0, None).reshape(2, -1)
    # Trials that successive halving stopped are grey: their score is that of a part of a run.
    full = np.array([row.steps for row in rows]) == max((row.steps for row in rows), default=0)
    for chosen, colour in ((~full, "0.7"), (full, "C0")):
        axes.errorbar(
            x[chosen], score[chosen], spread[:, chosen], fmt="o", markersize=3, linewidth=0.7, alpha=0.7, color=colour
        )
    if distribution.kind == "loguniform":
        axes.set_xscale("log")
    if distribution.values is not None and not all(map(_is_number, distribution.values)):
        axes.set_xticks(range(len(distribution.values)), [str(value) for value in distribution.values])
    axes.set(
        xlabel=name, ylabel=f"{sweep.metric}, {sweep.seeds} seeds", title=f"{sweep.runs.algorithm} on {sweep.runs.name}"
    )
    return figure


def _parallel(figure_class, sweep, rows):
    figure = figure_class(figsize=(2 + 1.6 * len(sweep.space), 4.5), layout="constrained")
    axes = figure.subplots()
    columns = [heights(one, [row.setting[name] for row in rows]) for name, one in sweep.space.items()]
    place = np.linspace(1.0, 0.0, len(rows)) if len(rows) > 1 else np.ones(len(rows))
    from matplotlib import colormaps

    for index in reversed(range(len(rows))):
        line = [column[index] for column in columns]
        axes.plot(
            [*range(len(line)), len(line)], [*line, place[index]], color=colormaps[_COLOURS](place[index]), alpha=0.6
        )
    axes.set_xticks(range(len(columns) + 1), [*sweep.space, "rank"], rotation=20)
    axes.set(ylim=(-0.05, 1.05), yticks=[], title=f"{sweep.runs.algorithm} on {sweep.runs.name}: the best are yellow")
    for column in range(len(columns) + 1):
        axes.axvline(column, color="0.7", linewidth=0.8, zorder=0)
    for column, one in enumerate(sweep.space.values()):
        ends = one.values or one.arguments
        for height, value in ((-0.03, ends[0]), (1.03, ends[-1])):
            axes.text(column, height, str(value), ha="center", va="top" if height < 0 else "bottom", fontsize=7)
    return figure


def _schedules(figure_class, sweep, rows, intervals):
    """Each parameter over the steps: the values that led to each trial, the best one's in front."""
    figure = figure_class(figsize=(6, 1 + 1.8 * len(sweep.space)), layout="constrained")
    steps = [0, *(interval.steps for interval in intervals)]
    grid = figure.subplots(len(sweep.space), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, distribution) in zip(grid, sweep.space.items()):
        for place in reversed(range(len(rows))):
            values = positions(distribution, [one[name] for one in schedule_of(intervals, rows[place].trial)])
            style = {"color": "0.8", "linewidth": 0.8} if place else {"color": "C0", "linewidth": 2}
            axes.stairs(values, steps, baseline=None, **style)
        axes.set(ylabel=name, yscale="log" if distribution.kind == "loguniform" else "linear")
    grid[0].set_title(f"{sweep.runs.algorithm} on {sweep.runs.name}: the values that led to the best trial")
    grid[-1].set_xlabel("environment steps")
    return figure


def _save(figure, path):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, format="png", dpi=120)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
