"""The project's vocabulary: what criteria, miners, samplers and metrics hand to each other.

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
Targets = Labels | Float[Tensor, "N C"]  # the class of each sample, or its shares of all classes
Mask = Bool[Tensor, "N M"]
Scalar = Float[Tensor, ""]
Scores = Float[Tensor, " Q"]  # one number per query


class Pairs(NamedTuple):
    """Which (anchor, reference) pairs take part; row i belongs to anchor i."""

    positives: Bool[Tensor, "N M"]
    negatives: Bool[Tensor, "N M"]


class Triplets(NamedTuple):
    """Indices of T triplets: anchors into the batch, the others into the references.

    A mask marks the triplets that take part; None means all. The others have indices in range too,
    and count nowhere: neither in a loss nor in a mean nor in a gradient. With a mask, T need not
    depend on the data, and the host need not wait for an accelerator to know it.
    """

    anchors: Int[Tensor, " T"]
    positives: Int[Tensor, " T"]
    negatives: Int[Tensor, " T"]
    valid: Bool[Tensor, " T"] | None = None


Tuples = Pairs | Triplets


@runtime_checkable
class Miner(Protocol):
    """Chooses the informative tuples of a batch: no gradient, no change to its inputs.

    `references` are other embeddings to mine against; None means the batch itself, and then a
    sample is never paired with itself.
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
    """How far apart two sets of embeddings are; both views agree on the order of neighbours."""

    def __call__(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Distances: ...

    def similarity(
        self, embeddings: Embeddings, references: References | None = None
    ) -> Similarities: ...


@runtime_checkable
class BatchSampler(Protocol):
    """Batches of indices; epoch e depends on nothing but the sampler's own seed and e."""

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...
