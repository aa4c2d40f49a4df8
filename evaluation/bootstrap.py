"""Bootstrap: confidence intervals of means over queries, by resampling the queries."""

import torch
from jaxtyping import Float
from torch import Tensor

MAX_DRAWS = 2**22  # queries drawn at a time, 8 bytes each


def bootstrap_intervals(
    scores: Float[Tensor, "M Q"], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Float[Tensor, "M 2"]:
    """Percentile bootstrap: lower and upper end of a confidence interval of each row's mean.

    Each resample draws Q of the Q queries with replacement, the same queries for every row. The
    draws are made on the CPU, so that they are the same on every device. The interval shows how
    much the mean varies with the choice of queries for a fixed model, fixed classes and a fixed
    gallery. It does not show how much the mean varies with the training seed or with the classes.
    Queries of one class are treated as independent, which they are not.
    To compare two runs, pass the differences of their scores query by query.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        resamples: number of resamples, >= 1; with 1000, the standard error of an end is about a
            twentieth of the width.
        confidence: share of the resampled means between the ends, in (0, 1).
        seed: seed of the draws.
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
        counts = scores.new_zeros(drawn.shape, dtype=torch.float64)
        counts.scatter_add_(1, drawn, torch.ones_like(counts))
        means.append(counts @ scores.double().T / num)
    ends = means[0].new_tensor([(1 - confidence) / 2, (1 + confidence) / 2])
    return torch.cat(means).quantile(ends, dim=0).T
