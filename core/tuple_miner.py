"""The base of the miners: it checks the batch and lists all pairs; a miner adds its choice."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from core.batch_checks import check_inputs
from core.distance import Lp
from core.tuple_batch import TupleBatch
from core.tuples import all_pairs
from core.types import Distance, Embeddings, Labels, ReferenceLabels, References, Tuples


class TupleMiner(nn.Module, ABC):
    """Base of the miners: a subclass states its numbers and its choice.

    A call checks the batch and hands it to `choose`, with all pairs as its tuples and without a
    gradient. No subclass has subclasses of its own.

    Args:
        distance: gives `batch.distances()`; None is the Euclidean distance of unit vectors.
    """

    def __init__(self, distance: Distance | None = None) -> None:
        super().__init__()
        self.distance = distance or Lp()

    @abstractmethod
    def choose(self, batch: TupleBatch) -> Tuples:
        """The chosen pairs or triplets; `batch.pairs()` are all pairs."""

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Tuples:
        """Tuples of embeddings (N, D) with labels (N,), among one another or with references.

        Raises:
            TypeError, ValueError: see `core.batch_checks.check_inputs`.
        """
        check_inputs(embeddings, labels, references, reference_labels)
        pairs = all_pairs(labels, reference_labels)
        return self.choose(
            TupleBatch(embeddings, labels, pairs, references, reference_labels, self.distance)
        )
