"""Alignment of the embeddings of each class: Wang and Isola, ICML 2020."""

from core.types import Embeddings, Labels, Scalar
from evaluation.metrics.dists import class_sums
from evaluation.metrics.undefined import UndefinedError


def alignment(embeddings: Embeddings, labels: Labels) -> Scalar:
    """Alignment: mean squared Euclidean distance of two unit embeddings of one class.

        alignment = E |x - y|² over pairs x != y of one class,   |x - y|² = 2 (1 - cosine)

    The mean is over pairs, so that large classes have a large weight; `dists@intra` averages over
    classes and uses the cosine distance, half of |x - y|². Range [0, 4]; no better direction by
    itself (0 for a collapsed space), see `uniformity`. Exact, from the class sums, float64.
    Source: https://arxiv.org/abs/2005.10242, with exponent α = 2.

    Elsewhere: in the paper a positive pair is two views of an image, here two images of a class.

    Raises:
        UndefinedError: every class has one sample.

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 3.0], [5.0, 5.0]])
    >>> alignment(embeddings, torch.tensor([0, 0, 1])).item()
    2.0
    """
    sums, sizes = class_sums(embeddings, labels)
    num_pairs = (sizes * (sizes - 1)).sum()
    if num_pairs == 0:
        raise UndefinedError("no class has two samples")
    cosines = sums.square().sum(dim=1) - sizes
    return (2 - 2 * cosines.sum() / num_pairs).clamp(min=0)
