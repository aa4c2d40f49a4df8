"""Query changes: what two evaluations of the same queries find, beside each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int
from matplotlib.figure import Figure

from evaluation.figures.neighbor_grid import Answer, neighbors
from evaluation.figures.picture_grid import QUERY, Picture, picture_grid
from evaluation.figures.style import (
    GREEN,
    GREY,
    LIGHT_GREY,
    ONE_COLUMN,
    TWO_COLUMNS,
    VERMILLION,
    plain_numbers,
    styled,
)

Ranks = Int[np.ndarray, " Q"]
JITTER = 0.09  # of equal ranks, as a share of a factor of e, so that their number shows


def rank_changes(
    before: Ranks, after: Ranks, names: tuple[str, str], width: float = ONE_COLUMN
) -> Figure:
    """Rank of the first relevant item of each query, before and after, on logarithmic axes.

    Below the line the rank improves. Queries of equal ranks are scattered around their place.

    Args:
        before, after: ranks from 1 of the same queries.
        names: of the two evaluations.
        width: of the figure, in inches.
    """
    kinds: dict[str, tuple[Bool[np.ndarray, " Q"], str, str]] = {
        "right in both": ((before == 1) & (after == 1), LIGHT_GREY, "."),
        "wrong in both": ((before > 1) & (after > 1), GREY, "x"),
        "becomes right": ((before > 1) & (after == 1), GREEN, "^"),
        "becomes wrong": ((before == 1) & (after > 1), VERMILLION, "v"),
    }
    noise = np.random.default_rng(0).uniform(-JITTER, JITTER, (2, len(before)))
    x, y = before * np.exp(noise[0]), after * np.exp(noise[1])
    largest = max(before.max(), after.max())
    with styled():
        figure = Figure(figsize=(width, width + 0.25), layout="constrained")
        first, second = names
        axes = figure.add_subplot(
            xscale="log",
            yscale="log",
            xlabel=f"rank of the first hit, {first}",
            ylabel=f"rank of the first hit, {second}",
            xlim=(0.8, 1.3 * largest),
            ylim=(0.8, 1.3 * largest),
        )
        axes.set_aspect("equal")
        axes.plot([1, largest], [1, largest], color=GREY, linewidth=0.6, zorder=1)
        for name, (chosen, colour, marker) in kinds.items():
            share = 100 * chosen.mean()
            axes.plot(
                x[chosen],
                y[chosen],
                linestyle="",
                marker=marker,
                markersize=3,
                markeredgewidth=0.6,
                color=colour,
                label=f"{name}: {chosen.sum():,} ({share:.1f} %)",
                rasterized=len(before) > 5000,
            )
        plain_numbers(axes.xaxis)
        plain_numbers(axes.yaxis)
        figure.legend(
            loc="outside upper center", ncols=2, frameon=False, handletextpad=0.2, columnspacing=1
        )
    return figure


def changed_queries(
    groups: Mapping[str, Sequence[tuple[Answer, Answer]]],
    names: tuple[str, str],
    width: float = TWO_COLUMNS,
) -> Figure:
    """Changed queries: each with its neighbours before and after, rows labelled by group.

    Args:
        groups: group name, such as "becomes right" -> answers before and after to each query.
        names: of the two evaluations.
        width: of the figure, in inches.

    Raises:
        ValueError: no query changes.
    """
    every = [answer for pairs in groups.values() for pair in pairs for answer in pair]
    if not every:
        raise ValueError("no query changes from right to wrong or from wrong to right")
    depth = max(len(answer.found) for answer in every)
    rows = {
        name: [
            [
                Picture(first.query, QUERY, first.lines),
                *neighbors(first),
                *[None] * (depth - len(first.found)),
                *neighbors(second),
            ]
            for first, second in pairs
        ]
        for name, pairs in groups.items()
    }
    headings = {0: "query", 1: names[0], 1 + depth: names[1]}
    return picture_grid(rows, headings, width)
