"""Distance histogram batch matching: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

from typing import Literal, get_args

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from core.kernels.euclidean import euclidean
from core.ranges import NonNegativeFloat, PositiveInt, Seed
from core.types import Distances, Embeddings
from datasampler.planning.candidate_sampler import CandidateSampler
from datasampler.planning.stored_embeddings import StoredEmbeddings

HistogramCost = Literal["wasserstein", "bin_values"]
BINS = 50  # Roth et al. 2020


class DistanceHistogramMatch(CandidateSampler):
    """Distance histogram match sampler: takes the candidate whose distances are like a big batch's.

    For every batch, a big batch of about M images is drawn by classes, and T candidates of
    P = `batch_size` / `samples_per_class` classes x K images within it. The candidate of the
    smallest cost

        |μ - μ'| + |σ - σ'| + w W(h, h')

    is the batch, the first of several. μ and σ are mean and standard deviation (divisor N) of each
    dimension of the embeddings of the big batch, μ' and σ' those of the candidate, h and h' the
    histograms of all Euclidean distances between two of their images, with 50 bins over the range
    of the big batch. W is the Wasserstein distance of the histograms,

        W(h, h') = bin width · Σ_b |H_b - H'_b|,   H cumulative, H_50 = 1

    The classes and images of a batch are distinct; only a class of fewer than K images repeats
    some.

    Differences:
        Roth et al.: W is twice the Wasserstein distance between the values of the 50 bins, regarded
            as two sets of numbers: the places of the bins do not count, and two histograms that are
            shifted copies have W = 0. `histogram_cost="bin_values"`. They draw the classes and
            images of the big batch and the classes of a candidate with replacement,
            `replacement=True`.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        big_batch_size: M, at least `batch_size`.
        num_candidates: T.
        projection_dim: dimensions of a random Gaussian projection of the big batch, drawn for every
            batch; None uses the embeddings.
        histogram_weight: w >= 0.
        histogram_cost: W, "wasserstein" or "bin_values".
        replacement: see above.
        storage: stored embeddings of the training images; None is `StoredEmbeddings()`.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        big_batch_size: PositiveInt = 512,
        num_candidates: PositiveInt = 10,
        projection_dim: PositiveInt | None = None,
        histogram_weight: NonNegativeFloat = 75.0,
        histogram_cost: HistogramCost = "wasserstein",
        replacement: bool = False,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        super().__init__(
            labels,
            batch_size,
            samples_per_class,
            seed,
            big_batch_size,
            num_candidates,
            projection_dim,
            replacement,
            storage,
        )
        if histogram_cost not in get_args(HistogramCost):
            raise ValueError(
                f"histogram_cost must be one of {get_args(HistogramCost)}, got {histogram_cost!r}"
            )
        self.histogram_weight, self.histogram_cost = histogram_weight, histogram_cost

    def costs(self, big: Embeddings, places: Tensor) -> Tensor:
        histograms = histogram_costs(euclidean(big), places, self.histogram_cost)
        return moment_cost(big, big[places]) + self.histogram_weight * histograms


def moment_cost(big: Tensor, candidates: Tensor) -> Tensor:
    """|μ - μ'| + |σ - σ'| between rows (M, D) and each of T sets (T, B, D): (T,)."""
    spread, mean = torch.std_mean(big, dim=0, correction=0)
    spreads, means = torch.std_mean(candidates, dim=1, correction=0)
    cost: Tensor = (means - mean).norm(dim=1) + (spreads - spread).norm(dim=1)
    return cost


def histogram_costs(distances: Distances, parts: Tensor, kind: HistogramCost) -> Tensor:
    """W between the histogram of all pairs and those of T parts: (M, M), places (T, B) -> (T,)."""
    all_pairs = _pairs(len(distances), parts.device)
    values = distances[all_pairs[0], all_pairs[1]]
    low, high = values.aminmax()
    width = (high - low) / BINS
    bins = ((distances - low) / width.clamp(min=torch.finfo(width.dtype).tiny)).long()
    bins = bins.clamp_(0, BINS - 1)
    first, second = _pairs(parts.shape[1], parts.device)
    inner = bins[parts[:, first], parts[:, second]]
    ours = _frequencies(bins[all_pairs[0], all_pairs[1]][None])
    theirs = _frequencies(inner)
    if kind == "bin_values":
        return 2 * (ours.sort(dim=1).values - theirs.sort(dim=1).values).abs().mean(dim=1)
    return width * (ours.cumsum(dim=1) - theirs.cumsum(dim=1)).abs().sum(dim=1)


def _pairs(count: int, device: torch.device) -> Tensor:
    """Rows and columns above the diagonal, (2, count (count - 1) / 2)."""
    return torch.triu_indices(count, count, offset=1, device=device)


def _frequencies(bins: Tensor) -> Tensor:
    """Histograms of bin numbers (T, pairs), each of sum 1: (T, BINS)."""
    counts = torch.zeros(len(bins), BINS, dtype=torch.long, device=bins.device)
    counts.scatter_add_(1, bins, torch.ones_like(bins))
    return counts / max(1, bins.shape[1])
