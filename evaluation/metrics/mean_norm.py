"""Mean norm of the embeddings."""

import torch
from torch import Tensor

from core.types import Embeddings, Scalar


def mean_norm(embeddings: Embeddings) -> Scalar:
    """Mean norm: mean Euclidean norm of the embeddings as the model returns them.

    Range [0, ∞), no better direction; 1 for a model that normalises. Growing or vanishing norms
    show that the loss changes the norms, which cosine distances hide. Float64.

    >>> mean_norm(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).item()
    3.0
    """
    norms: Tensor = torch.linalg.vector_norm(embeddings, dim=1, dtype=torch.float64)
    return norms.mean()
