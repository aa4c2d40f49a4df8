"""Hard-aware deeply cascaded embedding: Yuan et al., ICCV 2017, https://arxiv.org/abs/1611.05720."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from core.distance import Lp
from core.kernels.hardest_pairs import hardest
from core.kernels.l2_normalize import l2_normalize
from core.parameter_groups import Groups, collect_parameter_groups
from core.ranges import PositiveFloat, PositiveFraction, Size
from core.tuples import select_tuples, to_pairs
from core.types import Embeddings, Labels, Miner, Pairs, Tuples
from methods.cascaded_embedder import LayerHeads, UnitSlices
from methods.loss_arguments import inner_miner, loss_without
from methods.method import Batch, Embed, Losses, Method


class Cascaded(Method):
    """Cascaded method (HDC): trains slices of the embedding, each on harder pairs than the last.

    The embedding is the concatenation of K slices of unit length, cut from the embedding of the
    backbone or, with `layers`, computed by heads at several depths of its trunk. With u_k the k-th
    slice and w_k its weight, a step minimizes

        Σ_k w_k · loss_k(u_k, labels, hardest fraction_k of the candidates of k)

    The candidates of the first slice are all pairs, those of the others the pairs that the slice
    before has kept. Of P positive pairs, the ceil(fraction P) farthest are kept, and likewise the
    nearest negative pairs; a fraction of 1 keeps the candidates as they are. If a loss has a miner
    of its own (`batchminer`), the candidates of its slice are those of the miner instead. A
    classification loss, which compares no pairs, weighs a sample by how often the pairs name it.

    The losses are called `slice_1`, `slice_2`, ...; each slice is also evaluated alone, as
    `test/slice_1/recall@1`. Embeddings have length one even if the backbone normalizes none.

    Differences:
        Yuan et al.: in their code, each slice chooses among all pairs, `nested=False`. Their loss
            is `contrastive` with `power=1` and squared distances, its negatives weighted by 10.
            Their heads have further layers between pooling and the linear one.
        pytorch-metric-learning: `CascadedEmbeddings` with `HDCMiner`; a slice without miner starts
            from all pairs there, and slices have no classifiers here.

    Args:
        embedding_dim: D, of the whole embedding.
        further_losses: of the second slice and of those after it; the loss of the run is that of
            the first. Each has its own parameters.
        fractions: of the candidates of each slice, in (0, 1].
        nested: whether the candidates of a slice are the pairs kept by the one before; if not, all.
        sizes: dimensions of each slice, D in sum; None makes them equal, the first ones larger by
            one where K does not divide D.
        layers: names of the layers of the trunk, such as `inception4a`, whose feature maps give the
            slices but the last, which has the output of the trunk; empty cuts one embedding.
        loss_weights: w_k > 0; None is 1 each.
        slice_weights: lengths of the slices in the concatenation before it is scaled to length
            one; None is 1 each, the authors take 1, 2, 3 on CARS196.

    Raises:
        ValueError: the numbers of losses, fractions, sizes, layers and weights do not agree, or
            the sizes do not sum to D.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: nn.Module | None,
        embedding_dim: Size,
        further_losses: Sequence[nn.Module],
        fractions: Sequence[PositiveFraction] = (1.0, 0.5, 0.2),
        nested: bool = True,
        sizes: Sequence[Size] | None = None,
        layers: Sequence[str] = (),
        loss_weights: Sequence[PositiveFloat] | None = None,
        slice_weights: Sequence[PositiveFloat] | None = None,
    ) -> None:
        super().__init__(backbone, criterion)
        number = 1 + len(further_losses)
        self.sizes = list(sizes or equal_sizes(embedding_dim, number))
        self.fractions, self.nested, self.layers = list(fractions), nested, list(layers)
        self.loss_weights = list(loss_weights or [1.0] * number)
        self.slice_weights = list(slice_weights or [1.0] * number)
        self.further_losses = nn.ModuleList(further_losses)
        self._check_numbers(number, embedding_dim)

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings, labels = embed(batch.images).embeddings, batch.labels
        losses: Losses = {}
        kept: Tuples | None = None
        for number, (name, dimensions) in enumerate(self.parts.items()):
            loss = (criterion, *self.further_losses)[number]
            vectors = l2_normalize(embeddings[:, dimensions])
            passed_on = kept if self.nested else None
            kept = self.choose(vectors, labels, self.fractions[number], miner_of(loss), passed_on)
            losses[name] = self.loss_weights[number] * loss(vectors, labels, kept)
        return losses

    @staticmethod
    @torch.no_grad()
    def choose(
        vectors: Embeddings,
        labels: Labels,
        fraction: float,
        miner: Miner | None,
        passed_on: Tuples | None,
    ) -> Tuples:
        """The hardest fraction of the tuples of a miner, else of those passed on, else of all."""
        given = None if miner is not None else passed_on
        candidates = select_tuples(miner, vectors, labels, given)
        if fraction == 1:
            return candidates
        distances = Lp()(vectors)
        positives, negatives = to_pairs(candidates, *distances.shape)
        return Pairs(
            hardest(distances, positives, fraction), hardest(-distances, negatives, fraction)
        )

    def embedder(self, backbone: nn.Module) -> nn.Module:
        network = LayerHeads(backbone, self.layers, self.sizes) if self.layers else backbone
        return UnitSlices(network, self.sizes, self.slice_weights)

    @property
    def parts(self) -> Mapping[str, slice]:
        ends = pairwise(accumulate(self.sizes, initial=0))
        return {f"slice_{number}": slice(*limits) for number, limits in enumerate(ends, start=1)}

    def parameter_groups(self) -> Groups:
        return list(chain.from_iterable(map(collect_parameter_groups, self.further_losses)))

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401, ARG002
        """Check the loss of each slice, see `check_loss`."""
        for loss, name, size in zip(
            (criterion, *self.further_losses), self.parts, self.sizes, strict=True
        ):
            check_loss(loss, name, size, self.sizes)

    def _check_numbers(self, number: int, embedding_dim: int) -> None:
        for name in ("fractions", "sizes", "loss_weights", "slice_weights"):
            if len(getattr(self, name)) != number:
                raise ValueError(
                    f"{name} must have one entry for each of the {number} losses (that of the run "
                    f"and {number - 1} further_losses), got {getattr(self, name)}"
                )
        if self.layers and len(self.layers) != number - 1:
            raise ValueError(
                f"layers must name {number - 1} layers, one for each of the {number} losses but "
                f"the last, which has the output of the trunk, got {self.layers}"
            )
        if sum(self.sizes) != embedding_dim:
            raise ValueError(
                f"sizes must sum to the embedding_dim of the backbone, {embedding_dim}, "
                f"got {self.sizes}, which sum to {sum(self.sizes)}"
            )
        if not all(0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"fractions must be in (0, 1], got {self.fractions}")
        if min(*self.loss_weights, *self.slice_weights) <= 0:
            raise ValueError(
                "loss_weights and slice_weights must be positive, "
                f"got {self.loss_weights} and {self.slice_weights}"
            )


def equal_sizes(total: int, number: int) -> list[int]:
    """Sizes of equal parts of a total; the first ones are larger by one if it has a remainder."""
    return [total // number + (part < total % number) for part in range(number)]


def miner_of(loss: nn.Module) -> Miner | None:
    """The miner of a loss over tuples."""
    miner: Miner | None = getattr(loss, "miner", None)
    return miner


def check_loss(loss: nn.Module, name: str, size: int, sizes: Sequence[int]) -> None:
    """Check that a loss takes tuples, has the size of its slice, and hides no miner.

    Raises:
        ValueError: it does not; `sizes` are those of all slices, for the message.
    """
    kind = type(loss).__name__
    if (without := loss_without(loss, "tuples")) is not None:
        raise ValueError(
            f"{type(without).__name__} of {name} takes no tuples, and the cascade chooses its pairs"
        )
    for part in loss.modules():
        prototypes = getattr(part, "prototypes", None)
        if isinstance(prototypes, Tensor) and prototypes.shape[1] != size:
            raise ValueError(
                f"{kind} has prototypes of {prototypes.shape[1]} dimensions, and {name} has "
                f"{size}; choose slices of equal size, backbone.embedding_dim="
                f"{len(sizes) * max(sizes)} loss.embedding_dim={max(sizes)}"
            )
    if miner_of(loss) is None and inner_miner(loss) is not None:
        raise ValueError(
            f"the loss inside {kind} has a miner, whose tuples the pairs of {name} would "
            "replace; choose batchminer=none"
        )
