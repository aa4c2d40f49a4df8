"""Near duplicates: groups of samples that a threshold connects."""

import numpy as np
import torch
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from core.types import Embeddings
from evaluation.search.chunks import MEMORY, in_chunks
from evaluation.search.space import full_precision, normalize_for_search

BYTES_PER_PAIR = 20  # two indices of a pair above the threshold, and whether it is


def near_duplicates(
    embeddings: Embeddings, threshold: float, *, memory: int = MEMORY
) -> Int[np.ndarray, " N"]:
    """Group of each sample: the connected components of the graph of similar pairs.

    An edge joins two samples whose cosine similarity is greater than the threshold. The members of
    a group are connected by a chain of such pairs; the ends of a chain may be less similar.
    Similarities are computed in blocks of rows, and a block is replaced by the groups so far before
    the next one, so that neither the N x N similarities nor all edges are in memory at once.

    Args:
        threshold: in [-1, 1].
        memory: working memory in bytes.

    Returns:
        The groups as numbers 0..G-1, in the order of their first members.
    """
    points, num = normalize_for_search(embeddings, "cosine"), len(embeddings)
    groups = np.arange(num)

    def edges(rows: slice, workspace: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a row and a later sample above the threshold."""
        height, width = rows.stop - rows.start, num - rows.start
        similarities = workspace.view(-1)[: height * width].view(height, width)
        with full_precision(points.device):
            torch.mm(points[rows], points[rows.start :].T, out=similarities)
        similar = (similarities > threshold).triu_(diagonal=1).nonzero() + rows.start
        return tuple(similar.T.cpu().numpy())

    chunks = in_chunks(
        edges, num, width=num, like=points, memory=memory, extra=num * BYTES_PER_PAIR
    )
    for _, (first, second) in chunks:
        if len(first):
            groups = joined(groups, first, second)
    return groups


def joined(
    groups: Int[np.ndarray, " N"], first: Int[np.ndarray, " E"], second: Int[np.ndarray, " E"]
) -> Int[np.ndarray, " N"]:
    """The groups after joining those of the two samples of each edge."""
    num = int(groups.max()) + 1
    edges = np.ones(len(first)), (groups[first], groups[second])
    graph = coo_array(edges, shape=(num, num))
    joined_groups: Int[np.ndarray, " N"]
    joined_groups = connected_components(graph, directed=False)[1][groups]
    return joined_groups
