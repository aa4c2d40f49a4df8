"""One positive of each anchor against all its negatives: as N-pair losses are often run."""

import torch
from torch import nn

from core.batch_checks import check_inputs
from core.random import SeededRandom
from core.ranges import Seed
from core.tuples import all_pairs
from core.types import Embeddings, Labels, Pairs, ReferenceLabels, References


class OnePositiveMiner(nn.Module):
    """For each anchor one positive, drawn uniformly, and every negative.

    An anchor without positives or without negatives keeps nothing. It is the miner `npair` of Roth
    et al., for their N-pair and angular loss.

    Args:
        seed: of the miner's own random stream.
    """

    def __init__(self, seed: Seed = 0) -> None:
        super().__init__()
        self.draw = SeededRandom(seed)

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Pairs:
        check_inputs(embeddings, labels, references, reference_labels)
        positives, negatives = all_pairs(labels, reference_labels)
        complete = positives.any(dim=1, keepdim=True) & negatives.any(dim=1, keepdim=True)
        drawn = self.draw.among(positives)[:, None]
        one = torch.zeros_like(positives).scatter(1, drawn, True)
        return Pairs(one & complete, negatives & complete)
