"""Mean ranks over datasets on a line; bars join what cannot be told apart (Demšar 2006)."""

import pandas as pd
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, GREY, TWO_COLUMNS, styled
from reporting.statistics import Ranks, ranks


def critical_difference(means: pd.DataFrame, metric: str, higher_is_better: bool = True) -> Figure:
    """Of dataset x method; raises ValueError as `ranks` does."""
    found = ranks(means, higher_is_better)
    names, places = list(found.mean.index), [float(rank) for rank in found.mean]
    half = (len(names) + 1) // 2
    bars = groups(found)
    with styled():
        figure = Figure(
            figsize=(TWO_COLUMNS, 1.4 + 0.2 * half + 0.1 * len(bars)), layout="constrained"
        )
        axes = figure.add_subplot()
        axes.set_axis_off()
        last, depth = len(names), 1 + 0.35 * len(bars)
        axes.plot([1, last], [0, 0], color="black", linewidth=1)
        for tick in range(1, last + 1):
            axes.plot([tick, tick], [0, 0.15], color="black", linewidth=1)
            axes.text(tick, 0.3, str(tick), ha="center", va="bottom")
        for level, (first, end) in enumerate(bars, start=1):
            axes.plot([first - 0.04, end + 0.04], [-0.35 * level] * 2, color=BLUE, linewidth=3.5)
        for index, (name, place) in enumerate(zip(names, places, strict=True)):
            left = index < half
            y = -depth - 0.75 * (index if left else last - 1 - index)
            edge = 1 - 0.03 * last if left else last + 0.03 * last
            axes.plot([place, place, edge], [0, y, y], color=GREY, linewidth=0.9)
            axes.text(edge, y, f" {name} {place:.2f} ", ha="right" if left else "left", va="center")
        width = min(found.critical, last - 1)
        axes.plot([1, 1 + width], [1.6, 1.6], color="black", linewidth=2)
        beyond = ", longer than the axis" if width < found.critical else ""
        axes.text(1, 1.75, f"critical difference {found.critical:.2f}{beyond}", va="bottom")
        axes.set_title(
            f"Mean rank in {metric} over {found.num_datasets} datasets (1 is best), "
            f"{found.friedman}"
        )
        axes.set_ylim(top=2.6)
        axes.set_xlim(1 - 0.45 * last, last + 0.45 * last)
    return figure


def groups(found: Ranks) -> list[tuple[float, float]]:
    """The widest runs of methods, of two or more, whose ends differ by less than is critical."""
    places = [float(rank) for rank in found.mean]
    runs: list[tuple[int, int]] = []
    for first, place in enumerate(places):
        end = max(i for i, other in enumerate(places) if other - place < found.critical)
        if end > first and (not runs or end > runs[-1][1]):
            runs.append((first, end))
    return [(places[first], places[end]) for first, end in runs]
