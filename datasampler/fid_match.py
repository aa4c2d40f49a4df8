"""FID batch matching: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from core.ranges import PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.candidate_sampler import CandidateSampler
from datasampler.planning.stored_embeddings import StoredEmbeddings


class FIDMatch(CandidateSampler):
    """FID match sampler: takes the candidate whose Gaussian is nearest to that of a big batch.

    For every batch, a big batch of about M images is drawn by classes, and T candidates of
    P = `batch_size` / `samples_per_class` classes x K images within it. The candidate of the
    smallest Fréchet distance between Gaussians (Heusel et al. 2017, https://arxiv.org/abs/1706.08500)

        FID = |μ - μ'|² + tr Σ + tr Σ' - 2 tr (Σ Σ')^(1/2)

    is the batch, the first of several. μ and Σ are mean and covariance of the embeddings of the big
    batch, μ' and Σ' those of the candidate. The classes and images of a batch are distinct; only a
    class of fewer than K images repeats some.

    Differences:
        Roth et al.: draw the classes and images of the big batch and the classes of a candidate
            with replacement, `replacement=True`; the released code ends in a NameError.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        big_batch_size: M, at least `batch_size`.
        num_candidates: T.
        projection_dim: dimensions of a random Gaussian projection of the big batch, drawn for every
            batch; None uses the embeddings.
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

    def costs(self, big: Embeddings, places: Tensor) -> Tensor:
        return frechet_distances(big, big[places])


def frechet_distances(big: Tensor, candidates: Tensor) -> Tensor:
    """Fréchet distances between the Gaussian of rows (M, D) and those of T sets (T, B, D): (T,).

    The trace of the root of Σ Σ' is the sum of the roots of the eigenvalues of a symmetric matrix
    of size min(B, D), so that singular covariances need no care. Float64.
    """
    mean, rows = _centred(big.double())
    means, parts = _centred(candidates.double())
    covariance = rows.T @ rows
    traces = covariance.trace() + parts.square().sum(dim=(1, 2))
    if parts.shape[1] <= parts.shape[2]:
        gram = parts @ covariance @ parts.mT
    else:
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors * values.clamp(min=0).sqrt()
        gram = (parts @ root).mT @ (parts @ root)
    roots = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    fid: Tensor = (means - mean).square().sum(dim=-1) + traces - 2 * roots.sum(dim=1)
    return fid


def _centred(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of rows (..., N, D), and the centred rows over √(N - 1), whose products are Σ."""
    mean = rows.mean(dim=-2)
    return mean, (rows - mean.unsqueeze(-2)) / max(1, rows.shape[-2] - 1) ** 0.5
