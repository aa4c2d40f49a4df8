"""Triplets of shuffled labels: Milbich et al., DiVA, ECCV 2020, https://arxiv.org/abs/2004.13458."""

from typing import Annotated

import torch
from annotated_types import Gt, Le, Lt
from torch import nn

from batch_mining.distance import DistanceWeightedMiner
from core.batch_checks import check_inputs
from core.ranges import Seed
from core.types import Embeddings, Labels, ReferenceLabels, References, Triplets


class LabelShuffledMiner(nn.Module):
    """Label-shuffled miner: distance weighted triplets of randomly permuted labels.

    Positives and negatives do not depend on the true classes: only the choice by distance remains.
    It is the control experiment of distance weighted mining, and DiVA's miner for features that
    classes share. The labels of references are permuted among the references. It is the
    `random_distance` of Roth et al. It takes no `distance`: the density of the draws is that of
    Euclidean distances of unit vectors.

    Args:
        lower_cutoff: Euclidean distance of unit vectors, see `DistanceWeightedMiner`.
        upper_cutoff: the same; None draws at any distance, as Roth et al.'s code.
        seed: of the miner's own random stream.
    """

    def __init__(
        self,
        lower_cutoff: Annotated[float, Gt(0), Lt(2)] = 0.5,
        upper_cutoff: Annotated[float, Gt(0), Le(2)] | None = 1.4,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.distance_weighted = DistanceWeightedMiner(lower_cutoff, upper_cutoff, seed)

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        check_inputs(embeddings, labels, references, reference_labels)
        labels = self._shuffled(labels)
        if reference_labels is not None:
            reference_labels = self._shuffled(reference_labels)
        triplets: Triplets = self.distance_weighted(
            embeddings, labels, references, reference_labels
        )
        return triplets

    def _shuffled(self, labels: Labels) -> Labels:
        return labels[self.distance_weighted.draw.uniform(len(labels), like=labels).argsort()]
