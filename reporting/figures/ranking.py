"""Methods by their Recall@1, as bars, best on top."""

import pandas as pd
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, SMALL, TWO_COLUMNS, VERMILLION, styled
from reporting.figures.means import regularised
from reporting.figures.method_styles import MethodStyles, drawn
from reporting.figures.relations import RECALL
from reporting.names import printed

ROW = 0.135  # inches of a bar and the gap to the next; 54 methods fill a page


def ranking(
    table: pd.DataFrame, dataset: str, styles: MethodStyles, width: float = TWO_COLUMNS
) -> Figure:
    """One dataset; the axis need not begin at zero and says so."""
    own = pd.DataFrame(100 * table.loc[dataset][RECALL]).dropna(subset="mean").sort_values("mean")
    methods = [str(method) for method in own.index]
    low = own["mean"].min() - own["std"].max()
    high = (own["mean"] + own["std"]).max()
    start = max(0.0, low - 0.25 * (high - low)) if high > low else 0.0
    names = {method: style.name for method, style in drawn(styles, methods)}
    with styled():
        figure = Figure(figsize=(width, 0.6 + ROW * len(own)), layout="constrained")
        axes = figure.add_subplot(title=printed("dataset", dataset))
        colours = [VERMILLION if regularised(method) else BLUE for method in methods]
        hatches = ["////" if regularised(method) else "" for method in methods]
        axes.barh(
            range(len(own)),
            own["mean"],
            xerr=own["std"],
            color=colours,
            hatch=hatches,
            edgecolor="white",
            linewidth=0,
            height=0.72,
            error_kw={"elinewidth": 0.8},
        )
        axes.set_yticks(range(len(own)), [names[method] for method in methods])
        axes.tick_params(axis="y", length=0)
        for place, (mean, std) in enumerate(zip(own["mean"], own["std"], strict=True)):
            axes.annotate(
                f"{mean:.1f}",
                (mean + std, place),
                (3, 0),
                textcoords="offset points",
                va="center_baseline",
                fontsize=SMALL,
            )
        axes.set_ylim(-0.6, len(own) - 0.4)
        axes.set_xlim(start, high + 0.12 * (high - start))
        cut = "" if start == 0 else f", from {start:.0f} on"
        several = "; hatched: ρ-regularised" if VERMILLION in colours else ""
        axes.set_xlabel(f"Recall@1 in percent{cut}{several}")
        axes.grid(visible=False, axis="y")
    return figure
