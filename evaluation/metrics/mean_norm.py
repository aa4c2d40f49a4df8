"""Mean length of the embeddings."""

import torch
from torch import Tensor

from core.types import Embeddings, Scalar


def mean_norm(embeddings: Embeddings) -> Scalar:
    """Mean Euclidean norm of the embeddings as the model put them out.

    Range [0, ∞), no better direction; 1 for a model that normalises. Growing or vanishing norms
    betray a loss that pulls at lengths, which the cosine does not show. Float64.

    >>> mean_norm(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).item()
    3.0
    """
    norms: Tensor = torch.linalg.vector_norm(embeddings, dim=1, dtype=torch.float64)
    return norms.mean()
