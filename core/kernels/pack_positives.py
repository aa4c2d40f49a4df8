"""Packs the positives of each anchor into as few columns as possible."""

import torch
from torch import Tensor

from core.batch_checks import can_read_without_sync
from core.types import Mask


def pack_positives(values: Tensor, positives: Mask) -> tuple[Tensor, Mask]:
    """Packs the values (N, M) of the positives of each anchor, with a mask: (N, P) both.

    P is the largest number of positives of an anchor, at least 1. Where the host would wait for
    the device to know P, values and mask are returned as they are, P = M.
    """
    if not can_read_without_sync(positives):
        return values, positives
    columns, valid = pack_indices(positives)
    return values.gather(1, columns), valid


def pack_positive_indices(positives: Mask) -> tuple[Tensor, Mask]:
    """Columns of the values that `pack_positives` packs, and their mask: (N, P) both."""
    if not can_read_without_sync(positives):
        width = positives.shape[1]
        return torch.arange(width, device=positives.device).expand_as(positives), positives
    return pack_indices(positives)


def pack_indices(mask: Mask) -> tuple[Tensor, Mask]:
    """Packs the columns of the marked entries of each row, in order, with a mask: (N, P) both.

    P is the largest number of marked entries in a row, at least 1; entries that are not valid have
    column 0. The host waits for the device.
    """
    rows, columns = mask.nonzero(as_tuple=True)
    sizes = torch.bincount(rows, minlength=len(mask))
    width = max(1, int(sizes.max()))
    places = torch.arange(len(rows), device=mask.device) - (sizes.cumsum(dim=0) - sizes)[rows]
    packed = columns.new_zeros(len(mask), width)
    packed[rows, places] = columns
    return packed, torch.arange(width, device=mask.device) < sizes[:, None]
