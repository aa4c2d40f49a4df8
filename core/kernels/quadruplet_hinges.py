"""Quadruplet hinges: each positive pair with each negative pair of two other classes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.batch_checks import can_read_without_sync
from core.kernels.all_pairs_hinges import all_pairs_hinge_sum
from core.kernels.pack_positives import pack_positives
from core.kernels.sorted_quadruplets import quadruplets_by_sorting
from core.reducer import LossTerms
from core.types import Distances, Labels, Pairs, ReferenceLabels


def quadruplet_hinges(
    distances: Distances,
    pairs: Pairs,
    margin: float | Tensor,
    labels: Labels,
    others: ReferenceLabels,
) -> LossTerms:
    """Quadruplet hinges: sums [d(a, p) - d(k, n) + margin]₊ over the quadruplets of each anchor a.

    a, k and n are of three different classes: a positive pair meets all negative pairs except those
    whose anchor k or reference n is of its class. The sums are exact and take O(N M) memory. Where
    classes are small, each negative is looked up among the few positives, three times. Otherwise,
    and where the host would wait for the device to know the sizes of the classes, all distances
    are sorted three times.

    Args:
        labels: of the anchors, (N,).
        others: of the references, (M,).
    """
    lookup = can_read_without_sync(distances) and _pairs_of_a_class(pairs, labels) <= len(others)
    sums = _by_lookup if lookup else quadruplets_by_sorting
    losses, active = sums(distances, pairs, margin, labels, others)
    per_anchor, per_reference = pairs.negatives.sum(dim=1), pairs.negatives.sum(dim=0)
    excluded = _sums_of_class(per_anchor, labels, labels) + _sums_of_class(
        per_reference, others, labels
    )
    counts = pairs.positives.sum(dim=1) * (per_anchor.sum() - excluded)
    return LossTerms(losses, counts, active)


def _by_lookup(
    distances: Distances,
    pairs: Pairs,
    margin: float | Tensor,
    labels: Labels,
    others: ReferenceLabels,
) -> tuple[Tensor, Tensor]:
    """Loss and number of active quadruplets of each anchor, without sorting all distances."""
    positive_distances, valid = pack_positives(distances, pairs.positives)
    thresholds = torch.where(valid, positive_distances, -torch.inf) + margin
    negatives = torch.where(pairs.negatives, distances, torch.inf)
    sums = all_pairs_hinge_sum(thresholds.view(1, -1), negatives.view(1, -1))
    losses, active = (x.view(thresholds.shape).sum(dim=1) for x in sums)
    for classes, rows, times in _excluded_rows(negatives, labels, others):
        members, valid = _members(classes, labels)
        of_class = torch.where(valid[..., None], thresholds[members], -torch.inf)
        sums = all_pairs_hinge_sum(of_class.flatten(1), rows)
        excluded = (x.view(of_class.shape).sum(dim=2).flatten() for x in sums)
        losses, active = (
            total.index_add(0, members.flatten(), part, alpha=-times)
            for total, part in zip((losses, active), excluded, strict=True)
        )
    return losses, active


def _excluded_rows(
    negatives: Distances, labels: Labels, others: ReferenceLabels
) -> list[tuple[Labels, Tensor, int]]:
    """The negatives that classes exclude: the class of each row, the rows, and their multiplicity.

    A class excludes the negatives of its anchors and of its references. A symmetric matrix has the
    same rows for both, which then count twice; the mean with its transpose keeps the gradients.
    """
    if negatives.shape[0] == negatives.shape[1] and negatives.equal(negatives.T):
        return [(labels, (negatives + negatives.T).div_(2), 2)]
    return [(labels, negatives, 1), (others, negatives.T.contiguous(), 1)]


def _sums_of_class(values: Tensor, groups: Labels, labels: Labels) -> Tensor:
    """Sums the values (G,) whose group is each of the labels (N,), -> (N,)."""
    ordered, order = groups.sort()
    running = F.pad(values[order].cumsum(dim=0), (1, 0))
    first, end = (torch.searchsorted(ordered, labels, right=right) for right in (False, True))
    return running[end] - running[first]


def _members(classes: Labels, labels: Labels) -> tuple[Tensor, Tensor]:
    """Indices of the samples of each of G classes, (G, S), and the mask of the valid ones."""
    ordered, order = labels.sort()
    first, end = (torch.searchsorted(ordered, classes, right=right) for right in (False, True))
    places = first[:, None] + torch.arange(int((end - first).max()))
    return order[places.clamp(max=len(order) - 1)], places < end[:, None]


def _pairs_of_a_class(pairs: Pairs, labels: Labels) -> int:
    """Upper bound of the number of positive pairs of a class."""
    largest = _sums_of_class(torch.ones_like(labels), labels, labels).max()
    return int(largest * pairs.positives.sum(dim=1).max())
