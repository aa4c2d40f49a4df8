"""Histograms with soft bins, which are differentiable with respect to the positions."""

from torch import Tensor

from core.types import Mask


def soft_histogram(positions: Tensor, where: Mask, num_nodes: int) -> Tensor:
    """Soft histogram: counts the marked entries of each row at the nodes 0, 1, ..., num_nodes - 1.

    An entry counts for its two nearest nodes with the triangular kernel [1 - |position - node|]₊;
    an entry beyond the first or last node counts for that node. Each entry is visited once: it
    takes O(N M) time and memory for any number of nodes.

    Args:
        positions: (N, M), in units of the distance between neighbouring nodes.
        where: the entries that count.
        num_nodes: at least 2.

    Returns:
        (N, num_nodes), each row summing to its number of marked entries.
    """
    positions = positions.clamp(0, num_nodes - 1)
    below = positions.detach().floor().clamp(max=num_nodes - 2)
    to_below = (below + 1 - positions).where(where, 0)
    to_above = (positions - below).where(where, 0)
    node = below.long()
    histogram = positions.new_zeros(len(positions), num_nodes)
    return histogram.scatter_add(1, node, to_below).scatter_add(1, node + 1, to_above)
