"""Uniformity of the embeddings on the sphere: Wang and Isola, ICML 2020."""

from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor

from core.distance import to_float32
from core.kernels.l2_normalize import l2_normalize
from core.ranges import PositiveInt
from core.types import Embeddings, Scalar
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.chunks import MEMORY, in_chunks
from evaluation.search.space import full_precision


def uniformity(
    embeddings: Embeddings, t: Annotated[float, Gt(0), Le(20)] = 2, memory: PositiveInt = MEMORY
) -> Scalar:
    """Uniformity: logarithm of the mean Gaussian potential of all pairs of unit embeddings.

        uniformity = log E exp(-t |x - y|²) over pairs x != y,   |x - y|² = 2 (1 - cosine)

    Range [-4 t, 0]: 0 if all embeddings are equal, about -2 t if they are uniform on a
    high-dimensional sphere. No better direction by itself, see `alignment`. All pairs are used, in
    chunks. Source: https://arxiv.org/abs/2005.10242.

    Args:
        t: sharpness of the potential, in (0, 20], as float32 underflows above; 2 in the paper.
        memory: working memory in bytes.

    Raises:
        UndefinedError: there is only one sample.

    >>> round(uniformity(torch.tensor([[1.0, 0.0], [0.0, 3.0]])).item(), 6)  # log exp(-2 * 2)
    -4.0
    """
    if not 0 < t <= 20:
        raise ValueError(f"t must be in (0, 20], got {t}")
    num = len(embeddings)
    if num < 2:
        raise UndefinedError("there is only one sample")
    points = l2_normalize(to_float32(embeddings))

    def potential(rows: slice, workspace: Tensor) -> Tensor:
        with full_precision(points.device):
            torch.mm(points[rows], points.T, out=workspace)
        workspace.sub_(1).mul_(2 * t).exp_()
        workspace.diagonal(rows.start).zero_()  # pairs of a sample with itself
        return workspace.sum(dim=1).double().sum()

    chunks = in_chunks(potential, num, width=num, like=points, memory=memory)
    sums = [chunk_sum for _, chunk_sum in chunks]
    return (torch.stack(sums).sum() / (num * (num - 1))).log()
