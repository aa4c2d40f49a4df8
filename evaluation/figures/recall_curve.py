"""Recall@k over k: how deep one has to look."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, GREY, plain_numbers, styled

MAX_DEPTH = 1000
LABELLED_DEPTHS = (1, 10, 100)  # depths whose recall is written beside the curve

Counts = Int[np.ndarray, " Q"]
Depths = Int[np.ndarray, " K"]
Curve = Float[np.ndarray, " K"]


def recall_curve(first_hits: Counts, num_relevant: Counts, num_candidates: Counts) -> Figure:
    """Share of queries with a relevant item among the first k, and what a random order would give.

    Args:
        first_hits: rank of the first relevant item of each query, from 1.
        num_relevant: relevant items of each query, >= 1.
        num_candidates: gallery items of each query, itself left out.
    """
    depths = np.arange(1, min(MAX_DEPTH, int(num_candidates.max())) + 1)
    recall = np.searchsorted(np.sort(first_hits), depths, side="right") / len(first_hits)
    random_order = random_recall(num_relevant, num_candidates, depths)
    with styled():
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot(xscale="log", xlabel="k", ylabel="Recall@k", ylim=(-0.02, 1.05))
        axes.plot(depths, recall, color=BLUE, linewidth=2, label="embeddings")
        axes.plot(depths, random_order, color=GREY, linestyle="--", label="random order")
        for k in LABELLED_DEPTHS:
            if k < len(depths):
                axes.plot(k, recall[k - 1], "o", color=BLUE)
                axes.annotate(
                    f"@{k}: {recall[k - 1]:.3f}",
                    (k, recall[k - 1]),
                    xytext=(6, -14),
                    textcoords="offset points",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )
        plain_numbers(axes.xaxis)
        axes.set_title(f"Share of {len(first_hits):,} queries with a relevant item in the first k")
        axes.legend(loc="lower right")
    return figure


def random_recall(num_relevant: Counts, num_candidates: Counts, depths: Depths) -> Curve:
    """Recall@k of a random order, k = 1, 2, ...: mean of 1 - Π_{i<k} (1 - R / (M - i)).

    R of the M candidates are relevant. After M - R draws a relevant one must come.
    """
    kinds, queries = np.unique([num_relevant, num_candidates], axis=1, return_counts=True)
    missed = np.zeros(len(depths))
    for relevant, candidates, count in zip(*kinds, queries, strict=True):
        left = np.maximum(candidates - depths + 1, relevant)  # before the k-th draw
        missed += count * np.cumprod(1 - relevant / left)
    return 1 - missed / len(num_relevant)
