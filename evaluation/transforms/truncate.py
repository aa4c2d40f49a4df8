"""Truncation of embeddings: Matryoshka representation learning, Kusupati et al., NeurIPS 2022."""

from core.kernels.l2_normalize import l2_normalize
from core.ranges import PositiveInt
from core.types import Embeddings
from evaluation.transforms.transform import TransformError


class Truncate:
    """Truncate: keeps the first dimensions of the embeddings and normalises them again.

        y = x[:dim],   y / |y|

    Nothing is fitted. One evaluation for each of several `dim` gives the curve of quality over
    embedding size of Kusupati et al., https://arxiv.org/abs/2205.13147. (N, D) -> (N, dim).

    Args:
        dim: number of dimensions kept, at most D.
        normalize: whether the results are unit vectors.

    Raises:
        TransformError: the embeddings have fewer dimensions.
    """

    def __init__(self, dim: PositiveInt, *, normalize: bool = True) -> None:
        if dim < 1:
            raise TransformError(f"dim must be at least 1, got {dim}")
        self.dim, self.normalize = dim, normalize

    def __call__(self, embeddings: Embeddings) -> Embeddings:
        """The first `dim` dimensions of the embeddings (N, D)."""
        if self.dim > embeddings.shape[1]:
            raise TransformError(
                f"Truncate keeps dim={self.dim} dimensions, and the embeddings have "
                f"{embeddings.shape[1]}"
            )
        kept = embeddings[:, : self.dim]
        return l2_normalize(kept) if self.normalize else kept
