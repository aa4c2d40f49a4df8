"""Quadruplets where no size is known on the host: three sorts of all distances, and no wait."""

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
    """Losses and active quadruplets of each anchor; arguments as of `quadruplet_hinges`.

    Let k = d + margin for positives and k = d for negatives. The hinges of a positive pair sum to

        k #{negatives below k} - Σ k of these negatives

    In float64, as it is a small difference of large sums.
    """
    keys = torch.where(pairs.positives, distances + margin, distances).double()
    order = keys.detach().flatten().argsort()
    values = torch.stack([pairs.negatives, keys.where(pairs.negatives, 0)], dim=-1)
    everyone = torch.zeros_like(labels)[:, None]
    anywhere, at_anchor, at_reference = (
        _sums_below(values.flatten(0, 1), order, groups.expand(keys.shape).flatten())
        for groups in (everyone, labels[:, None], others)
    )
    below = (anywhere - at_anchor - at_reference).view(values.shape)
    numbers, totals = below.where(pairs.positives[..., None], 0).unbind(dim=-1)
    losses = (keys * numbers - totals).sum(dim=1)
    return losses.to(distances.dtype), numbers.sum(dim=1)


def _sums_below(values: Tensor, order: Tensor, groups: Tensor) -> Tensor:
    """Of each entry, the sum of `values` (E, V) over entries of its group that come before it."""
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    running = torch.cat([values.new_zeros(1, values.shape[1]), values[order].cumsum(dim=0)])
    start = torch.searchsorted(sorted_groups, sorted_groups)
    return torch.empty_like(values).index_copy(0, order, running[:-1] - running[start])
