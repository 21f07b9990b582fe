"""Draws the figures of `results/*.json` into docs/media/.

    python -m benchmarks.plots                           # every picture whose results are there
    python -m benchmarks.plots --only stepping --out .

Pictures are SVG with a transparent background and mid-tone colours, so that they can be read on white and on black. The
same results give the same file, byte for byte.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.common import RESULTS

MEDIA = Path(__file__).parent.parent / "docs" / "media"
INK = "#808890"
COLOURS = ("#2f81f7", "#db6d28", "#2da44e", "#a371f7", "#d03592", "#9a7500")
SHOWN = ("CartPole-v1", "SimpleRocket-v0", "HeartPole-v0", "RocketLanding-v0")
#: Which C of `limit.json` is drawn: that which does as many hashes as ours, in the form of a scan.
GENERATOR = "threefry2x32-20 as ours"
#: Its episodes have one step, so that a random policy carries nothing on: XLA leaves out nearly all of it.
NOTHING_LEFT = "FiveChoices-v0"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "jaxenvs",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PICTURES, help="one picture instead of all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the JSON files")
    parser.add_argument("--out", type=Path, default=MEDIA, help="the folder of the pictures")
    options = parser.parse_args(arguments)
    for name in [options.only] if options.only else PICTURES:
        missing = save_picture(name, options.results, options.out)
        print(f"{name}: no {', '.join(missing)}, so no picture" if missing else f"written: {options.out / name}.svg")


def save_picture(name, results, out):
    """Draws `out/name.svg` from the JSON files in `results`.

    Returns:
        The names of those files that are missing; then nothing is drawn. `limit.json` may be missing.
    """
    draw, needed = PICTURES[name]
    found = {source: rows_of(results, source) for source in (*needed, "limit")}
    missing = [f"{source}.json" for source in needed if found[source] is None]
    if not missing:
        with rc_context(STYLE):
            figure = draw(*(found[source] for source in needed), limit=found["limit"] or [])
            figure.savefig(out / f"{name}.svg", format="svg", transparent=True, metadata={"Date": None})
    return missing


def rows_of(results, name):
    path = results / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else None


def stepping(rows, limit):
    """Steps a second against the batch size: ours, CartPole's peers and its limit."""
    figure, axes = new(7.2, 4.6)
    for id, colour in zip(SHOWN, COLOURS):
        line(axes, series(rows, id=id, subject="jaxenvs"), colour, id)
    line(axes, series(rows, id=SHOWN[0], subject="jaxenvs, fast keys"), COLOURS[0], f"{SHOWN[0]}, fast keys", "-.")
    for subject, style in (("gymnax, tuned", "--"), ("gymnasium", ":")):
        line(axes, series(rows, id=SHOWN[0], subject=subject), COLOURS[0], f"{SHOWN[0]} by {subject}", style)
    for id, colour in zip(SHOWN, COLOURS):
        for num_envs, rate in series(best_c(limit, id)):
            label = f"{id} in C for this alone, N = {num_envs}"
            axes.plot([num_envs], [rate], "D", color=colour, markersize=6, label=label)
    return logarithmic(figure, axes, "environments in the batch, N", "environment steps per second")


def ids(rows, limit):
    """Steps a second of each id at the batch size where it is the fastest, as bars."""
    best = {}
    for row in rows:
        ours = row["subject"] == "jaxenvs" and row["id"] != NOTHING_LEFT
        if ours and rate_of(row) > rate_of(best.get(row["id"])):
            best[row["id"]] = row
    ranked = sorted(best.values(), key=rate_of)
    figure, axes = new(7.2, 0.7 + 0.3 * len(ranked))
    values = [rate_of(row) / 1e6 for row in ranked]
    bars = axes.barh([row["id"] for row in ranked], values, color=COLOURS[0], height=0.7)
    axes.bar_label(bars, [f"{v:.3g}, N = {row['num_envs']}" for v, row in zip(values, ranked)], padding=3, fontsize=8.5)
    axes.set_xlim(0, 1.25 * max(values, default=1.0))
    axes.grid(False, axis="y")
    axes.set_xlabel("million steps per second, random policy, best N")
    return figure


def memory(rows, limit):
    """Peak memory against the batch size, and against the length of rollouts and PPO."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    kept = [row for row in rows if row["subject"] == "rollout, nothing kept"]
    shortest = min((row["length"] for row in kept), default=0)
    for id, colour in zip(distinct(kept, "id"), COLOURS):
        sizes = [row for row in kept if row["id"] == id and row["length"] == shortest]
        line(left, series(sizes, value=mebibytes), colour, f"{id}, {shortest} steps")
    lengths = [row for row in rows if row["length"] != shortest]
    id = next(iter(distinct(lengths, "id")), None)
    for subject, colour in zip(distinct(rows, "subject"), COLOURS[2:]):
        longer = [row for row in lengths if row["id"] == id and row["subject"] == subject]
        sizes = distinct(longer, "num_envs")[:1]
        mine = [row for row in rows if row["id"] == id and row["subject"] == subject and row["num_envs"] in sizes]
        line(
            right, series(mine, along="length", value=mebibytes), colour, f"{subject}, N = {sizes[0] if sizes else ''}"
        )
    logarithmic(figure, left, "environments in the batch, N", "peak memory of a rollout, MiB")
    logarithmic(figure, right, "length: steps, or updates of PPO", f"peak memory, MiB ({id})")
    return figure


def scaling(rows, limit):
    """PPO and stepping against environments and devices, and populations against their agents."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = {1: "--", 2: "-"}
    for subject, colour in zip(("stepping", "ppo"), COLOURS):
        for devices in distinct([row for row in rows if row["subject"] == subject], "devices"):
            label = f"{subject}, {devices} device{'s' if devices > 1 else ''}"
            points = series(rows, subject=subject, devices=devices)
            line(left, points, colour, label, styles.get(devices, "-."))
    for varied, colour in zip(distinct(rows, "varied", skip=("",)), COLOURS[2:]):
        points = series(rows, along="members", subject="population", varied=varied)
        line(right, points, colour, f"agents that differ in {varied}")
    logarithmic(figure, left, "environments in the batch, N", "environment steps per second")
    logarithmic(figure, right, "agents trained at once by vmap", "environment steps per second, all agents")
    members = distinct(rows, "members")
    right.set_xticks(members, members)
    right.minorticks_off()
    right.set_yscale("linear")
    right.set_ylim(bottom=0)
    return figure


def lander_pilot(rows, limit):
    """The share of episodes below a return, of LunarLander's pilot here and in Box2D."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    for axes, id in zip(figure.subplots(1, 2), distinct(rows, "id")):
        for row in (row for row in rows if row["id"] == id):
            wind, colour = ", wind" * row["wind"], COLOURS[row["wind"]]
            for subject, style in (("jaxenvs", "-"), ("box2d", ":")):
                values = row[subject]["percentiles"]
                label = f"{'Box2D' if subject == 'box2d' else subject}{wind}"
                axes.plot(values, range(len(values)), style, color=colour, linewidth=1.6, label=label)
        axes.set_title(id, color=INK)
        axes.set_xlabel("return of an episode")
        axes.set_ylabel("episodes with at most this return, %")
        axes.legend()
    return figure


#: What is drawn, and the results it needs.
PICTURES = {
    "stepping": (stepping, ("stepping",)),
    "ids": (ids, ("stepping",)),
    "memory": (memory, ("memory",)),
    "scaling": (scaling, ("scaling",)),
    "lander_pilot": (lander_pilot, ("lander_pilot",)),
}


def new(width, height):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def rate_of(row):
    """Median steps a second; 0 of no row."""
    return row["steps_per_second"]["median"] if row else 0


def mebibytes(row):
    return row["bytes"]["median"] / 2**20


def series(rows, *, along="num_envs", value=rate_of, **where):
    """[(x, y)] of the rows that have these values, sorted."""
    return sorted(
        (row[along], value(row)) for row in rows if all(row[name] == wanted for name, wanted in where.items())
    )


def best_c(limit, id):
    """The rows of C with the same generator, with as many threads as ours have devices."""
    mine = [row for row in limit if row["id"] == id and row["subject"] == "C" and "ours_over_this" in row]
    return [row for row in mine if (row["form"], row["generator"]) == ("scan", GENERATOR)]


def distinct(rows, name, skip=()):
    """The different values that rows have under a name, in order of appearance."""
    return [value for value in dict.fromkeys(row[name] for row in rows) if value not in skip]


def line(axes, points, colour, label, style="-"):
    if points:
        axes.plot(*zip(*points), style, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=label)


def logarithmic(figure, axes, x, y):
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return figure


if __name__ == "__main__":
    main()
