"""Recall curve: Recall@k over k."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from evaluation.figures.style import BLUE, GREY, ONE_COLUMN, plain_numbers, styled

MAX_DEPTH = 1000
LABELLED_DEPTHS = (1, 10, 100)  # depths at which the curve is annotated with its value

Counts = Int[np.ndarray, " Q"]
Depths = Int[np.ndarray, " K"]
Curve = Float[np.ndarray, " K"]


def recall_curve(first_hits: Counts, num_relevant: Counts, num_candidates: Counts) -> Figure:
    """Recall curve: Recall@k of the embeddings and of a random order.

    Args:
        first_hits: rank of the first relevant item of each query, from 1.
        num_relevant: number of relevant items of each query, >= 1.
        num_candidates: number of gallery items of each query, without the query itself.
    """
    depths = np.arange(1, min(MAX_DEPTH, int(num_candidates.max())) + 1)
    recall = np.searchsorted(np.sort(first_hits), depths, side="right") / len(first_hits)
    random_order = random_recall(num_relevant, num_candidates, depths)
    with styled():
        figure = Figure(figsize=(ONE_COLUMN, 2.4), layout="constrained")
        axes = figure.add_subplot(xscale="log", xlabel="k", ylabel="Recall@k", ylim=(-0.02, 1.05))
        axes.plot(depths, recall, color=BLUE, label="embeddings")
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
        axes.set_title(f"Relevant item among the first k, {len(first_hits):,} queries")
        axes.legend(loc="lower right")
    return figure


def random_recall(num_relevant: Counts, num_candidates: Counts, depths: Depths) -> Curve:
    """Expected Recall@k of a random order for each k: mean of 1 - Π_{i<k} (1 - R / (M - i)).

    R of the M candidates of a query are relevant; recall is 1 for k > M - R.
    """
    sizes, counts = np.unique([num_relevant, num_candidates], axis=1, return_counts=True)
    missed = np.zeros(len(depths))
    for relevant, candidates, count in zip(*sizes, counts, strict=True):
        remaining = np.maximum(candidates - depths + 1, relevant)  # before the k-th draw
        missed += count * np.cumprod(1 - relevant / remaining)
    return 1 - missed / len(num_relevant)
