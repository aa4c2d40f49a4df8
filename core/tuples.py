"""Tuples of a batch: every pair, who chooses among them, and conversions between their kinds."""

import torch
from torch import Tensor

from core.inputs import check_inputs, check_tuples
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
    """The tuples given, else the miner's choice, else every pair; the inputs are checked first."""
    check_inputs(embeddings, labels, references, reference_labels)
    if tuples is not None:
        others = embeddings if references is None else references
        check_tuples(tuples, len(embeddings), len(others))
        return tuples
    if miner is not None:
        return miner(embeddings, labels, references, reference_labels)
    return all_pairs(labels, reference_labels)


def all_pairs(labels: Labels, reference_labels: ReferenceLabels | None = None) -> Pairs:
    """Every same-label and every different-label pair; without references, (i, i) is neither."""
    others = labels if reference_labels is None else reference_labels
    same = labels[:, None] == others
    if reference_labels is None:
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        return Pairs(positives=same & ~itself, negatives=~same)
    return Pairs(positives=same, negatives=~same)


def to_pairs(tuples: Tuples, num_anchors: int, num_references: int) -> Pairs:
    """A triplet (a, p, n) names the pairs (a, p) and (a, n); each pair counts once.

    Differences:
        pytorch-metric-learning: counts a pair as often as triplets name it in contrastive, SNR
            contrastive, lifted structure, margin, NT-Xent, tuplet margin, intra-pair variance and
            threshold-consistent margin.
    """
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


def to_weights(tuples: Tuples | None, labels: Labels) -> Tensor:
    """How often the tuples name each sample, in any role, (N,); 1 for each if there are none given.

    This is how an objective without tuples, a classification, listens to a miner.

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
    named = torch.cat(tuples)
    return torch.zeros_like(labels, dtype=torch.long).index_add(0, named, torch.ones_like(named))


def one_per_anchor(positives: Tensor, negatives: Tensor, where: Tensor) -> Triplets:
    """Triplet (i, positives[i], negatives[i]) of each anchor i marked in `where`; all are (N,).

    The number of triplets depends on the data: on an accelerator the host waits here once.
    """
    anchors = where.nonzero().squeeze(1)
    return Triplets(anchors, positives[anchors], negatives[anchors])


def or_else(preferred: Mask, otherwise: Mask) -> Mask:
    """The preferred entries of each row; of a row without any, the others."""
    return torch.where(preferred.any(dim=1, keepdim=True), preferred, otherwise)
