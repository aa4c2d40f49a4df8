"""Prefetching: moves the next batch to the GPU while the GPU computes with the current one."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]  # images, labels


class CudaPrefetcher:
    """Iterates over the batches of a loader on a device.

    On a GPU, a separate stream copies (and decodes) the next batch while the device computes with
    the current one; on other devices there is no prefetching.

    Args:
        loader: yields batches on the host, in pinned memory if the device is a GPU.
        device: the device of the resulting batches.
        move: returns a batch of the loader on the device, such as `to_device`.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        device: torch.device,
        move: Callable[[Any, torch.device], Batch],
    ) -> None:
        self.loader, self.device, self.move = loader, device, move

    def __len__(self) -> int:
        assert isinstance(self.loader, Sized)
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        if self.device.type != "cuda":
            yield from (self.move(batch, self.device) for batch in self.loader)
            return
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        batches = iter(self.loader)
        while (batch := self._next(batches, stream)) is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_stream(stream)
            for tensor in batch:
                tensor.record_stream(current)  # keeps its memory until that stream is done
            yield batch  # the consumer starts its work on the device before the next is fetched

    def _next(self, batches: Iterator[Any], stream: torch.cuda.Stream) -> Batch | None:
        with torch.cuda.stream(stream):
            for batch in batches:
                return self.move(batch, self.device)
        return None


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on the device; the copy is asynchronous from pinned memory."""
    images, labels = batch
    return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
