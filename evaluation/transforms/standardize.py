"""Standardisation of embeddings: each dimension has mean 0 and variance 1."""

from jaxtyping import Int
from torch import Tensor

from core.kernels.l2_normalize import l2_normalize
from core.types import Embeddings
from evaluation.transforms.moments import deviations, mean_and_covariance
from evaluation.transforms.transform import FitOn, fitting_rows


class Standardize:
    """Standardise: subtracts the mean of each dimension and divides by its standard deviation.

        z = (x - μ) / σ,   z / |z|

    The deviation divides by N - 1. A dimension that does not vary is not divided. μ and σ are
    fitted on the embeddings of the evaluated split itself, without labels. (N, D) -> (N, D).

    Args:
        normalize: whether the results are unit vectors.
        fit_on: `all` fits on queries and gallery, `gallery` on the gallery alone.
    """

    def __init__(self, *, normalize: bool = True, fit_on: FitOn = "all") -> None:
        self.normalize, self.fit_on = normalize, fit_on

    def __call__(self, embeddings: Embeddings, gallery: Int[Tensor, " M"]) -> Embeddings:
        """Fit mean and deviations and apply them.

        Args:
            gallery: indices of the gallery items.
        """
        mean, covariance = mean_and_covariance(fitting_rows(embeddings, gallery, self.fit_on))
        scale = deviations(mean, covariance.diagonal())
        scaled = ((embeddings - mean) / scale).to(embeddings.dtype)
        return l2_normalize(scaled) if self.normalize else scaled
