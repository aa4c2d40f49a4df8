"""Batches on their way to the device while it is still busy with the one before."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]  # images, labels


class CudaPrefetcher:
    """The batches of a loader on a device, each time it is iterated.

    On a GPU, a stream of its own copies (and decodes) the next batch while the device computes
    with the current one; elsewhere batches come as they are asked for.

    Args:
        loader: of batches on the host, pinned if the device is a GPU.
        device: where they are wanted.
        place: what is done with each, given the device; the result lies there.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        device: torch.device,
        place: Callable[[Any, torch.device], Batch],
    ) -> None:
        self.loader, self.device, self.place = loader, device, place

    def __len__(self) -> int:
        assert isinstance(self.loader, Sized)
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        if self.device.type != "cuda":
            yield from (self.place(batch, self.device) for batch in self.loader)
            return
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        batches = iter(self.loader)
        while (batch := self._next(batches, stream)) is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_stream(stream)
            for tensor in batch:
                tensor.record_stream(current)  # its memory is in use until that stream is done
            yield batch  # whoever takes it has started the device's work when the next is fetched

    def _next(self, batches: Iterator[Any], stream: torch.cuda.Stream) -> Batch | None:
        with torch.cuda.stream(stream):
            for batch in batches:
                return self.place(batch, self.device)
        return None


def to_device(batch: Batch, device: torch.device) -> Batch:
    images, labels = batch
    return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
