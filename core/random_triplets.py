"""Random triplets of a batch, several of each anchor."""

import torch
from torch import Tensor

from core.random import SeededRandom
from core.tuples import all_pairs
from core.types import Labels, Mask, Triplets


def random_triplets(labels: Labels, per_anchor: int, random: SeededRandom) -> Triplets:
    """Random triplets of each sample as the anchor, valid where it has positives and negatives.

    Positive and negative are drawn uniformly and with replacement, without waiting for the device.
    """
    anchors = torch.arange(len(labels), device=labels.device).repeat_interleave(per_anchor)
    pairs = all_pairs(labels)
    positives, negatives = (drawn(mask, per_anchor, random).flatten() for mask in pairs)
    valid = pairs.positives.any(dim=1) & pairs.negatives.any(dim=1)
    return Triplets(anchors, positives, negatives, valid[anchors])


def drawn(candidates: Mask, number: int, random: SeededRandom) -> Tensor:
    """Marked columns of each row, drawn uniformly with replacement, (N, M) -> (N, number)."""
    columns = candidates.byte().argsort(dim=1, descending=True, stable=True)  # marked ones first
    share = random.uniform(len(candidates), number, like=candidates)
    return columns.gather(1, (share * candidates.sum(dim=1, keepdim=True)).long())
