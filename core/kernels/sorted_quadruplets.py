"""Quadruplet hinges by three sorts of all distances: the host waits for no device."""

import torch
from torch import Tensor

from core.types import Distances, Labels, Pairs, ReferenceLabels


def quadruplets_by_sorting(
    distances: Distances,
    pairs: Pairs,
    margin: float | Tensor,
    labels: Labels,
    others: ReferenceLabels,
) -> tuple[Tensor, Tensor]:
    """Loss and number of active quadruplets of each anchor; arguments as of `quadruplet_hinges`.

    Let t = d + margin be the threshold of a positive pair. Its hinges sum to

        t #{negatives below t} - Σ d of these negatives

    It computes in float64, because this is a small difference of large sums.
    """
    thresholds = torch.where(pairs.positives, distances + margin, distances).double()
    order = thresholds.detach().flatten().argsort()
    values = torch.stack([pairs.negatives, thresholds.where(pairs.negatives, 0)], dim=-1)
    one_group = torch.zeros_like(labels)[:, None]
    of_all, of_anchor_class, of_reference_class = (
        _sums_below(values.flatten(0, 1), order, groups.expand(thresholds.shape).flatten())
        for groups in (one_group, labels[:, None], others)
    )
    below = (of_all - of_anchor_class - of_reference_class).view(values.shape)
    counts, totals = below.where(pairs.positives[..., None], 0).unbind(dim=-1)
    losses = (thresholds * counts - totals).sum(dim=1)
    return losses.to(distances.dtype), counts.sum(dim=1)


def _sums_below(values: Tensor, order: Tensor, groups: Tensor) -> Tensor:
    """Sums the `values` (E, V) of the entries of the same group that precede each entry, (E, V)."""
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    running = torch.cat([values.new_zeros(1, values.shape[1]), values[order].cumsum(dim=0)])
    start = torch.searchsorted(sorted_groups, sorted_groups)
    return torch.empty_like(values).index_copy(0, order, running[:-1] - running[start])
