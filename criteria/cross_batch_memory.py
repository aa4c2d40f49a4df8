"""Cross-batch memory: Wang et al., CVPR 2020, https://arxiv.org/abs/1912.06798."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from core.parameter_groups import Groups, collect_parameter_groups
from core.ranges import NonNegativeFloat, NonNegativeInt, Size
from core.types import Embeddings, Labels, Scalar, Tuples


class CrossBatchMemory(nn.Module):
    """Cross-batch memory: adds a loss between the batch and the embeddings of earlier batches.

        loss(batch) + weight · loss(anchors: batch, references: memory)

    The memory is a queue of the last `size` embeddings with their labels, without gradient. The
    batch enters it after its own step, so that no sample is compared with itself; evaluation does
    not change it. The queue is part of `state_dict()`, hence of the checkpoint. Given `tuples` are
    those of the batch; the memory is always mined by the miner of the loss. It takes no `distance`:
    that of `objective` counts.

    Differences:
        authors' code: the batch enters the memory before its own step, and is compared with itself
            there, without a gradient on the side of the memory.
        pytorch-metric-learning: `CrossBatchMemory` does so too, and has no loss over the batch
            alone.

    Args:
        objective: takes `references`.
        embedding_dim: D.
        size: samples that are remembered, >= 1; the paper goes up to the whole training set.
        weight: of the part over the memory, >= 0.
        warmup: steps before the memory counts, since embeddings drift fast at first; it fills
            up meanwhile.
    """

    embeddings: Tensor
    labels: Tensor

    needs_positives: ClassVar[bool] = False  # in the batch: the memory has others

    def __init__(
        self,
        objective: nn.Module,
        embedding_dim: Size,
        size: Size = 1024,
        weight: NonNegativeFloat = 1.0,
        warmup: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.objective, self.size = objective, size
        self.weight, self.warmup = weight, warmup
        self.steps, self.seen = 0, 0
        self.register_buffer("embeddings", torch.zeros(size, embedding_dim))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.long))

    def parameter_groups(self) -> Groups:
        return collect_parameter_groups(self.objective)

    def forward(
        self, embeddings: Embeddings, labels: Labels, tuples: Tuples | None = None
    ) -> Scalar:
        value: Tensor = self.objective(embeddings, labels, tuples)
        remembered = min(self.seen, self.size)
        if remembered and self.steps >= self.warmup:
            value = value + self.weight * self.objective(
                embeddings,
                labels,
                references=self.embeddings[:remembered],
                reference_labels=self.labels[:remembered],
            )
        if self.training:
            self.remember(embeddings, labels)
        return value

    @torch.no_grad()
    def remember(self, embeddings: Embeddings, labels: Labels) -> None:
        """Put a batch into the queue in place of the oldest; of too large a batch, the end."""
        embeddings, labels = embeddings[-self.size :], labels[-self.size :]
        slots = (self.seen + torch.arange(len(labels), device=labels.device)) % self.size
        # a new tensor: the old one may still be needed for the gradient of this step
        self.embeddings = self.embeddings.index_copy(0, slots, embeddings.to(self.embeddings))
        self.labels = self.labels.index_copy(0, slots, labels.long())
        self.seen += len(labels)
        self.steps += 1

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps, "seen": self.seen}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps, self.seen = state["steps"], state["seen"]
