"""How metrics go together over methods: Pearson's correlation of each pair, per dataset."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evaluation.figures.style import ONE_COLUMN, SMALL, styled
from reporting.figures.means import correlation, named
from reporting.names import printed

METRICS = ("recall@1", "recall@2", "recall@4", "nmi", "f1", "map_c", "map@r")


def correlations(table: pd.DataFrame) -> Figure:
    """A matrix per dataset, the numbers written in; over the means of the methods.

    A dataset with fewer than three methods that differ has none.
    """
    measured = table.columns.get_level_values(0)
    columns = [f"test/{metric}" for metric in METRICS if f"test/{metric}" in measured]
    if len(columns) < 2:
        raise ValueError(f"no run measured two of {', '.join(map(named, METRICS))}")
    names = table.index.get_level_values("dataset").unique()
    every = {dataset: matrix(table.loc[dataset], columns) for dataset in names}
    matrices = {dataset: own for dataset, own in every.items() if not np.isnan(own).all()}
    if not matrices:
        raise ValueError("a correlation needs three methods that differ, on one dataset")
    with styled():
        rows = -(-len(matrices) // 2)
        size = (ONE_COLUMN * min(2, len(matrices)), ONE_COLUMN * rows)
        figure = Figure(figsize=size, layout="constrained")
        for place, (dataset, values) in enumerate(matrices.items(), start=1):
            axes = figure.add_subplot(rows, min(2, len(matrices)), place)
            axes.imshow(values, cmap="cividis", vmin=-1, vmax=1)  # alike for every colour vision
            axes.grid(visible=False)
            axes.set_title(printed("dataset", dataset))
            ticks = range(len(columns))
            axes.set_xticks(ticks, [named(name) for name in columns], rotation=45, ha="right")
            axes.set_yticks(ticks, [named(name) for name in columns])
            for (row, column), value in np.ndenumerate(values):
                text = "" if np.isnan(value) else f"{value:.2f}"
                colour = "black" if value > 0.2 else "white"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL)
    return figure


def matrix(table: pd.DataFrame, columns: list[str]) -> np.ndarray:
    means = [table[name, "mean"] for name in columns]
    return np.array([[correlation(first, second) for second in means] for first in means])
