"""Methods by their Recall@1, as bars, best on top."""

import pandas as pd
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, VERMILLION, styled
from reporting.figures.means import regularised
from reporting.figures.relations import RECALL


def ranking(table: pd.DataFrame, dataset: str) -> Figure:
    """One dataset; the axis need not begin at zero and says so."""
    own = pd.DataFrame(100 * table.loc[dataset][RECALL]).sort_values("mean")
    low = own["mean"].min() - own["std"].max()
    high = (own["mean"] + own["std"]).max()
    start = max(0.0, low - 0.25 * (high - low)) if high > low else 0.0
    with styled():
        figure = Figure(figsize=(7, 1 + 0.3 * len(own)), layout="constrained")
        axes = figure.add_subplot(title=dataset)
        colours = [VERMILLION if regularised(str(method)) else BLUE for method in own.index]
        axes.barh(range(len(own)), own["mean"], xerr=own["std"], color=colours, height=0.7)
        axes.set_yticks(range(len(own)), [str(method) for method in own.index])
        for place, (mean, std) in enumerate(zip(own["mean"], own["std"], strict=True)):
            axes.annotate(
                f"{mean:.1f}", (mean + std, place), (4, 0), textcoords="offset points", va="center"
            )
        axes.set_ylim(-0.7, len(own) - 0.3)
        axes.set_xlim(start, high + 0.12 * (high - start))
        cut = "" if start == 0 else f", from {start:.0f} on"
        several = "; orange: ρ-regularised" if VERMILLION in colours else ""
        axes.set_xlabel(f"Recall@1 in percent{cut}{several}")
        axes.grid(visible=False, axis="y")
    return figure
