"""Random triplets: the control of every mining experiment."""

import torch
from torch import nn

from core.draw import Draw
from core.inputs import check_inputs
from core.ranges import Seed
from core.tuples import all_pairs, one_per_anchor
from core.types import Embeddings, Labels, ReferenceLabels, References, Triplets


class RandomMiner(nn.Module):
    """For each anchor one positive and one negative, each drawn uniformly.

    An anchor without positives or without negatives gives no triplet. (Roth et al. draw N triplets
    from the list of all: with equally large classes the same odds, but not one for each anchor.)

    Args:
        seed: of the miner's own random stream.
    """

    def __init__(self, seed: Seed = 0) -> None:
        super().__init__()
        self.draw = Draw(seed)

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        check_inputs(embeddings, labels, references, reference_labels)
        positives, negatives = all_pairs(labels, reference_labels)
        return one_per_anchor(
            self.draw.among(positives),
            self.draw.among(negatives),
            where=positives.any(dim=1) & negatives.any(dim=1),
        )
