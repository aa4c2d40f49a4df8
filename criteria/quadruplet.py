"""Quadruplet loss: Chen et al., CVPR 2017, https://arxiv.org/abs/1704.01719."""

import torch
from torch import Tensor

from core.distance import Lp
from core.kernels.pack_positives import pack_positives
from core.kernels.quadruplet_hinges import quadruplet_hinges
from core.kernels.triplet_hinges import sum_by_anchor, triplet_hinges
from core.random import SeededRandom
from core.ranges import Seed
from core.reducer import LossTerms, Reducer
from core.tuple_batch import TupleBatch
from core.tuple_loss import NamedTerms, TupleLoss
from core.tuples import drop_invalid
from core.types import Distance, Distances, Labels, Miner, Pairs, ReferenceLabels, Triplets


class Quadruplet(TupleLoss):
    """Quadruplet loss: a triplet loss that also compares positive with unrelated negative pairs.

    With d the squared Euclidean distance of unit vectors,

        mean of [d_ap - d_an + α₁]₊ over triplets (a, p, n)
        + mean of [d_ap - d_kn + α₂]₊ over quadruplets (a, p, k, n)

    where a quadruplet is a positive pair (a, p) and a negative pair (k, n) such that a, k and n are
    of three classes. All quadruplets of the chosen pairs, or of the pairs of the chosen triplets,
    count. Their sum is exact, in O(N M) memory and O(N M log P) time for P positive pairs; classes
    of more than about √M samples, and all on an accelerator, take sorts of the distances instead,
    O(N M log N M). Without triplets or without quadruplets the mean over them is 0. The margins of
    the paper adapt to the batch: they are `margin` and `second_margin` times

        (mean d of the negative pairs) - (mean d of the positive pairs), taken as a constant.

    Differences:
        Paper: d is the squared output of a network that compares two images.
        Roth et al.: fixed margins 0.2 and 0.2 of the Euclidean distance; one k drawn for each
            triplet, of any class, and every triplet with the k of all triplets; but for that,
            `margin=0.2, second_margin=0.2, adaptive=False, distance=Lp(), seed=0`.

    Args:
        miner: chooses the tuples; None takes all pairs.
        margin: α₁, in units of `distance`, or of the gap between the means if `adaptive`.
        second_margin: α₂, likewise; the smaller one in the paper, as its pairs are farther apart.
        adaptive: whether the margins are multiplied by the gap.
        seed: None takes all quadruplets. A number draws one k for each given or mined triplet
            (a, p, n), evenly among the references of other classes than a and n, with that seed;
            with references this takes O(M²) memory. Chosen pairs always make all quadruplets.
        distance: None is the squared Euclidean distance of unit vectors.
        reducer: of the terms `triplets` and `quadruplets`; None is the mean of each.
    """

    def __init__(
        self,
        miner: Miner | None = None,
        margin: float = 1.0,
        second_margin: float = 0.5,
        adaptive: bool = True,
        seed: Seed | None = None,
        distance: Distance | None = None,
        reducer: Reducer | None = None,
    ) -> None:
        super().__init__(miner, distance or Lp(power=2), reducer)
        self.margin, self.second_margin, self.adaptive = margin, second_margin, adaptive
        self.draw = None if seed is None else SeededRandom(seed)

    def formula(self, batch: TupleBatch) -> NamedTerms:
        labels, references, tuples = batch.labels, batch.references, batch.tuples
        others = labels if batch.reference_labels is None else batch.reference_labels
        distances, pairs = batch.distances(), batch.pairs()
        gap = gap_between_means(distances, pairs) if self.adaptive else 1.0
        second_margin = self.second_margin * gap
        if self.draw is not None and isinstance(tuples, Triplets):
            tuples = drop_invalid(tuples)  # one k is drawn for each
            among = distances if references is None else self.distance(references)
            third = draw_of_third_class(
                labels[tuples.anchors], others[tuples.negatives], others, self.draw
            )
            quadruplets = drawn_hinges(distances, among, tuples, second_margin, *third)
        else:
            quadruplets = quadruplet_hinges(distances, pairs, second_margin, labels, others)
        return {
            "triplets": triplet_hinges(distances, tuples, self.margin * gap),
            "quadruplets": quadruplets,
        }


def gap_between_means(distances: Distances, pairs: Pairs) -> Tensor:
    """How much farther the negative pairs are than the positive ones, without gradient."""
    distances = distances.detach()
    kinds = (distances, pairs.negatives), pack_positives(distances, pairs.positives)
    of_negatives, of_positives = (
        values.where(mask, 0).sum() / mask.sum().clamp(min=1) for values, mask in kinds
    )
    return of_negatives - of_positives


def drawn_hinges(
    distances: Distances,
    among: Tensor,
    triplets: Triplets,
    margin: float | Tensor,
    k: Tensor,
    exists: Tensor,
) -> LossTerms:
    """[d_ap - d_kn + margin]₊ of each triplet and its k, if that exists; d_kn is in `among`."""
    anchors, positives, negatives, valid = triplets
    hinges = (distances[anchors, positives] - among[k, negatives] + margin).relu()
    where = exists if valid is None else exists & valid
    return sum_by_anchor(hinges, where, anchors, len(distances))


def draw_of_third_class(
    first: Labels, second: Labels, others: ReferenceLabels, draw: SeededRandom
) -> tuple[Tensor, Tensor]:
    """An index, evenly among the `others` of neither of two labels; whether there is any, (T,).

    Sorted by label, the others to leave out are two blocks, which the drawn rank steps over.
    """
    ordered, by_label = others.sort()
    blocks = torch.stack([first, second]).sort(dim=0).values
    starts = torch.searchsorted(ordered, blocks)
    sizes = torch.searchsorted(ordered, blocks, right=True) - starts
    left = len(others) - sizes.sum(dim=0)
    rank = (draw.uniform(len(left), like=left) * left).long()
    for start, size in zip(starts, sizes, strict=True):
        rank = rank + size * (rank >= start)
    return by_label[rank.clamp(max=len(others) - 1)], left > 0
