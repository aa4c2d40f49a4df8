"""Training method: turns a batch into named losses, whose sum an optimizer step minimizes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from torch import nn

from core.parameter_groups import Groups
from core.types import Images, Labels, Outputs, Scalar

Losses = dict[str, Scalar]  # name: weighted loss
Embed = Callable[[Images], Outputs]  # images of this process -> outputs of all processes
Detail = Literal["features", "feature_maps"]


class Batch(NamedTuple):
    """A training batch.

    Args:
        images: the images of this process, uint8 (n, 3, H, W); views of an image follow each other.
        labels: the labels of the whole batch, of all processes in their order, (N,).
        epoch: number of the epoch, from 0 on.
    """

    images: Images
    labels: Labels
    epoch: int


class Method(nn.Module, ABC):
    """Base class of training methods.

    A method owns the networks that only training needs. Its parameters and buffers are part of the
    checkpoint, and `parameter_groups` states their learning rates. All processes of a run compute
    the losses of the whole batch, so that random draws must be the same in each: use
    `core.random.SeededRandom`.

    Args:
        backbone: the network before training; gives the sizes of further networks.
        criterion: the loss of the run, which is passed to every call; None for inference.

    Attributes:
        num_views: number of views of each image in a batch, with an augmentation each.
        details: outputs of the embedder that the method uses besides the embeddings.
    """

    num_views: int = 1
    details: ClassVar[tuple[Detail, ...]] = ()

    def __init__(self, backbone: nn.Module, criterion: nn.Module | None) -> None:  # noqa: ARG002
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch, embed: Embed, criterion: nn.Module) -> Losses:
        """The weighted losses of a batch by name.

        Args:
            batch: images of this process, labels of the whole batch.
            embed: embeds images of this process and returns the outputs of the whole batch, with
                gradients; a method may call it several times.
            criterion: the loss of the run.
        """

    def embedder(self, backbone: nn.Module) -> nn.Module:
        """The network that is trained, evaluated and saved; by default the backbone itself."""
        return backbone

    @property
    def parts(self) -> Mapping[str, slice]:
        """Dimensions of an embedding that are also evaluated on their own: {name: dimensions}."""
        return {}

    def parameter_groups(self) -> Groups:
        """Optimizer groups of the method's own networks, with their learning rates."""
        own = list(self.parameters())
        return [{"params": own}] if own else []

    def check(self, sampler: Any, criterion: nn.Module) -> None:  # noqa: ANN401  # any sampler
        """Check that sampler and loss suit the method, before the first step.

        Raises:
            ValueError: they do not; says which would.
        """
