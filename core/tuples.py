"""Tuples of a batch: every pair, and the conversions between pairs and triplets."""

import torch

from core.types import Labels, Pairs, ReferenceLabels, Triplets, Tuples


def all_pairs(labels: Labels, reference_labels: ReferenceLabels | None = None) -> Pairs:
    """Every same-label and every different-label pair; without references, (i, i) is neither."""
    others = labels if reference_labels is None else reference_labels
    same = labels[:, None] == others
    if reference_labels is None:
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return Pairs(positives=same & ~itself, negatives=~same)
    return Pairs(positives=same, negatives=~same)


def to_pairs(tuples: Tuples, num_anchors: int, num_references: int) -> Pairs:
    """A triplet (a, p, n) names the pairs (a, p) and (a, n); each pair counts once."""
    if isinstance(tuples, Pairs):
        return tuples
    shape = num_anchors, num_references
    positives = torch.zeros(shape, dtype=torch.bool, device=tuples.anchors.device)
    negatives = torch.zeros_like(positives)
    positives[tuples.anchors, tuples.positives] = True
    negatives[tuples.anchors, tuples.negatives] = True
    return Pairs(positives, negatives)


def to_triplets(tuples: Tuples) -> Triplets:
    """Every positive and negative pair with the same anchor make a triplet."""
    if isinstance(tuples, Triplets):
        return tuples
    anchors, positives = tuples.positives.nonzero(as_tuple=True)
    rows, negatives = tuples.negatives[anchors].nonzero(as_tuple=True)
    return Triplets(anchors[rows], positives[rows], negatives)
