"""Affine map of embeddings in float64, in bounded memory."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import Embeddings
from evaluation.transforms.moments import ROWS


def affine(
    embeddings: Embeddings, mean: Float[Tensor, " D"], matrix: Float[Tensor, "D C"]
) -> Embeddings:
    """(x - mean) @ matrix of each row, in the dtype of the embeddings."""
    return torch.cat(
        [
            ((rows.double() - mean) @ matrix).to(embeddings.dtype)
            for rows in torch.split(embeddings, ROWS)
        ]
    )
