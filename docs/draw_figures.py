"""Draws the figures of the site from the committed results:  python -m docs.draw_figures

Reads results/omniglot/table.csv and results/benchmarks/*.csv; writes docs/assets/*.svg.
"""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from docs.components import ROOT
from evaluation.figures.style import BLUE, GREY, ORANGE, VERMILLION, styled

ASSETS = ROOT / "docs" / "assets"
RESULTS = ROOT / "results"


def omniglot() -> Figure:
    """Recall@1 of every loss, mean and standard deviation over the seeds."""
    table = pd.read_csv(RESULTS / "omniglot" / "table.csv", comment="#")
    recall = table[table["column"] == "recall@1"].sort_values("mean", ascending=False)
    names = [name.removesuffix("-convnet") for name in recall["method"]]
    figure = Figure(figsize=(8.6, 4.4), layout="constrained")
    axes = figure.add_subplot(title="Recall@1 on Omniglot, alphabets that no network has seen")
    colours = [GREY if name == "untrained" else BLUE for name in names]
    for place, (mean, spread) in enumerate(zip(recall["mean"], recall["spread"], strict=True)):
        axes.errorbar(place, mean, yerr=spread, fmt="o", color=colours[place], markersize=3)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_xlim(-1, len(names))
    axes.set_ylabel("percent, mean ± sd of 5 seeds")
    axes.grid(visible=False, axis="x")
    return figure


def criteria_speed() -> Figure:
    """Time of each loss over the lower bound, and over pytorch-metric-learning."""
    table = pd.read_csv(RESULTS / "benchmarks" / "criteria_cpu.csv")
    losses = table[table["kind"] == "loss"]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    strips(left, losses, "ours/floor", "Time / lower bound", BLUE)
    strips(right, losses, "ours/theirs", "Time / pytorch-metric-learning", VERMILLION)
    right.axhline(1, color=GREY, linewidth=1)
    return figure


def strips(axes: Axes, table: pd.DataFrame, column: str, title: str, colour: str) -> None:
    """One dot for each loss and batch size, and the median of each size as a bar."""
    known = table[table[column].notna()]
    sizes = sorted(known["N"].unique())
    for place, size in enumerate(sizes):
        values = known[known["N"] == size][column].to_numpy()
        spread = [place + 0.25 * ((7 * i) % 11 - 5) / 5 for i in range(len(values))]
        axes.plot(spread, values, "o", color=colour, markersize=3.5, alpha=0.6)
        axes.hlines(known[known["N"] == size][column].median(), place - 0.35, place + 0.35, "black")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(sizes)), [f"N = {size}" for size in sizes])
    axes.set_title(title)
    axes.grid(visible=False, axis="x")


def evaluation_speed() -> Figure:
    """Seconds and memory of an evaluation at the size of SOP."""
    table = pd.read_csv(RESULTS / "benchmarks" / "evaluation_cpu.csv").query("size == 'sop'")
    rows = table[table["side"] != "nmi difference"].iloc[::-1]
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [side.removeprefix("our ").replace("bare", "one") for side in rows["side"]]
    colours = [BLUE if side.startswith("our") else GREY for side in rows["side"]]
    bars(left, names, list(rows["seconds_median"]), colours, "Seconds")
    bars(right, names, list(rows["peak_gib"]), colours, "Peak memory above the embeddings, GiB")
    return figure


def training_speed() -> Figure:
    """Seconds of a step: the parts, the run, and a plain loop."""
    table = pd.read_csv(RESULTS / "benchmarks" / "training_cpu.csv")
    rows = table.query("batch == 112 and precision == '32-true'")
    rows = rows[rows["side"].isin(["floor", "ours", "plain"]) & rows["seconds_median"].notna()]
    words = {"floor": "backbone only", "ours": "a run", "plain": "a plain loop"}
    names = [f"{row.backbone}, {words[str(row.side)]}" for row in rows.itertuples()][::-1]
    colours = [BLUE if side == "ours" else GREY for side in rows["side"]][::-1]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    bars(
        figure.add_subplot(), names, list(rows["seconds_median"])[::-1], colours, "Seconds per step"
    )
    return figure


def scaling() -> Figure:
    """Images per second with more processes on the same two cores."""
    table = pd.read_csv(RESULTS / "benchmarks" / "scaling_cpu.csv")
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    speeds = list(table["batch"] / table["seconds_median"])[::-1]
    names = [f"{side} processes" if side != 1 else "1 process" for side in table["side"]][::-1]
    bars(figure.add_subplot(), names, speeds, [ORANGE] * len(names), "Images per second")
    return figure


def bars(axes: Axes, names: list[str], values: list[float], colours: list[str], title: str) -> None:
    """Horizontal bars with their values."""
    drawn = axes.barh(range(len(names)), values, color=colours, height=0.65)
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title)
    axes.set_xlim(0, 1.15 * max(values))
    axes.grid(visible=False, axis="y")


def main() -> None:
    """Write all figures; the same results give the same files."""
    figures = (omniglot, criteria_speed, evaluation_speed, training_speed, scaling)
    for draw in figures:
        with styled():
            mpl.rcParams.update({"svg.hashsalt": draw.__name__, "svg.fonttype": "path"})
            path = ASSETS / f"{draw.__name__}.svg"
            draw().savefig(path, format="svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
