"""Confidence intervals of means over queries, by drawing the queries again."""

import torch
from jaxtyping import Float
from torch import Tensor

MAX_DRAWS = 2**22  # queries drawn at a time, in 64 bits each


def bootstrap_intervals(
    scores: Float[Tensor, "M Q"], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Float[Tensor, "M 2"]:
    """Percentile bootstrap interval of the mean of each row: its lower and its upper end.

    Draws Q of the Q queries with replacement, `resamples` times, the same ones for every row, on
    the CPU, so that every device draws the same. Says how much the mean depends on which queries
    were asked, from the same model, classes and gallery: not how much another training or other
    classes would change it. Queries of one class are treated as independent, which they are not.
    For the difference of two runs, give the differences of their scores query by query.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        resamples: >= 1; 1000 leave an end uncertain by about a twentieth of the width.
        confidence: share of the resampled means between the ends, in (0, 1).
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            "at least one resample and a confidence in (0, 1) expected, "
            f"got {resamples} and {confidence}"
        )
    num = scores.shape[1]
    generator = torch.Generator().manual_seed(seed)
    means, rows = [], max(1, MAX_DRAWS // num)
    for start in range(0, resamples, rows):
        size = (min(rows, resamples - start), num)
        drawn = torch.randint(num, size, generator=generator).to(scores.device)
        times = scores.new_zeros(drawn.shape, dtype=torch.float64)
        times.scatter_add_(1, drawn, torch.ones_like(times))
        means.append(times @ scores.double().T / num)
    ends = means[0].new_tensor([(1 - confidence) / 2, (1 + confidence) / 2])
    return torch.cat(means).quantile(ends, dim=0).T
