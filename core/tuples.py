"""Tuples of a batch: all pairs, the choice by a miner, conversions between pairs and triplets."""

import torch
from torch import Tensor

from core.batch_checks import can_read_without_sync, check_inputs, check_mined, check_tuples
from core.types import (
    Embeddings,
    Labels,
    Mask,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
    Triplets,
    Tuples,
)


def select_tuples(
    miner: Miner | None,
    embeddings: Embeddings,
    labels: Labels,
    tuples: Tuples | None = None,
    references: References | None = None,
    reference_labels: ReferenceLabels | None = None,
) -> Tuples:
    """Selects the given tuples, else those of the miner, else all pairs; checks all arguments."""
    check_inputs(embeddings, labels, references, reference_labels)
    others = embeddings if references is None else references
    if tuples is not None:
        check_tuples(tuples, len(embeddings), len(others))
        return tuples
    if miner is not None:
        chosen = miner(embeddings, labels, references, reference_labels)
        if not torch.compiler.is_compiling():
            check_mined(miner, chosen, len(embeddings), len(others))
        return chosen
    return all_pairs(labels, reference_labels)


def all_pairs(labels: Labels, reference_labels: ReferenceLabels | None = None) -> Pairs:
    """All positive and all negative pairs; without references, (i, i) is neither."""
    others = labels if reference_labels is None else reference_labels
    same = labels[:, None] == others
    if reference_labels is None:
        diagonal = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return Pairs(positives=same & ~diagonal, negatives=~same)
    return Pairs(positives=same, negatives=~same)


def to_pairs(tuples: Tuples, num_anchors: int, num_references: int) -> Pairs:
    """Pairs of tuples: a valid triplet (a, p, n) gives (a, p) and (a, n); each pair counts once.

    Differences:
        pytorch-metric-learning: counts a pair as often as triplets name it in contrastive, SNR
            contrastive, lifted structure, margin, NT-Xent, tuplet margin, intra-pair variance and
            threshold-consistent margin.
    """
    if isinstance(tuples, Pairs):
        return tuples
    anchors, positives, negatives, valid = tuples
    shape = num_anchors, num_references
    return Pairs(
        _mask_of(anchors, positives, valid, shape), _mask_of(anchors, negatives, valid, shape)
    )


def _mask_of(rows: Tensor, columns: Tensor, valid: Tensor | None, shape: tuple[int, int]) -> Mask:
    """Mask of the valid entries (row, column); the others mark an extra entry that is cut off."""
    if valid is None:
        mask = torch.zeros(shape, dtype=torch.bool, device=rows.device)
        mask[rows, columns] = True
        return mask
    size = shape[0] * shape[1]
    places = (rows * shape[1] + columns).masked_fill_(~valid, size)
    marks = torch.zeros(size + 1, dtype=torch.bool, device=rows.device)
    return marks.index_fill_(0, places, True)[:size].view(shape)


def to_triplets(tuples: Tuples) -> Triplets:
    """Triplets of tuples: every positive pair with every negative pair of the same anchor.

    Their number depends on the data: the host waits for the device.
    """
    if isinstance(tuples, Triplets):
        return tuples
    anchors, positives = tuples.positives.nonzero(as_tuple=True)
    rows, negatives = tuples.negatives[anchors].nonzero(as_tuple=True)
    return Triplets(anchors[rows], positives[rows], negatives)


def sample_weights(tuples: Tuples | None, labels: Labels) -> Tensor:
    """Sample weights: how often the tuples name each sample in any role, (N,); 1 without tuples.

    A classification loss, which has no tuples of its own, uses a miner through these weights.

    Differences:
        pytorch-metric-learning: the mean over all samples of each loss times its weight, the
            largest weight being 1, where here the weights are divided by their sum; tuples that
            name no sample are all samples there, and none here.
    """
    if tuples is None:
        return torch.ones_like(labels)
    check_tuples(tuples, len(labels), len(labels))
    if isinstance(tuples, Pairs):
        named = tuples.positives.long() + tuples.negatives.long()
        return named.sum(dim=1) + named.sum(dim=0)
    named, valid = torch.cat(tuples[:3]), tuples.valid
    counts = torch.ones_like(named) if valid is None else valid.to(named.dtype).repeat(3)
    return torch.zeros_like(labels, dtype=torch.long).index_add(0, named, counts)


def one_triplet_per_anchor(positives: Tensor, negatives: Tensor, where: Tensor) -> Triplets:
    """One triplet (i, positives[i], negatives[i]) of each anchor i, valid where marked, (N,)."""
    return list_triplets(positives[:, None], negatives[:, None], where[:, None])


def list_triplets(positives: Tensor, negatives: Tensor, where: Mask) -> Triplets:
    """K triplets (i, positives[i, k], negatives[i, k]) of each anchor i, (N, K) each."""
    anchors = torch.arange(len(where), device=where.device)[:, None].expand_as(where)
    return Triplets(anchors.flatten(), positives.flatten(), negatives.flatten(), where.flatten())


def drop_invalid(triplets: Triplets) -> Triplets:
    """Drops invalid triplets and the mask; changes nothing where the host would have to wait."""
    if triplets.valid is None or not can_read_without_sync(triplets.valid):
        return triplets
    return Triplets(*(indices[triplets.valid] for indices in triplets[:3]))


def with_fallback(preferred: Mask, otherwise: Mask) -> Mask:
    """Preferred entries of each row, or the entries `otherwise` of a row that has no preferred."""
    return torch.where(preferred.any(dim=1, keepdim=True), preferred, otherwise)
