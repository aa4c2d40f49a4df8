"""The base of the losses over tuples: it checks, chooses and reduces; a loss adds its formula."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from core.reducer import LossTerms, Mean, Reducer
from core.regularizer import Regularizer
from core.tuple_batch import TupleBatch
from core.tuples import select_tuples
from core.types import (
    Distance,
    Embeddings,
    Labels,
    Miner,
    ReferenceLabels,
    References,
    Scalar,
    Tuples,
)

NamedTerms = dict[str, LossTerms]  # one entry for each kind of tuple, by the name the reducer knows


class TupleLoss(nn.Module, ABC):
    """Base of the losses over tuples: a subclass states its numbers and its formula.

    A call checks the batch, takes the tuples that are given, else those of the miner, else all
    pairs, hands both to `formula`, reduces the terms and adds the penalty of `regularizer`. No
    subclass has subclasses of its own.

    Args:
        miner: chooses the tuples; None takes all pairs.
        distance: gives `batch.distances()` and `batch.similarities()`.
        reducer: of the terms; None is the mean of each.
        regularizer: of the embeddings; None adds nothing.
    """

    def __init__(
        self,
        miner: Miner | None,
        distance: Distance,
        reducer: Reducer | None = None,
        regularizer: Regularizer | None = None,
    ) -> None:
        super().__init__()
        self.miner, self.distance = miner, distance
        self.reducer, self.regularizer = reducer or Mean(), regularizer

    @abstractmethod
    def formula(self, batch: TupleBatch) -> NamedTerms | Scalar:
        """Named terms, one entry for each tuple or anchor; or the value of a loss without terms."""

    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        tuples: Tuples | None = None,
        *,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Scalar:
        """The loss of embeddings (N, D) with labels (N,), compared with one another or references.

        Raises:
            TypeError, ValueError: see `core.batch_checks.check_inputs` and `check_tuples`.
        """
        chosen = select_tuples(self.miner, embeddings, labels, tuples, references, reference_labels)
        terms = self.formula(
            TupleBatch(embeddings, labels, chosen, references, reference_labels, self.distance)
        )
        loss = terms if isinstance(terms, Tensor) else self.reducer(labels, **terms)
        return loss if self.regularizer is None else loss + self.regularizer(embeddings)
