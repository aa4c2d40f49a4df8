"""Principal component analysis (PCA) of embeddings: Pearson 1901, Hotelling 1933."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.kernels.l2_normalize import l2_normalize
from core.ranges import PositiveInt
from core.types import Embeddings
from evaluation.transforms.affine import affine
from evaluation.transforms.moments import deviations, mean_and_covariance
from evaluation.transforms.transform import FitOn, TransformError, fitting_rows


class PCA:
    """PCA: projects embeddings onto the directions of largest variance of the evaluated set.

        z = (x - μ) / σ,   y = Vᵀ z,   y / |y|

    μ and σ are mean and standard deviation of each dimension, V holds the `num_components`
    eigenvectors of the covariance of z with the largest eigenvalues λ. With `whiten`, component i
    is divided by √λ_i, so that all components have variance 1; components without variance stay 0.
    A dimension that does not vary is not divided. (N, D) -> (N, num_components).

    Mean, deviations and components are fitted without labels on the embeddings of the evaluated
    split itself. They are not those of the training images, so that two splits have different
    projections. The largest entry of each component is positive.

    Differences:
        pytorch-metric-learning: the option `pca` of its testers is `PCA(num_components)`. It fits
            each split separately, so that queries and references from different splits are
            projected differently; here queries and gallery always share one projection. It gives
            NaN if a dimension does not vary.
        scikit-learn: `PCA` does not standardise; `standardize=False, normalize=False` is the same.

    Args:
        num_components: number of components, at most min(N, D) of the fitted embeddings; None
            means D components.
        standardize: whether to divide each dimension by its standard deviation first.
        whiten: whether to divide each component by its standard deviation.
        normalize: whether the results are unit vectors.
        fit_on: `all` fits on queries and gallery, `gallery` on the gallery alone.

    Raises:
        TransformError: more components than the fitted embeddings have.
    """

    def __init__(
        self,
        num_components: PositiveInt | None = None,
        *,
        standardize: bool = True,
        whiten: bool = False,
        normalize: bool = True,
        fit_on: FitOn = "all",
    ) -> None:
        if num_components is not None and num_components < 1:
            raise TransformError(f"num_components must be at least 1, got {num_components}")
        self.num_components, self.fit_on = num_components, fit_on
        self.standardize, self.whiten, self.normalize = standardize, whiten, normalize

    def __call__(self, embeddings: Embeddings, gallery: Int[Tensor, " M"]) -> Embeddings:
        """Fit the projection and apply it.

        Args:
            gallery: indices of the gallery items.
        """
        rows = fitting_rows(embeddings, gallery, self.fit_on)
        self._check(*rows.shape)
        mean, covariance = mean_and_covariance(rows)
        scale = torch.ones_like(mean)
        if self.standardize:
            scale = deviations(mean, covariance.diagonal())
        components, variances = principal_components(covariance / scale.outer(scale))
        kept = components[:, : self.num_components]
        if self.whiten:
            kept = kept / torch.where(variances > 0, variances, torch.inf)[: kept.shape[1]].sqrt()
        projected = affine(embeddings, mean, kept / scale[:, None])
        return l2_normalize(projected) if self.normalize else projected

    def _check(self, num: int, dim: int) -> None:
        wanted = self.num_components or dim
        if wanted > min(num, dim):
            raise TransformError(
                f"PCA of {num} embeddings of {dim} dimensions has at most {min(num, dim)} "
                f"components, got num_components={wanted}"
            )


def principal_components(
    covariance: Float[Tensor, "D D"],
) -> tuple[Float[Tensor, "D D"], Float[Tensor, " D"]]:
    """Eigenvectors as columns and eigenvalues of a covariance, the largest first.

    The largest entry of each eigenvector is positive. Eigenvalues that are rounding errors are 0.
    """
    variances, components = torch.linalg.eigh(covariance)
    variances, components = variances.flip(0), components.flip(1)
    rounding = len(variances) * torch.finfo(variances.dtype).eps * variances[0]
    largest = components.gather(0, components.abs().argmax(dim=0, keepdim=True))
    return components * largest.sign(), torch.where(variances > rounding, variances, 0)
