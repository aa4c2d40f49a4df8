"""Compares all rows of two matrices by one hash of each row; the host waits for no device."""

import torch
from torch import Tensor

BITS = {torch.float32: torch.int32, torch.float64: torch.int64}


def rows_differ(x: Tensor, y: Tensor | None = None) -> Tensor:
    """1 where x_i and y_j differ, 0 where they are equal, in the type of x: (N, M), or (N, N).

    Numbers to multiply by, because filling where a boolean mask is true takes several times longer,
    and because NaN stays NaN. -0 differs from 0. Without gradient.
    """
    hashes = row_hashes(x if y is None else torch.cat([x, y]))  # at once: half as many operations
    rows, columns = hashes[: len(x)], hashes if y is None else hashes[len(x) :]
    return torch.ne(rows[:, None], columns, out=x.new_empty(len(rows), len(columns)))


def row_hashes(rows: Tensor) -> Tensor:
    """Hash of each row, the same for rows of equal bits: float32 or float64 (N, D) -> int64 (N,).

    It is the sum of the bits of the entries, each times a number without a pattern, modulo 2^64.
    Whole numbers add up to the same in any order, so equal rows have the same number wherever they
    stand and whatever the device, which no sum of floats promises. Other rows share it with a
    chance of about 2^-40, if the entries are round numbers, else less.
    """
    bits = rows.view(BITS[rows.dtype]).long()
    if rows.dtype == torch.float64:
        # round numbers have bits in the upper half only, where products overflow
        bits ^= bits >> 32
    irregular = torch.logspace(0.1, 0.9, rows.shape[1], dtype=torch.float64, device=rows.device)
    return bits.mul_(irregular.view(torch.int64)).sum(dim=1)
