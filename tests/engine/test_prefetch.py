"""Batches come in their order, each time they are asked for, and none before its turn."""

import torch
from torch import Tensor

from engine.data.prefetch import CudaPrefetcher, to_device

CPU = torch.device("cpu")


def batches(read: list[int]) -> "list[tuple[Tensor, Tensor]]":
    class Reading(list):
        def __iter__(self):  # noqa: ANN204
            for number, batch in enumerate(super().__iter__()):
                read.append(number)
                yield batch

    return Reading((torch.full((2, 3), float(n)), torch.tensor([n, n])) for n in range(3))


def test_every_round_has_all_batches_in_order() -> None:
    prefetched = CudaPrefetcher(batches([]), CPU, to_device)
    assert len(prefetched) == 3
    for _ in range(2):
        assert [labels.tolist() for _, labels in prefetched] == [[0, 0], [1, 1], [2, 2]]


def test_on_the_host_nothing_is_read_ahead() -> None:
    read: list[int] = []
    rounds = iter(CudaPrefetcher(batches(read), CPU, to_device))
    next(rounds)
    assert read == [0]


def test_a_batch_is_what_placing_made_of_it() -> None:
    placed = CudaPrefetcher(
        batches([]), CPU, lambda batch, device: (batch[0] + 1, batch[1].to(device))
    )
    assert [images[0, 0].item() for images, _ in placed] == [1.0, 2.0, 3.0]
