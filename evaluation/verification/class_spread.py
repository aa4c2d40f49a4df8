"""Class spread: how differently one threshold treats the classes; see `evaluation.metrics.opis`."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Scalar
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.pairs import Pairs
from evaluation.verification.class_counts import ClassCounts, Thresholds


def equal_distances(least: float, largest: float, num: int, pairs: Pairs) -> Thresholds:
    """Similarities between two, ascending, at equal steps of the distance √(2 (s(x, x) - s))."""
    self_similarity = 1 if pairs.offsets is None else 0  # s(x, x)
    ends = torch.tensor([least, largest], dtype=torch.float64)
    farthest, nearest = (2 * (self_similarity - ends)).clamp_min(0).sqrt().tolist()
    distances = torch.linspace(farthest, nearest, num, dtype=torch.float64)
    return (self_similarity - distances.square() / 2).float()


def utility(counts: ClassCounts) -> Float[Tensor, "C T"]:
    """Harmonic mean of TMR and 1 - FMR of each class that has a positive pair."""
    has_pairs = (counts.positives[:, -1] > 0) & (counts.negatives[:, -1] > 0)
    sensitivity, specificity = counts.tmr[has_pairs], 1 - counts.fmr[has_pairs]
    mean = 2 * sensitivity * specificity / (sensitivity + specificity)
    return mean.nan_to_num(0)  # both are 0


def inconsistency(utilities: Float[Tensor, "C T"]) -> Scalar:
    """Mean squared deviation of utilities from their mean over classes."""
    if len(utilities) == 0:
        raise UndefinedError("there is no class with a pair of two images")
    return (utilities - utilities.mean(dim=0)).square().mean()
