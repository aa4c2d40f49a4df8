"""Partial FC: An et al., CVPR 2022, https://arxiv.org/abs/2203.15565."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from core.batch_checks import check_classes, check_inputs
from core.classification import HasLogits
from core.parameter_groups import Groups, collect_parameter_groups
from core.random import SeededRandom
from core.ranges import PositiveFraction, Seed
from core.types import Embeddings, Labels, Logits, Scalar, Targets, Tuples


class PartialFC(nn.Module):
    """Partial FC: computes a classification loss over a random part of very many classes.

        loss(embeddings, labels), as if there were only the classes of S
        S = the classes of the batch, and others at random up to max(share · C, N) in all

    drawn anew for each batch in training mode, every other class equally likely, from a stream that
    is part of the checkpoint; the same in several processes. The loss computes (N, |S|) logits
    instead of (N, C), and only prototypes of S get a gradient and a share of the regularizer. In
    evaluation mode, and in the method `logits`, all classes count. A number that a loss derives
    from the number of classes, such as `scale=None`, is that of all classes; what it measures in
    the batch, as AdaCos does, it measures over S. Soft labels are an error. It takes no `distance`:
    that of `objective` counts.

    Prototypes, their gradient and the optimizer's state have their full size, C x D each, in every
    process; docs/scaling.md has the numbers.

    Differences:
        authors' code: each process keeps its own part of the prototypes and draws from that part;
            the optimizer's state of a prototype does not change while it is not drawn.

    Args:
        objective: a loss with one or several trained prototypes per class, those of a class side by
            side.
        share: of the classes, in (0, 1]; the paper's 0.1 costs little accuracy; 1 takes all.
        seed: of the draws.
    """

    def __init__(self, objective: nn.Module, share: PositiveFraction = 0.1, seed: Seed = 0) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share}")
        if not isinstance(getattr(objective, "prototypes", None), nn.Parameter):
            raise TypeError(f"{type(objective).__name__} has no trained prototypes to draw from")
        self.objective, self.share = objective, share
        self.num_classes: int = vars(objective)["num_classes"]
        self.draw = SeededRandom(seed)

    def parameter_groups(self) -> Groups:
        return collect_parameter_groups(self.objective)

    def logits(self, embeddings: Embeddings, labels: Targets | None = None) -> Logits:
        return cast(HasLogits, self.objective).logits(embeddings, labels)

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        check_inputs(embeddings, labels)
        check_classes(labels, self.num_classes)
        # at least one class per sample: then all of the batch fit, and no one has to count them
        size = max(math.ceil(self.share * self.num_classes), len(labels))
        value: Tensor
        if not self.training or size >= self.num_classes:
            value = self.objective(embeddings, labels, tuples)
        else:
            classes = self._drawn(labels.long(), size)
            own = torch.searchsorted(classes, labels.long())
            value = self._among(classes, embeddings, own, tuples)
        return value

    def _drawn(self, labels: Tensor, size: int) -> Tensor:
        """The classes of the batch and others, (size,), ascending."""
        places = self.draw.uniform(self.num_classes, like=labels)
        first = places.index_fill(0, labels, -1)
        return first.topk(size, largest=False).indices.sort().values

    def _among(self, classes: Tensor, *batch: Tensor | Tuples | None) -> Tensor:
        """The loss as if there were no other classes."""
        prototypes = self.objective.get_parameter("prototypes")
        of_class = prototypes.reshape(self.num_classes, -1).index_select(0, classes)
        drawn = {"prototypes": of_class.reshape(-1, prototypes.shape[1])}
        vars(self.objective)["num_classes"] = len(classes)
        try:
            value: Tensor = functional_call(self.objective, drawn, batch)
        finally:
            vars(self.objective)["num_classes"] = self.num_classes
        return value
