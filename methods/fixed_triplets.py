"""Training on fixed triplets, for prescribed triplets or human judgements."""

from typing import Any

import torch
from torch import nn

from core.types import Triplets
from methods.loss_arguments import inner_miner, loss_without
from methods.method import Batch, Embed, Losses, Method


class FixedTriplets(Method):
    """Fixed triplets: minimizes the loss of the triplets of which the batch consists.

    A batch is anchor, positive, negative, anchor, positive, negative, ... The loss gets exactly
    these triplets. A loss over triplets does not look at the labels, so that a positive need not be
    of the class of its anchor; a loss over pairs gets the pairs (a, p) and (a, n).

    pytorch-metric-learning has the miner `EmbeddingsAlreadyPackagedAsTriplets` for this.
    """

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings = embed(batch.images).embeddings
        first = torch.arange(0, len(embeddings), 3, device=embeddings.device)
        return {"loss": criterion(embeddings, batch.labels, Triplets(first, first + 1, first + 2))}

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401
        """Check that batches are triplets, which the loss takes, and that no miner would choose.

        Raises:
            ValueError: they are not, it does not, or it has a miner.
        """
        if getattr(sampler, "layout", None) != "triplets":
            raise ValueError(
                "needs batches of anchor, positive, negative, ...; choose sampler=fixed_triplets, "
                "or give your sampler the attribute layout = 'triplets'"
            )
        if (loss := loss_without(criterion, "tuples")) is not None:
            raise ValueError(f"{type(loss).__name__} takes no tuples; choose a loss over triplets")
        if getattr(criterion, "miner", None) is not None or inner_miner(criterion) is not None:
            raise ValueError("the triplets are fixed, so that no miner chooses; batchminer=none")
