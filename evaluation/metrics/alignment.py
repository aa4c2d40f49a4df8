"""Alignment of the embeddings of a class: Wang and Isola, ICML 2020."""

from core.types import Embeddings, Labels, Scalar
from evaluation.metrics.dists import class_sums
from evaluation.metrics.undefined import UndefinedError


def alignment(embeddings: Embeddings, labels: Labels) -> Scalar:
    """Mean squared Euclidean distance of two samples of one class, as unit vectors.

        alignment = E |x - y|² over pairs x != y of one class,   |x - y|² = 2 (1 - cosine)

    Every pair counts the same, so a large class counts for more; `dists@intra` averages classes
    instead, and is half as large. Range [0, 4]; no better direction by itself (0 for a collapsed
    space), see `uniformity`. Exact, from the sums of the classes, float64.
    Source: https://arxiv.org/abs/2005.10242, with its exponent α = 2.

    Elsewhere: their positive pairs are two views of an image, here two images of a class.

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
