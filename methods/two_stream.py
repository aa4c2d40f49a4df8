"""Two-stream training: anchors from one source, positives and negatives from another."""

from typing import Any

from torch import nn

from methods.loss_arguments import loss_without
from methods.method import Batch, Embed, Losses, Method


class TwoStream(Method):
    """Two-stream method: the anchors of the first stream are compared with the second stream only.

        loss(anchors, labels, references=others, reference_labels=labels of the others)

    A batch is a, b, a, b, ...: anchors a from the first stream, such as sketches, and b from the
    second, such as photographs; the same network embeds both. All b of the class of an anchor are
    its positives, its own partner included. Training images that are queries are the first stream,
    those in the gallery the second. The evaluation searches the gallery for each query.

    pytorch-metric-learning has the trainer `TwoStreamMetricLoss` for this.
    """

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        embeddings, labels = embed(batch.images).embeddings, batch.labels
        loss = criterion(
            embeddings[0::2],
            labels[0::2],
            references=embeddings[1::2],
            reference_labels=labels[1::2],
        )
        return {"loss": loss}

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401
        """Check that batches are pairs of two streams, and that the loss takes references.

        Raises:
            ValueError: they are not, or it does not.
        """
        if getattr(sampler, "layout", None) != "pairs":
            raise ValueError(
                "needs batches of pairs from two streams; choose sampler=two_stream, or give your "
                "sampler the attribute layout = 'pairs'"
            )
        if (loss := loss_without(criterion, "references")) is not None:
            raise ValueError(
                f"{type(loss).__name__} compares embeddings with its own prototypes or "
                "memory, not with references; choose a loss over pairs or triplets"
            )
