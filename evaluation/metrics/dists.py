"""Embedding space density, distances within and between classes: Roth et al., ICML 2020.

The paper, https://arxiv.org/abs/2002.08473, calls them π_intra, π_inter and π_ratio. As in its
code, distances are cosine distances, 1 - cosine, in [0, 2]. None has a better direction.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from core.kernels.l2_normalize import l2_normalize
from core.types import Embeddings, Labels, Scalar
from evaluation.clustering.sums import sums_by_group
from evaluation.metrics.undefined import UndefinedError

ROUNDING = 1e-12  # mean distances up to this are rounding errors


def intra(embeddings: Embeddings, labels: Labels) -> Scalar:
    """Intra-class distance: mean over classes of the mean cosine distance of pairs of the class.

        intra = mean over classes of E (1 - x·y / (|x| |y|)) over pairs x != y of the class

    Classes of one sample have no pair and are excluded. Range [0, 2], no better direction.
    Float64. Source: Roth et al. 2020, https://arxiv.org/abs/2002.08473 (π_intra).

    Elsewhere: the code of Roth et al. assigns to classes of one sample a maximum over other
    classes, which can be infinite. Other definitions use Euclidean distances or distances to the
    class mean.

    Raises:
        UndefinedError: every class has one sample.
    """
    sums, sizes = class_sums(embeddings, labels)
    has_pairs = sizes > 1
    if not has_pairs.any():
        raise UndefinedError("no class has two samples")
    return mean_distance(sums[has_pairs].square().sum(dim=1), sizes[has_pairs]).mean()


def inter(embeddings: Embeddings, labels: Labels) -> Scalar:
    """Inter-class distance: mean cosine distance between the mean unit embeddings of two classes.

        inter = E (1 - cosine of the means of a and b) over pairs of classes a != b

    Range [0, 2], no better direction. Float64. Source: as `dists@intra` (π_inter).

    Elsewhere: the code of Roth et al. averages embeddings without normalising them, which is the
    same for unit vectors. Other definitions use Euclidean distances or all pairs of samples of
    different classes.

    Raises:
        UndefinedError: there is only one class.
    """
    sums, sizes = class_sums(embeddings, labels)
    if len(sizes) < 2:
        raise UndefinedError("there is only one class")
    centers = F.normalize(sums, dim=1)
    return mean_distance(centers.sum(dim=0).square().sum(), sizes.new_tensor(len(sizes)))


def ratio(embeddings: Embeddings, labels: Labels) -> Scalar:
    """Density ratio: intra-class distance over inter-class distance.

        ratio = intra / inter

    Range [0, ∞), no better direction. Source: as `dists@intra` (π_ratio).

    Elsewhere: called dists@intra_over_inter in the code of Roth et al.

    Raises:
        UndefinedError: intra or inter is undefined, or all classes have the same mean direction.
    """
    inter_distance = inter(embeddings, labels)
    if inter_distance <= ROUNDING:
        raise UndefinedError("all classes have the same mean direction")
    return intra(embeddings, labels) / inter_distance


def class_sums(
    embeddings: Embeddings, labels: Labels
) -> tuple[Float[Tensor, "C D"], Int[Tensor, " C"]]:
    """Sum of the unit embeddings, in float64, and number of samples of each class."""
    classes, class_id = torch.unique(labels, return_inverse=True)
    return sums_by_group(l2_normalize(embeddings.double()), class_id, len(classes))


def mean_distance(squared_sum: Tensor, size: Tensor) -> Tensor:
    """Mean of 1 - x·y over pairs x != y among `size` unit vectors, from |Σx|² = Σ|x|² + Σ x·y."""
    return (1 - (squared_sum - size) / (size * (size - 1))).clamp(min=0)
