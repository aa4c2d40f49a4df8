"""Losses of triplets that are not a plain hinge, summed by anchor in blocks of bounded memory."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.kernels.pack_positives import pack_positive_indices
from core.kernels.triplet_hinges import sum_by_anchor
from core.reducer import LossTerms
from core.types import Distances, Mask, Pairs, Triplets, Tuples

LossOfGap = Callable[[Tensor], Tensor]  # takes d(a, p) - d(a, n) and returns losses >= 0

BLOCK = 2**22  # triplets at once; about 150 MB of working memory


def triplet_losses(
    distances: Distances, tuples: Tuples, loss: LossOfGap, among: Tensor | None = None
) -> LossTerms:
    """Triplet losses: sums loss(d(a, p) - d(a, n)) over the triplets of each anchor.

    Given pairs, each positive forms a triplet with each negative of the same anchor. All O(N P M)
    triplets are visited, P the most positives of an anchor, or M where the host would wait for the
    device to know P. They are visited in blocks, which the backward pass computes again, so that
    the memory stays bounded.

    Args:
        distances: (N, M).
        tuples: pairs or triplets.
        loss: applied to each difference.
        among: distances (M, M) between the references; then the closer of anchor and positive
            counts for the negative, min(d(a, n), d(p, n)) instead of d(a, n).
    """
    if isinstance(tuples, Triplets):
        return _sum_listed(distances, tuples, loss, among)
    return _sum_all(distances, tuples, loss, among)


def _sum_listed(
    distances: Distances, triplets: Triplets, loss: LossOfGap, among: Tensor | None
) -> LossTerms:
    anchors, positives, negatives, valid = triplets
    nearest = distances[anchors, negatives]
    if among is not None:
        nearest = nearest.minimum(among[positives, negatives])
    losses = loss(distances[anchors, positives] - nearest)
    return sum_by_anchor(losses, valid, anchors, len(distances))


def _sum_all(
    distances: Distances, pairs: Pairs, loss: LossOfGap, among: Tensor | None
) -> LossTerms:
    columns, valid = pack_positive_indices(pairs.positives)
    width = max(1, BLOCK // distances.numel())
    blocks = list(
        zip(torch.split(columns, width, dim=1), torch.split(valid, width, dim=1), strict=True)
    )

    def sum_block(distances: Tensor, among: Tensor | None, block: tuple[Tensor, Mask]) -> Tensor:
        return _sum_block(distances, among, *block, pairs.negatives, loss)

    if len(blocks) == 1:
        totals = sum_block(distances, among, blocks[0])
    else:
        parts = [
            checkpoint(
                sum_block, distances, among, block, use_reentrant=False, preserve_rng_state=False
            )
            for block in blocks
        ]
        totals = torch.stack(parts).sum(dim=0)
    counts = valid.sum(dim=1) * pairs.negatives.sum(dim=1)
    return LossTerms(totals[0], counts, totals[1])


def _sum_block(
    distances: Tensor,
    among: Tensor | None,
    columns: Tensor,
    valid: Mask,
    negatives: Mask,
    loss: LossOfGap,
) -> Tensor:
    """Sum and number of losses above zero, over some positives (N, B) of each anchor: (2, N)."""
    nearest = distances[:, None, :]
    if among is not None:
        nearest = nearest.minimum(among[columns])
    losses = loss(distances.gather(1, columns)[:, :, None] - nearest)
    losses = losses.where(valid[:, :, None] & negatives[:, None, :], 0)
    return torch.stack([losses.sum(dim=(1, 2)), (losses > 0).sum(dim=(1, 2)).to(losses.dtype)])
