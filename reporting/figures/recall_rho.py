"""Recall@1 against ρ, every method by its name, as in the supplement of Roth et al. 2020."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from evaluation.figures.style import BLUE, VERMILLION, styled
from reporting.figures.means import named, regularised, structure
from reporting.figures.relations import RECALL

OFFSETS = ((7, 0), (-7, 0), (0, 9), (0, -9), (7, 9), (-7, 9), (7, -9), (-7, -9), (0, 20), (0, -20))
COVERED = 0.25  # share of a name that may lie on others or outside; beyond it is left out
KINDS = ((False, BLUE, "o", "plain"), (True, VERMILLION, "^", "ρ-regularised"))


def recall_rho(table: pd.DataFrame, dataset: str) -> Figure:
    """One dataset; bars are standard deviations over seeds. Not every name has room among many."""
    column = structure(table, "rho_spectrum@2")
    if column is None:
        raise ValueError("no run measured rho_spectrum@2")
    own = table.loc[dataset]
    with styled():
        figure = Figure(figsize=(7.5, 5.2), layout="constrained")
        axes = figure.add_subplot(xlabel=named(column), ylabel="Recall@1 in percent", title=dataset)
        for kind, colour, marker, name in KINDS:
            chosen = own[[regularised(str(method)) is kind for method in own.index]]
            if len(chosen):
                axes.errorbar(
                    chosen[column, "mean"],
                    100 * chosen[RECALL, "mean"],
                    yerr=100 * chosen[RECALL, "std"],
                    fmt=marker,
                    color=colour,
                    elinewidth=0.8,
                    label=name,
                )
        axes.margins(0.12)
        if any(regularised(str(method)) for method in own.index):
            axes.legend(loc="best")
        places = list(zip(own[column, "mean"], 100 * own[RECALL, "mean"], strict=True))
        write_names(axes, [str(method) for method in own.index], places)
    return figure


def write_names(axes: Axes, names: Sequence[str], places: Sequence[tuple[float, float]]) -> None:
    """Each name beside its point, where it covers the fewest others; none without room for it."""
    assert isinstance(axes.figure, Figure)
    renderer = FigureCanvasAgg(axes.figure).get_renderer()  # type: ignore[no-untyped-call]
    axes.figure.draw_without_rendering()
    points = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(places)]
    taken: list[Bbox] = list(points)
    for name, place in zip(names, places, strict=True):
        tried: list[tuple[float, int, Annotation, Bbox]] = []
        for x, y in OFFSETS:
            align = "left" if x > 0 else "right" if x < 0 else "center"
            text = axes.annotate(
                name, place, (x, y), textcoords="offset points", ha=align, va="center", fontsize=8
            )
            box = text.get_window_extent(renderer)
            outside = box.width * box.height - overlap(box, axes.bbox)
            covered = outside + sum(overlap(box, other) for other in taken)
            tried.append((covered, len(tried), text, box))
        covered, _, best, box = min(tried, key=lambda entry: entry[:2])
        room = covered < COVERED * box.width * box.height
        for _, _, text, _ in tried:
            if text is not best or not room:
                text.remove()
        if room:
            taken.append(box)


def overlap(first: Bbox, second: Bbox) -> float:
    """The area that both cover, in pixels."""
    both = Bbox.intersection(first, second)
    return 0.0 if both is None else both.width * both.height
