"""Types of the values that losses, miners, samplers and metrics exchange.

N batch size, M references, C classes, D embedding size, T triplets, Q queries.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

Images = UInt8[Tensor, "N 3 H W"]  # RGB, 0..255; the backbone normalises
Embeddings = Float[Tensor, "N D"]
References = Float[Tensor, "M D"]
Labels = Int[Tensor, " N"]
ReferenceLabels = Int[Tensor, " M"]
Distances = Float[Tensor, "N M"]  # smaller is closer
Similarities = Float[Tensor, "N M"]  # larger is closer
Logits = Float[Tensor, "N C"]  # larger is likelier
Targets = Labels | Float[Tensor, "N C"]  # class of each sample, or its probabilities of all classes
Mask = Bool[Tensor, "N M"]
Scalar = Float[Tensor, ""]
Scores = Float[Tensor, " Q"]  # one number per query


class Outputs(NamedTuple):
    """Outputs of an embedder; a training method names those that it needs besides embeddings."""

    embeddings: Embeddings
    features: Float[Tensor, "N F"] | None = None  # pooled, the input of the head
    feature_maps: Float[Tensor, "N F h w"] | None = None  # of the trunk, before pooling


class Pairs(NamedTuple):
    """Masks of the positive and the negative pairs; row i is anchor i, column j reference j."""

    positives: Bool[Tensor, "N M"]
    negatives: Bool[Tensor, "N M"]


class Triplets(NamedTuple):
    """Indices of T triplets: anchors index the batch, positives and negatives the references.

    The mask `valid` marks the triplets that count; None means all. The others have indices in range
    and count neither in a loss nor in a mean nor in a gradient. With a mask, T need not depend on
    the data, and the host need not wait for an accelerator to know T.
    """

    anchors: Int[Tensor, " T"]
    positives: Int[Tensor, " T"]
    negatives: Int[Tensor, " T"]
    valid: Bool[Tensor, " T"] | None = None


Tuples = Pairs | Triplets


@runtime_checkable
class Miner(Protocol):
    """A miner: chooses tuples of a batch, without a gradient and without changing its inputs.

    `references` are the embeddings to compare with. None compares the embeddings with one another,
    and a sample is then never paired with itself.
    """

    def __call__(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Tuples: ...


@runtime_checkable
class Distance(Protocol):
    """A distance between embeddings; its similarities order the neighbours in the same way."""

    def __call__(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Distances: ...

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities: ...


@runtime_checkable
class BatchSampler(Protocol):
    """A batch sampler: yields lists of indices; epoch e depends only on its seed and e.

    A sampler that plans batches from stored embeddings also depends on those at the start of e.
    """

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...
