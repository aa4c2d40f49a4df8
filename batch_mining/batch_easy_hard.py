"""Easy positives with hard negatives: Xuan et al., WACV 2020, https://arxiv.org/abs/1904.04370."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Len
from torch import Tensor

from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import with_fallback
from core.types import Distance, Distances, Mask, Pairs, Triplets, Tuples

Strategy = Literal["easy", "hard", "semihard", "all"]


class BatchEasyHardMiner(TupleMiner):
    """Batch easy/hard miner: one positive and one negative of each anchor, of a chosen hardness.

        "easy"      the nearest positive, the farthest negative
        "hard"      the farthest positive, the nearest negative
        "semihard"  the hardest that the chosen one of the other kind allows: the nearest negative
                    farther than the positive, the farthest positive nearer than the negative
        "all"       all of them

    Only pairs within the range allowed to their kind count. An anchor that then has no positive or
    no negative gives no tuples. "all" beside "semihard" gives triplets, one for each pair of the
    kind with "all": each positive and the nearest negative that is farther, or the farthest
    negative if none is (FaceNet); each negative and the farthest positive that is nearer, or the
    nearest positive if none is. On an accelerator the host waits there once.

    Differences:
        pytorch-metric-learning: `BatchEasyHardMiner`, where a strategy "all" ignores the range,
            keeps the pairs of an anchor that has none of the other kind, and is an error beside
            "semihard".
        pytorch-online-metric-learning: each sample is one of its own positives;
            `include_anchor=True`.

    Args:
        positives: strategy for positives.
        negatives: strategy for negatives.
        allowed_positives: least and greatest distance of a positive pair; None is no limit.
        allowed_negatives: the same of a negative pair.
        distance: None is the Euclidean distance of unit vectors.
        include_anchor: whether an anchor is one of its own positives, if references are None.
    """

    def __init__(
        self,
        positives: Strategy = "easy",
        negatives: Strategy = "semihard",
        allowed_positives: Annotated[Sequence[float], Len(2, 2)] | None = None,
        allowed_negatives: Annotated[Sequence[float], Len(2, 2)] | None = None,
        distance: Distance | None = None,
        include_anchor: bool = False,
    ) -> None:
        super().__init__(distance)
        for name, strategy in {"positives": positives, "negatives": negatives}.items():
            if strategy not in get_args(Strategy):
                raise ValueError(f"{name} must be one of {get_args(Strategy)}, got {strategy!r}")
        if positives == negatives == "semihard":
            raise ValueError('"semihard" needs the other strategy to be "easy", "hard" or "all"')
        self.positives, self.negatives = positives, negatives
        self.include_anchor = include_anchor
        self.allowed_positives = _range("allowed_positives", allowed_positives)
        self.allowed_negatives = _range("allowed_negatives", allowed_negatives)

    def choose(self, batch: TupleBatch) -> Tuples:
        positives, negatives = batch.pairs()
        if self.include_anchor and batch.references is None:
            positives |= torch.eye(len(positives), dtype=torch.bool, device=positives.device)
        distances = batch.distances()
        positives &= _within(distances, self.allowed_positives)
        negatives &= _within(distances, self.allowed_negatives)
        if {self.positives, self.negatives} == {"semihard", "all"}:
            return self._semihard_of_each(distances, positives, negatives)
        if self.positives == "semihard":
            negatives = chosen(distances, negatives, farthest=self.negatives == "easy")
            positives &= distances < _distance_of(negatives, distances)
        if self.positives != "all":
            positives = chosen(distances, positives, farthest=self.positives != "easy")
        if self.negatives == "semihard":
            negatives &= distances > _distance_of(positives, distances)
        if self.negatives != "all":
            negatives = chosen(distances, negatives, farthest=self.negatives == "easy")
        complete = positives.any(dim=1, keepdim=True) & negatives.any(dim=1, keepdim=True)
        return Pairs(positives & complete, negatives & complete)

    def _semihard_of_each(self, distances: Distances, positives: Mask, negatives: Mask) -> Triplets:
        if self.positives == "all":
            return Triplets(*semihard_of_each(distances, positives, negatives))
        anchors, others, semihard = semihard_of_each(-distances, negatives, positives)
        return Triplets(anchors, semihard, others)


def chosen(distances: Distances, candidates: Mask, farthest: bool) -> Mask:
    """The farthest or the nearest candidate of each row alone; none where there is none."""
    keys = distances if farthest else -distances
    column = keys.masked_fill(~candidates, -torch.inf).argmax(dim=1, keepdim=True)
    return torch.zeros_like(candidates).scatter(1, column, True) & candidates


def semihard_of_each(
    distances: Distances, given: Mask, candidates: Mask
) -> tuple[Tensor, Tensor, Tensor]:
    """Each given pair (i, j), and the nearest candidate of i beyond j, else the farthest before."""
    anchors, others = (given & candidates.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    beyond = distances[anchors] - distances[anchors, others][:, None]
    candidates = with_fallback(candidates[anchors] & (beyond > 0), candidates[anchors])
    return anchors, others, beyond.abs().masked_fill(~candidates, torch.inf).argmin(dim=1)


def _distance_of(one: Mask, distances: Distances) -> Distances:
    """Distance of the one marked entry of each row, (N, 1); 0 where there is none."""
    return distances.masked_fill(~one, 0).sum(dim=1, keepdim=True)


def _range(name: str, limits: Sequence[float] | None) -> tuple[float, float]:
    least, greatest = (-float("inf"), float("inf")) if limits is None else limits
    if not least <= greatest:
        raise ValueError(f"{name} must be ascending, got {least} and {greatest}")
    return least, greatest


def _within(distances: Distances, limits: tuple[float, float]) -> Mask:
    return (distances >= limits[0]) & (distances <= limits[1])
