"""How metrics go together over methods: Pearson's correlation of each pair, per dataset."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evaluation.pictures.style import styled
from scripts.results.figures.means import NAMES, correlation, named

METRICS = ("recall@1", "recall@2", "recall@4", "nmi", "f1", "map_c", "map@r")


def correlations(table: pd.DataFrame) -> Figure:
    """A matrix per dataset, the numbers written in; over the means of the methods."""
    measured = table.columns.get_level_values(0)
    columns = [f"test/{metric}" for metric in METRICS if f"test/{metric}" in measured]
    if len(columns) < 2:
        raise ValueError(f"no run measured two of {', '.join(NAMES[m] for m in METRICS)}")
    datasets = list(table.index.get_level_values("dataset").unique())
    matrices = [matrix(table.loc[dataset], columns) for dataset in datasets]
    if np.isnan(matrices).all():
        raise ValueError("a correlation needs three methods that differ, on one dataset")
    with styled():
        width = 1.2 + 0.62 * len(columns)
        figure = Figure(figsize=(width * len(datasets), width), layout="constrained")
        grid = figure.subplots(1, len(datasets), squeeze=False)[0]
        for axes, dataset, values in zip(grid, datasets, matrices, strict=True):
            axes.imshow(values, cmap="cividis", vmin=-1, vmax=1)  # alike for every colour vision
            axes.grid(visible=False)
            axes.set_title(dataset)
            ticks = range(len(columns))
            axes.set_xticks(ticks, [named(name) for name in columns], rotation=45, ha="right")
            axes.set_yticks(ticks, [named(name) for name in columns])
            for (row, column), value in np.ndenumerate(values):
                text = "" if np.isnan(value) else f"{value:.2f}"
                colour = "black" if value > 0.2 else "white"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    return figure


def matrix(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    means = [table[name, "mean"] for name in columns]
    return np.array([[correlation(first, second) for second in means] for first in means])
