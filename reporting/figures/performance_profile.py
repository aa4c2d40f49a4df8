"""Performance profile: share of the runs above each value (Agarwal et al. 2021)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from evaluation.figures.style import COLOURS, MARKERS, TWO_COLUMNS, styled
from reporting.across_datasets import interquartile_mean, performance_profile, scores_by_method
from reporting.names import printed, printed_rows
from reporting.run import Run
from reporting.table import values_of

MOST = len(COLOURS)  # methods whose lines can be told apart
STEPS = 400


def performance_profiles(runs: Sequence[Run], metric: str, reading: str) -> Figure:
    """One line per method, of the best seven by interquartile mean, over the runs of all datasets.

    A line that is above another everywhere belongs to the better method.

    Raises:
        ValueError: there are not two datasets and a method that has both.
    """
    scores = scores_by_method(values_of(runs, [metric], reading, "test"), metric)
    if not scores:
        raise ValueError("no method has every dataset")
    order = sorted(scores, key=lambda name: -interquartile_mean(scores[name]).value)[:MOST]
    every = np.concatenate([values for name in order for values in scores[name]])
    thresholds = np.linspace(every.min() - 1, every.max() + 1, STEPS)
    name = printed("metric", metric)
    with styled():
        figure = Figure(figsize=(TWO_COLUMNS, 3.6), layout="constrained")
        first = f", the best {MOST} of {len(scores)} methods" * (len(scores) > MOST)
        axes = figure.add_subplot(title=f"Share of runs above a {name}{first}")
        names = printed_rows(list(scores))
        for place, method in enumerate(order):
            colour, marker = MARKERS[place]
            share = performance_profile(scores[method], thresholds, higher_is_better=True)
            axes.step(
                thresholds,
                share,
                color=colour,
                marker=marker,
                markevery=(place * STEPS // (8 * MOST), STEPS // 8),
                label=names[method],
                where="post",
            )
        axes.set_xlabel(f"{name} in percent")
        axes.set_ylabel("share of the runs of all datasets")
        axes.legend(frameon=False)
    return figure
