"""Recall@1 against the structure of the embedding space, as in Roth et al. 2020."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, GREY, TWO_COLUMNS, VERMILLION, styled
from reporting.figures.means import correlation, named, regularised, structure
from reporting.names import printed

RECALL = "test/recall@1"
STRUCTURE = ("dists@intra", "dists@inter", "dists@ratio", "rho_spectrum@2")


def relations(table: pd.DataFrame) -> Figure:
    """A row per dataset, a column per metric; bars are standard deviations over seeds.

    Line and Pearson's correlation are over methods; the ρ-regularised ones are shown and, as in
    the paper, not counted.
    """
    columns = [found for metric in STRUCTURE if (found := structure(table, metric))]
    if not columns:
        raise ValueError(f"no run measured any of {', '.join(STRUCTURE)}")
    measured = table[[(column, "mean") for column in columns]].dropna(how="all")
    datasets = list(measured.index.get_level_values("dataset").unique())
    with styled():
        size = (TWO_COLUMNS * len(columns) / len(STRUCTURE), 1.8 * len(datasets))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(datasets), len(columns), squeeze=False, sharey="row")
        for row, dataset in zip(grid, datasets, strict=True):
            for axes, column in zip(row, columns, strict=True):
                relation(axes, table.loc[dataset], column)
            row[0].set_ylabel(f"{printed('dataset', dataset)}\nRecall@1 in percent")
    return figure


def relation(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """One metric of one dataset."""
    kind = [regularised(str(method)) for method in table.index]
    for own, colour, marker in ((False, BLUE, "o"), (True, VERMILLION, "^")):
        chosen = table[[k == own for k in kind]]
        axes.errorbar(
            chosen[column, "mean"],
            100 * chosen[RECALL, "mean"],
            xerr=chosen[column, "std"],
            yerr=100 * chosen[RECALL, "std"],
            fmt=marker,
            color=colour,
            elinewidth=0.7,
        )
    plain = table[[not k for k in kind]]
    known = plain.dropna(subset=[(column, "mean"), (RECALL, "mean")])  # a collapsed space has no ρ
    x, y = known[column, "mean"], 100 * known[RECALL, "mean"]
    r = correlation(x, y)
    axes.set_xlabel(named(column))
    if np.isnan(r):
        axes.set_title("too few methods for a fit")
        return
    slope, offset = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axes.plot(ends, slope * ends + offset, color=GREY, linestyle="--", zorder=0)
    axes.set_title(f"r = {r:+.2f}")
