"""Recall@1 against ρ, methods by their names, as in the supplement of Roth et al. 2020."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evaluation.figures.style import GREY, TWO_COLUMNS, styled
from reporting.figures.means import named, regularised, structure
from reporting.figures.method_styles import MethodStyle, MethodStyles, drawn
from reporting.figures.placement import Name, name_points
from reporting.figures.relations import RECALL
from reporting.names import printed


def recall_rho(
    table: pd.DataFrame, dataset: str, styles: MethodStyles, width: float = TWO_COLUMNS
) -> Figure:
    """One dataset; bars are standard deviations over seeds, hollow points ρ-regularised methods.

    Each name is beside its point. Methods that are not highlighted are named where there is room.

    Raises:
        ValueError: no run measured ρ.
    """
    column = structure(table, "rho_spectrum@2")
    if column is None:
        raise ValueError("no run measured rho_spectrum@2")
    own = pd.DataFrame(table.loc[dataset]).dropna(subset=[(column, "mean"), (RECALL, "mean")])
    if own.empty:
        raise ValueError(f"no run on {dataset} measured rho_spectrum@2")
    rho, recall = own[column, "mean"], 100 * own[RECALL, "mean"]
    with styled():
        figure = Figure(figsize=(width, max(2.6, 0.6 * width)), layout="constrained")
        axes = figure.add_subplot(
            xlabel=named(column), ylabel="Recall@1 in percent", title=printed("dataset", dataset)
        )
        names, bars = [], []
        for method, style in drawn(styles, own.index):
            point = (float(rho[method]), float(recall[method]))
            std = 100 * float(own[RECALL, "std"][method])
            draw_point(axes, point, std, style, regularised(method))
            bars.append([(point[0], point[1] - std), (point[0], point[1] + std)])
            names.append(Name(style.name, point, style))
        axes.margins(0.1, 0.16)  # the names need room
        if any(map(regularised, own.index)):
            axes.legend(handles=[kind("plain", GREY), kind("ρ-regularised", "white")], loc="best")
        name_points(axes, names, bars)
    return figure


def draw_point(
    axes: Axes, point: tuple[float, float], std: float, style: MethodStyle, hollow: bool
) -> None:
    axes.errorbar(
        *point,
        yerr=std,
        fmt=style.marker,
        color=style.colour,
        markerfacecolor="white" if hollow else style.colour,
        markersize=5 if style.highlighted else 6,  # of the second, a dot fills half
        elinewidth=0.7,
        zorder=style.order,
        label=style.name,
    )


def kind(label: str, face: str) -> Line2D:
    """An entry of the legend."""
    return Line2D([], [], linestyle="", marker="o", color=GREY, markerfacecolor=face, label=label)
