"""ρ-regularisation: Roth et al., ICML 2020, section 5, https://arxiv.org/abs/2002.08473."""

from typing import Annotated, Literal, get_args

import torch
from annotated_types import Gt, Le, Lt
from torch import nn

from batch_mining.distance import DistanceWeightedMiner
from core.ranges import Fraction, Seed
from core.tuples import all_pairs, drop_invalid, with_fallback
from core.types import Embeddings, Labels, ReferenceLabels, References, Triplets

Switch = Literal["negative", "both"]


class RhoDistanceMiner(nn.Module):
    """ρ-distance miner: distance weighted triplets, some of which push samples of one class apart.

    Each triplet (a, p, n) is switched with a given probability, which keeps the embedding from
    compressing every class to a point:

        "negative"  (a, p, p')  the negative becomes a positive p' of a, other than p if there is
                                another: the paper
        "both"      (a, a, p)   the positive becomes the anchor and the negative the positive:
                                the authors' code

    At two samples per class p' = p, and a triplet loss has no gradient on (a, p, p), but pair
    losses, which treat its two distances apart, do. It takes no `distance`: the density of the
    draws is that of Euclidean distances of unit vectors.

    Args:
        p_switch: probability, in [0, 1].
        switch: see above; "both" has no meaning against references.
        lower_cutoff: Euclidean distance of unit vectors, see `DistanceWeightedMiner`.
        upper_cutoff: the same; None draws at any distance, as the authors' code.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        p_switch: Fraction = 0.2,
        switch: Switch = "negative",
        lower_cutoff: Annotated[float, Gt(0), Lt(2)] = 0.5,
        upper_cutoff: Annotated[float, Gt(0), Le(2)] | None = 1.4,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        if not 0 <= p_switch <= 1:
            raise ValueError(f"p_switch must be a probability, got {p_switch}")
        if switch not in get_args(Switch):
            raise ValueError(f"switch must be one of {get_args(Switch)}, got {switch!r}")
        self.p_switch, self.switch = p_switch, switch
        self.distance_weighted = DistanceWeightedMiner(lower_cutoff, upper_cutoff, seed)

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        if self.switch == "both" and references is not None:
            raise ValueError('switch="both" pairs an anchor with itself: references must be None')
        triplets = self.distance_weighted(embeddings, labels, references, reference_labels)
        anchors, positives, negatives, valid = drop_invalid(triplets)  # only they are drawn for
        draw = self.distance_weighted.draw
        switched = draw.bernoulli(self.p_switch, like=anchors)
        if self.switch == "both":
            first, second = anchors.where(switched, positives), positives.where(switched, negatives)
            return Triplets(anchors, first, second, valid)
        same_class = all_pairs(labels, reference_labels).positives[anchors]
        others = with_fallback(same_class.scatter(1, positives[:, None], False), same_class)
        return Triplets(anchors, positives, draw.choice(others).where(switched, negatives), valid)
