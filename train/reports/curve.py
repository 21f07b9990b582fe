"""The learning curve of a run as a picture."""

import importlib.util
import math
import os
import pathlib

import numpy as np

#: The full range is drawn unless it is this many times that of the second half of training.
_SPREAD = 6.0
_NEEDED = "{} needs Matplotlib: pip install matplotlib"


def save_curve(rows, path, *, title, y="return", levels=None):
    """Draws a learning curve: the return in training, and evaluations with a band of two standard errors.

    The picture shows the entire course. Where the early returns are so much worse (or better) than those of the second
    half of training that they press the rest into a line, a second panel below magnifies the end.

    Args:
        rows: sequence of dicts with `steps`, `return_mean`, and optionally `eval_mean` and `eval_se`; a value
            that is missing, None or not finite is left out.
        path: of the PNG; its folder exists.
        title: over the picture.
        y: what the vertical axis shows.
        levels: dict of label to return, drawn as horizontal lines, such as {"optimum": -123.31}.
    Raises:
        ValueError: if no row has a finite return_mean or eval_mean.
        FileNotFoundError: if the folder doesn't exist.
        ImportError: if Matplotlib is not installed.
    """
    figure_class = matplotlib_figure()
    path = pathlib.Path(path)
    train, evaluation = _series(rows, "return_mean"), _series(rows, "eval_mean", "eval_se")
    if not (len(train) or len(evaluation)):
        raise ValueError(f"a curve needs a finite return_mean or eval_mean, found none in {len(rows)} rows")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} can't be written: there is no folder {path.parent}")
    figure = _figure(figure_class, train, evaluation, title, y, levels or {})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(temporary, format="png", dpi=150)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def missing():
    """Why no curve can be drawn on this machine; "" if it can, as far as is known without loading Matplotlib."""
    return "" if importlib.util.find_spec("matplotlib") else _NEEDED.format("a learning curve")


def value_range(train, evaluation):
    """The range of values that the vertical axis shows, and the range of all.

    Args:
        train, evaluation: f64[n, 3], rows of (steps, value, standard error).
    Returns:
        ((low, high), (least, greatest)): the first pair has a margin around the second, or where early values
        lie far off, around the second half of training (every evaluation, the middle 96 % of the returns).
    """
    points = np.concatenate([train, evaluation])
    middle = (points[:, 0].min() + points[:, 0].max()) / 2
    least, greatest = _extent(points)
    late = [series[series[:, 0] >= middle] for series in (train, evaluation)]
    low, high = _extent(late[1]) if len(late[1]) else (math.inf, -math.inf)
    if len(late[0]):
        bottom, top = np.percentile(late[0][:, 1], (2, 98), method="nearest")
        low, high = min(low, bottom), max(high, top)
    # where nothing moves any more, a thousandth of the value is still a range to look at
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    if greatest - least <= _SPREAD * span:
        low, high, margin = least, greatest, 0.05 * max(greatest - least, span)
    else:
        margin = 0.3 * span
    return (low - margin, high + margin), (least, greatest)


def _extent(points):
    return (points[:, 1] - 2 * points[:, 2]).min(), (points[:, 1] + 2 * points[:, 2]).max()


def steps_label(steps):
    """Prints a count of steps shortly.

    >>> steps_label(0), steps_label(2500), steps_label(1e6), steps_label(12_500_000)
    ('0', '2.5k', '1M', '12.5M')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(steps) >= unit:
            return f"{steps / unit:.6g}{letter}"
    return f"{steps:.6g}"


def _series(rows, key, error_key=None):
    points = []
    for row in rows:
        value, error = row.get(key), row.get(error_key)
        if value is not None and math.isfinite(value):
            points.append((row["steps"], value, error if error is not None and math.isfinite(error) else 0.0))
    return np.array(points, np.float64).reshape(-1, 3)


def _figure(figure_class, train, evaluation, title, y, levels):
    (low, high), (least, greatest) = value_range(train, evaluation)
    figure = figure_class(figsize=(8, 5), layout="constrained")
    if low <= least and greatest <= high:
        main = last = figure.add_subplot()
    else:
        main, last = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        last.set_ylabel("the end, magnified")
        _lines(last, train, evaluation, marker_size=2)
        last.set_ylim(low, high)
        _levels(last, {name: value for name, value in levels.items() if low <= value <= high})
    main.set_ylabel(y)
    _lines(main, train, evaluation, marker_size=3.5)
    _levels(main, levels)
    main.set_title(title, loc="left", fontweight="bold")
    main.legend(frameon=False, loc="best")
    last.set_xlabel("environment steps")
    last.xaxis.set_major_formatter(lambda steps, _: steps_label(steps))
    return figure


def _levels(axes, levels):
    for name, value in levels.items():
        axes.axhline(value, color="#6b7280", linewidth=1.0, linestyle="--")
        axes.annotate(
            f"{name} {value:,.6g}", (0.01, value), (0, 2), xycoords=("axes fraction", "data"),
            textcoords="offset points", fontsize=8, color="#4b5563",
        )  # fmt: skip


def _lines(axes, train, evaluation, marker_size):
    if len(train):
        axes.plot(
            *train[:, :2].T,
            color="#8fb3dc",
            linewidth=1.4,
            marker="." * (len(train) == 1),
            label="episodes while training",
        )
    if len(evaluation):
        steps, mean, error = evaluation.T
        axes.fill_between(steps, mean - 2 * error, mean + 2 * error, color="#d9534f", alpha=0.2, linewidth=0)
        label = "evaluation, 2 standard errors; first: untrained" if error.any() else "evaluation"
        axes.plot(steps, mean, color="#c9302c", linewidth=1.8, marker="o", markersize=marker_size, label=label)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axes.grid(color="#e4e7ee", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def matplotlib_figure(what="a learning curve"):
    """A function that makes a figure without a window; Matplotlib is loaded only here.

    Args:
        what: what is drawn, for the message.
    Raises:
        ImportError: if Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(_NEEDED.format(what)) from error

    def figure(**options):
        made = Figure(**options)
        FigureCanvasAgg(made)
        return made

    return figure
