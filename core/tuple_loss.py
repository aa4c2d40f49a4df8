"""The base of the losses over tuples: it checks, chooses and reduces; a loss adds its formula."""

from typing import NamedTuple

from torch import Tensor, nn

from core.reducer import LossTerms, Mean, Reducer
from core.regularizer import Regularizer
from core.tuples import select_tuples, to_pairs
from core.types import (
    Distance,
    Distances,
    Embeddings,
    Labels,
    Miner,
    Pairs,
    ReferenceLabels,
    References,
    Scalar,
    Similarities,
    Tuples,
)

NamedTerms = dict[str, LossTerms]  # one entry for each kind of tuple, by the name the reducer knows


class TupleBatch(NamedTuple):
    """A checked batch with its tuples, as a formula sees it. Each method computes anew."""

    embeddings: Embeddings
    labels: Labels
    tuples: Tuples  # as the caller or the miner chose them
    references: References | None  # None: the embeddings are compared with one another
    reference_labels: ReferenceLabels | None
    distance: Distance

    def distances(self) -> Distances:
        """(N, M), smaller is closer."""
        return self.distance(self.embeddings, self.references)

    def similarities(self) -> Similarities:
        """(N, M), larger is closer."""
        return self.distance.similarity(self.embeddings, self.references)

    def pairs(self) -> Pairs:
        """The tuples as masks of positive and negative pairs, (N, M) each."""
        others = self.embeddings if self.references is None else self.references
        return to_pairs(self.tuples, len(self.embeddings), len(others))


class TupleLoss(nn.Module):
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

    def formula(self, batch: TupleBatch) -> NamedTerms | Scalar:
        """Named terms, one entry for each tuple or anchor; or the value of a loss without terms."""
        raise NotImplementedError(f"{type(self).__name__} needs a method formula(batch)")

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
