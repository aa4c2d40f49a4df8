"""Pooling of feature maps: from (N, C, h, w) to (N, C)."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Pooling = Literal["avg", "max", "avg+max", "gem"]


def build_pooling(pooling: Pooling) -> nn.Module:
    """Build the pooling of a name.

    Raises:
        ValueError: there is no such pooling.
    """
    choices: dict[str, type[nn.Module]] = {
        "avg": Average,
        "max": Maximum,
        "avg+max": AverageAndMaximum,
        "gem": GeM,
    }
    if pooling not in choices:
        raise ValueError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {pooling}")
    return choices[pooling]()


class Average(nn.Module):
    """Average pooling: mean over the positions."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3))


class Maximum(nn.Module):
    """Max pooling: maximum over the positions."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.amax(dim=(2, 3))


class AverageAndMaximum(nn.Module):
    """Sum of average and max pooling."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3)) + maps.amax(dim=(2, 3))


class GeM(nn.Module):
    """Generalized-mean pooling: (mean over the positions of max(x, 1e-6)^p)^(1/p) with a trained p.

    It is the mean for p = 1 and approaches the maximum for large p. Radenović et al., Fine-tuning
    CNN Image Retrieval with No Human Annotation, 2018, https://arxiv.org/abs/1711.02512.

    Args:
        p: initial exponent.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):  # powers overflow in half precision
            return maps.float().clamp(min=1e-6).pow(self.p).mean(dim=(2, 3)).pow(1 / self.p)
