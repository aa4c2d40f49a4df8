"""D² coreset batches: Roth et al., ICML 2020, https://arxiv.org/abs/2002.08473."""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Lt
from numpy.typing import ArrayLike
from torch import Tensor

from core.ranges import NonNegativeFloat, PositiveInt, Seed
from core.types import Embeddings
from datasampler.planning.coreset import big_batch, check_big_batch, select_points
from datasampler.planning.embedding_sampler import EmbeddingSampler, project
from datasampler.planning.stored_embeddings import StoredEmbeddings

RIDGE = 1e-6  # of the mean variance, added to the covariance, which may be singular


class D2Coreset(EmbeddingSampler):
    """D² coreset sampler: draws P points, likely and far apart, and adds K - 1 of each class.

    For every batch, a big batch of M random images is drawn, with mean μ and covariance Σ. The
    first point is the one nearest to a draw from N(μ, Σ). Each next point is drawn with probability

        p_j ∝ N(x_j; μ, Σ + ε I) (Σ_{i selected} |x_i - x_j|²)^λ,   ε = 1e-6 tr(Σ) / D

    until there are P = `batch_size` / `samples_per_class` points, as in the seeding of k-means++
    with a sum instead of a minimum. K - 1 random images of its class follow each point. Points,
    classes and images of a batch are distinct; a class repeats only if the big batch has fewer than
    P classes, and an image only if its class has fewer than K images. Where all p_j are 0, they
    count as equal.

    In high dimensions the density outweighs any λ of about 1: between two points of D = 128
    dimensions it differs by a factor of about exp(√D). `projection_dim` of 8 to 32 balances them.

    Differences:
        Roth et al.: probabilities instead of their logarithms, and no ε, which ends in an error or
            in NaN for a singular Σ or in many dimensions; classes may repeat and the images that
            follow a point may repeat it, `replacement=True`.
        Roth et al., released code: looks up the selected points in another big batch than the one
            they were selected from, so that they are random images.

    Args:
        labels: class of every training image, (S,).
        batch_size: images per batch, a multiple of `samples_per_class`.
        samples_per_class: K >= 1.
        seed: of the draws; the global random state is not used.
        big_batch_size: M >= P, at most all images are taken; a fraction of all images if below 1.
        projection_dim: dimensions of a random Gaussian projection of the big batch, drawn for every
            batch; None uses the embeddings.
        power: λ >= 0; 0 draws by the density alone.
        replacement: see above.
        storage: stored embeddings of the training images; None is `StoredEmbeddings()`.
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: PositiveInt,
        samples_per_class: PositiveInt,
        seed: Seed,
        big_batch_size: PositiveInt | Annotated[float, Gt(0), Lt(1)] = 512,
        projection_dim: PositiveInt | None = None,
        power: NonNegativeFloat = 1.0,
        replacement: bool = False,
        storage: StoredEmbeddings | None = None,
    ) -> None:
        super().__init__(labels, batch_size, samples_per_class, seed, storage, replacement)
        check_big_batch(big_batch_size, self.num_images, self.classes_per_batch)
        if not power >= 0:
            raise ValueError(f"power must be at least 0, got {power}")
        self.big_batch_size, self.projection_dim = big_batch_size, projection_dim
        self.power = power

    def plan(self, embeddings: Embeddings, rng: np.random.Generator) -> np.ndarray:
        images = big_batch(rng, self.num_images, self.big_batch_size)
        points = project(embeddings[torch.from_numpy(images)], self.projection_dim, rng).double()
        classes = torch.from_numpy(self.images.codes[images]).to(points.device)
        noise = rng.gumbel(size=(self.classes_per_batch, len(images)))
        selected = select_points(
            points,
            None if self.replacement else classes,
            nearest_to_a_draw(rng, points),
            self.classes_per_batch,
            torch.add,
            self._drawn(gaussian_log_density(points), torch.from_numpy(noise).to(points.device)),
        )
        return self.complete(rng, images[selected.cpu().numpy()])

    def _drawn(self, density: Tensor, noise: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Draws the next point; the largest log-probability plus Gumbel noise is an exact draw."""
        rows = iter(noise)

        def choose(distances: Tensor, eligible: Tensor) -> Tensor:
            logits = density + torch.xlogy(self.power, distances)
            logits = logits.masked_fill(~eligible, -torch.inf)
            none = ~logits.isfinite().any()
            logits = torch.where(none & eligible, 0, logits)
            best: Tensor = (logits + next(rows)).argmax(dim=0, keepdim=True)
            return best

        return choose


def nearest_to_a_draw(rng: np.random.Generator, points: Tensor) -> Tensor:
    """The point nearest to a draw from the Gaussian of their mean and covariance, (1,)."""
    centred = points - points.mean(dim=0)
    weights = torch.from_numpy(rng.standard_normal(len(points))).to(points)
    draw = weights @ centred / max(1, len(points) - 1) ** 0.5
    nearest: Tensor = (centred - draw).square().sum(dim=1).argmin(dim=0, keepdim=True)
    return nearest


def gaussian_log_density(points: Tensor) -> Tensor:
    """Log-density of each point under the Gaussian of all, up to a constant, (M,), float64."""
    centred = points.double() - points.double().mean(dim=0)
    covariance = centred.T @ centred / max(1, len(points) - 1)
    variances = covariance.diagonal()
    ridge = RIDGE * variances.mean()
    variances.add_(torch.where(ridge > 0, ridge, 1))
    factor = torch.linalg.cholesky_ex(covariance).L
    whitened = torch.linalg.solve_triangular(factor, centred.T, upper=False)
    log_density: Tensor = -0.5 * whitened.square().sum(dim=0)
    return log_density
