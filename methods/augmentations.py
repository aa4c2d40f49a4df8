"""Learning from augmentations: Ye et al., CVPR 2019, https://arxiv.org/abs/1904.03436."""

from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import nn

from core.types import Embeddings, Scalar
from methods.loss_arguments import loss_without
from methods.method import Batch, Embed, Losses, Method

Views = Annotated[int, Ge(2)]


class Augmentations(Method):
    """Augmentations method: learns without labels; views of the same image are positives.

    A batch has V random augmentations of each of B images. The label of a view is the position of
    its image in the batch, and the loss of the run is the loss of all V B embeddings,

        loss(embeddings, labels),    labels = 0, ..., 0, 1, ..., 1, ..., B - 1   (V times each)

    so that every loss over pairs or triplets learns without labels: NT-Xent makes it SimCLR (Chen
    et al. 2020), where the other 2 B - 2 views are the negatives. The labels of the dataset are
    never looked at in training; validation and evaluation use them as usual. With
    `symmetric=False`, the first view of each image is compared with the other views only,

        loss(first views, references=other views)

    which with V = 2 is the form of VICReg, where the two views have their own variances and
    covariances.

    The sampler draws the B images, and its `batch_size` is B; the embedder sees V B images at a
    time. A sampler of classes would use the labels; `conf/sampler/random.yaml` does not.

    Differences:
        pytorch-metric-learning: `SelfSupervisedLoss` concatenates the views instead of interleaving
            them, which no loss here depends on; `symmetric=False` has the same meaning. Its trainer
            `UnsupervisedEmbeddingsUsingAugmentations`, until 1.7.3, had three views.

    Args:
        backbone, criterion: see `methods.method.Method`.
        num_views: V, views of each image, at least 2.
        symmetric: whether all views are compared with one another.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: nn.Module | None,
        num_views: Views = 2,
        symmetric: bool = True,
    ) -> None:
        super().__init__(backbone, criterion)
        if num_views < 2:
            raise ValueError(f"num_views must be at least 2, got {num_views}")
        self.num_views, self.symmetric = num_views, symmetric

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings = embed(batch.images).embeddings
        positions = torch.arange(len(embeddings) // self.num_views, device=embeddings.device)
        if self.symmetric:
            return {"loss": criterion(embeddings, positions.repeat_interleave(self.num_views))}
        return {"loss": self._first_against_others(embeddings, positions, criterion)}

    def _first_against_others(
        self, embeddings: Embeddings, positions: torch.Tensor, criterion: nn.Module
    ) -> Scalar:
        views = embeddings.reshape(len(positions), self.num_views, -1)  # (B, V, D)
        loss: Scalar = criterion(
            views[:, 0],
            positions,
            references=views[:, 1:].flatten(0, 1),
            reference_labels=positions.repeat_interleave(self.num_views - 1),
        )
        return loss

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401, ARG002
        """Check that the loss has nothing of its own for each class, and keeps no labels.

        Raises:
            ValueError: it does; or `symmetric` is false and it takes no references.
        """
        for part in criterion.modules():
            name = type(part).__qualname__
            if getattr(part, "num_classes", None) is not None or hasattr(part, "prototypes"):
                raise ValueError(
                    f"the loss {name} has parameters of each class, and there are no classes; "
                    "choose a loss over pairs or triplets without num_classes, such as loss=ntxent"
                )
            if "labels" in dict(part.named_buffers(recurse=False)):
                raise ValueError(
                    f"the loss {name} remembers labels, and a label is the position of an image in "
                    "its batch, which means nothing in another batch; choose a loss without memory"
                )
        without = None if self.symmetric else loss_without(criterion, "references")
        if without is not None:
            raise ValueError(
                f"symmetric=false: the loss {type(without).__qualname__} takes no references; "
                "choose symmetric=true"
            )
