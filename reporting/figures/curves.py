"""Curves over epochs: mean and standard deviation over seeds, a line per method."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evaluation.figures.style import TWO_COLUMNS, styled
from reporting.directions import directions
from reporting.figures.means import named
from reporting.figures.method_styles import OTHER, MethodStyle, MethodStyles, drawn
from reporting.figures.placement import Name, name_ends
from reporting.names import printed
from reporting.run import Run, labels
from tracking.summary import evaluations

POINTS = 8  # about so many markers on a line


def history(runs: Sequence[Run]) -> pd.DataFrame:
    """Index dataset, method, metric, epoch; columns mean, std (NaN of one seed) and count."""
    methods = labels(runs)
    rows = [
        (run.dataset, methods[run.dataset, run.group], name, float(record["epoch"]), float(value))
        for run in runs
        for record in evaluations(run.records)
        for name, value in record.items()
        if "/" in name and isinstance(value, float | int)
    ]
    keys = ["dataset", "method", "metric", "epoch"]
    return (
        pd.DataFrame(rows, columns=[*keys, "value"])
        .groupby(keys)["value"]
        .agg(["mean", "std", "count"])
    )


def curves(
    measured: pd.DataFrame,
    dataset: str,
    metric: str,
    styles: MethodStyles,
    width: float = TWO_COLUMNS,
) -> Figure:
    """One metric of one dataset; bands are standard deviations, where there are several seeds.

    The methods that are not highlighted are thin grey lines without a band, named together.

    Args:
        measured: see `history`.
        metric: with its split, such as `test/recall@1`.
        width: of the figure, in inches.

    Raises:
        ValueError: no run measured the metric at two epochs.
    """
    own = measured[measured.index.get_level_values("metric") == metric]
    own = own[own.index.get_level_values("dataset") == dataset].droplevel(["dataset", "metric"])
    if own.index.get_level_values("epoch").nunique() < 2:
        raise ValueError(f"no run measured {metric} at two epochs (trainer.evaluate_every_epochs)")
    plain = metric.partition("/")[2]
    rate = directions([], [plain])[plain] is not None
    with styled():
        figure = Figure(figsize=(width, 0.6 * min(width, 5.2)), layout="constrained")
        unit = " in percent" if rate else ""
        axes = figure.add_subplot(
            title=printed("dataset", dataset), xlabel="epoch", ylabel=named(metric) + unit
        )
        ends: list[Name] = []
        grey: list[tuple[float, float]] = []
        for method, style in drawn(styles, own.index.get_level_values("method")):
            line = pd.DataFrame(own.loc[method]) * (100 if rate else 1)
            end = draw_line(axes, line, style, len(ends))
            if style.highlighted:
                ends.append(Name(style.name, end, style))
            else:
                grey.append(end)
        if grey:
            middle = sorted(grey, key=lambda end: end[1])[len(grey) // 2]
            text = f"{len(grey)} other methods" if len(grey) > 1 else "another method"
            ends.append(Name(text, middle, OTHER))
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        name_ends(axes, ends)
    return figure


def draw_line(
    axes: Axes, line: pd.DataFrame, style: MethodStyle, place: int
) -> tuple[float, float]:
    """Draw the mean and its band; returns the last point.

    Args:
        line: mean and std by epoch.
        place: number of lines before; their markers stand at other epochs, if there are many.
    """
    line = line.sort_index()
    epochs, mean = line.index.to_numpy(float), line["mean"].to_numpy(float)
    if style.highlighted:
        std = line["std"].fillna(0.0).to_numpy(float)
        axes.fill_between(
            epochs, mean - std, mean + std, color=style.colour, alpha=0.15, linewidth=0
        )
    every = max(1, round(len(epochs) / POINTS))
    axes.plot(
        epochs,
        mean,
        color=style.colour,
        marker=style.marker if style.highlighted else "",
        markevery=(place % every, every),
        linewidth=1.2 if style.highlighted else 0.6,
        zorder=style.order,
        label=style.name,
    )
    return float(epochs[-1]), float(mean[-1])
