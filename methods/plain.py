"""Plain training: one loss on one embedding of one view of each image."""

from torch import nn

from methods.method import Batch, Embed, Losses, Method


class Plain(Method):
    """Plain method: minimizes the loss of the embeddings, loss(embeddings, labels)."""

    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        return {"loss": criterion(embed(batch.images).embeddings, batch.labels)}
