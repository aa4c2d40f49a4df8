"""Equality of all rows of two matrices by a hash of each row; the host waits for no device."""

import torch
from torch import Tensor

BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


def rows_differ(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Compares rows: 1 where x_i and y_j differ, else 0, in the type of x; (N, M), or (N, N).

    The result is a factor and not a mask, because filling by a boolean mask takes several times
    longer, and because NaN stays NaN under a product. -0 differs from 0. It has no gradient.
    """
    hashes = row_hashes(x if y is None else torch.cat([x, y]))  # one call: half the operations
    rows, columns = hashes[: len(x)], hashes if y is None else hashes[len(x) :]
    return torch.ne(rows[:, None], columns, out=x.new_empty(len(rows), len(columns)))


def row_hashes(rows: Tensor) -> Tensor:
    """Hash of each row, equal for rows of equal bits: float32 or float64 (N, D) -> int64 (N,).

    It is the sum over the entries of their bits as an integer, each times an irregular number,
    modulo 2^64. A sum of integers is the same in any order, so equal rows have equal hashes at any
    position and on any device, which a sum of floats does not guarantee. Different rows have equal
    hashes with a probability of about 2^-40 if the entries are round numbers, else less.
    """
    bits = rows.view(BITS[rows.dtype]).long()
    if rows.dtype == torch.float64:
        # round numbers have bits in the upper half only, where products overflow
        bits ^= bits >> 32
    irregular = torch.logspace(0.1, 0.9, rows.shape[1], dtype=torch.float64, device=rows.device)
    return bits.mul_(irregular.view(torch.int64)).sum(dim=1)
