"""Packs the positives of each anchor into as few columns as possible."""

import torch
from torch import Tensor

from core.batch_checks import can_read_without_sync
from core.types import Mask


def pack_positives(values: Tensor, positives: Mask) -> tuple[Tensor, Mask]:
    """Values (N, M) of the positives of each anchor, and which entries are one: (N, P) both.

    P is the most that an anchor has, at least 1; where the host would wait to learn it, the matrix
    as it is.
    """
    if not can_read_without_sync(positives):
        return values, positives
    columns, valid = pack_indices(positives)
    return values.gather(1, columns), valid


def pack_positive_indices(positives: Mask) -> tuple[Tensor, Mask]:
    """Where these values are: columns (N, P), and which entries are a positive."""
    if not can_read_without_sync(positives):
        width = positives.shape[1]
        return torch.arange(width, device=positives.device).expand_as(positives), positives
    return pack_indices(positives)


def pack_indices(mask: Mask) -> tuple[Tensor, Mask]:
    """Columns of the marked entries of each row, in order, and which of them exist: (N, P) both.

    P is the most of a row, at least 1; others have the column 0. The host waits for the device.
    """
    rows, columns = mask.nonzero(as_tuple=True)
    sizes = torch.bincount(rows, minlength=len(mask))
    width = max(1, int(sizes.max()))
    places = torch.arange(len(rows), device=mask.device) - (sizes.cumsum(dim=0) - sizes)[rows]
    packed = columns.new_zeros(len(mask), width)
    packed[rows, places] = columns
    return packed, torch.arange(width, device=mask.device) < sizes[:, None]
