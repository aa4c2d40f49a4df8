"""Hinges of every positive pair with every negative pair of two other classes, none listed."""

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
    """[d(a, p) - d(k, n) + margin]₊ where a, k and n are of three classes, collected by anchor a.

    Exact, in O(N M) memory. A positive pair meets all negative pairs, less those whose anchor k or
    whose reference n is of its class. Where classes are small, this looks up each negative among
    the few positives, three times; otherwise, and where the host would wait for the device to know
    the sizes of the classes, it takes three sorts of all distances.

    Args:
        labels: of the anchors, (N,).
        others: of the references, (M,).
    """
    lookup = can_read_without_sync(distances) and _pairs_of_a_class(pairs, labels) <= len(others)
    by = _by_lookup if lookup else quadruplets_by_sorting
    losses, active = by(distances, pairs, margin, labels, others)
    at_anchor, at_reference = pairs.negatives.sum(dim=1), pairs.negatives.sum(dim=0)
    excluded = _sums_of_class(at_anchor, labels, labels) + _sums_of_class(
        at_reference, others, labels
    )
    counts = pairs.positives.sum(dim=1) * (at_anchor.sum() - excluded)
    return LossTerms(losses, counts, active)


def _by_lookup(
    distances: Distances,
    pairs: Pairs,
    margin: float | Tensor,
    labels: Labels,
    others: ReferenceLabels,
) -> tuple[Tensor, Tensor]:
    """Losses and active quadruplets of each anchor."""
    of_positives, valid = pack_positives(distances, pairs.positives)
    keys = torch.where(valid, of_positives, -torch.inf) + margin
    negatives = torch.where(pairs.negatives, distances, torch.inf)
    found = [
        x.view(keys.shape) for x in all_pairs_hinge_sum(keys.view(1, -1), negatives.view(1, -1))
    ]
    losses, active = (x.sum(dim=1) for x in found)
    for classes, rows, times in _excluded_rows(negatives, labels, others):
        members, valid = _members(classes, labels)
        of_class = torch.where(valid[..., None], keys[members], -torch.inf)
        found = [x.view(of_class.shape) for x in all_pairs_hinge_sum(of_class.flatten(1), rows)]
        excluded = (x.sum(dim=2).flatten() for x in found)
        losses, active = (
            total.index_add(0, members.flatten(), part, alpha=-times)
            for total, part in zip((losses, active), excluded, strict=True)
        )
    return losses, active


def _excluded_rows(
    negatives: Distances, labels: Labels, others: ReferenceLabels
) -> list[tuple[Labels, Tensor, int]]:
    """Negatives by anchor and by reference, whose classes exclude them, and how often they count.

    Symmetric ones are the same by both; in the mean each keeps the slope that it had as two.
    """
    if negatives.shape[0] == negatives.shape[1] and negatives.equal(negatives.T):
        return [(labels, (negatives + negatives.T).div_(2), 2)]
    return [(labels, negatives, 1), (others, negatives.T.contiguous(), 1)]


def _sums_of_class(values: Tensor, groups: Labels, labels: Labels) -> Tensor:
    """Of each label, the sum of the values (G,) whose group it is."""
    ordered, order = groups.sort()
    running = F.pad(values[order].cumsum(dim=0), (1, 0))
    first, end = (torch.searchsorted(ordered, labels, right=right) for right in (False, True))
    return running[end] - running[first]


def _members(classes: Labels, labels: Labels) -> tuple[Tensor, Tensor]:
    """The samples whose label is each of G classes, (G, S), and which of them exist."""
    ordered, order = labels.sort()
    first, end = (torch.searchsorted(ordered, classes, right=right) for right in (False, True))
    places = first[:, None] + torch.arange(int((end - first).max()))
    return order[places.clamp(max=len(order) - 1)], places < end[:, None]


def _pairs_of_a_class(pairs: Pairs, labels: Labels) -> int:
    """The most positive pairs of a class, if each of its anchors had as many as any other."""
    largest = _sums_of_class(torch.ones_like(labels), labels, labels).max()
    return int(largest * pairs.positives.sum(dim=1).max())
