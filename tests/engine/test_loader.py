"""Batches depend on seed, epoch and position, never on workers or interruptions."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from engine.data.loader import SeededBatches, training_loader, worker_count


class Ordered:
    """Four batches of three; epoch e starts at e."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(self.epoch, self.epoch + 12, 3):
            yield [start, start + 1, start + 1]


class Noise(Dataset[tuple[Tensor, int]]):
    """An image that is nothing but its augmentation."""

    on_device = in_memory = False

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, int]:
        index, seed = item
        return torch.randn(2, generator=torch.Generator().manual_seed(seed)), index


def epoch(batches: SeededBatches, number: int, start: int = 0) -> list[list[tuple[int, int]]]:
    batches.epoch, batches.start = number, start
    return list(batches)


def test_the_rest_of_an_interrupted_epoch_is_the_same() -> None:
    whole = epoch(SeededBatches(Ordered(), seed=3), 5)
    assert len(whole) == 4
    assert epoch(SeededBatches(Ordered(), seed=3), 5, start=2) == whole[2:]


def test_every_draw_of_every_epoch_has_a_seed_of_its_own() -> None:
    batches = SeededBatches(Ordered(), seed=3)
    draws = [draw for number in range(3) for batch in epoch(batches, number) for draw in batch]
    seeds = {seed for _, seed in draws}
    assert len(seeds) == len(draws), "an image drawn twice is augmented in two ways"
    assert seeds.isdisjoint(s for b in epoch(SeededBatches(Ordered(), 4), 0) for _, s in b)


def test_images_do_not_depend_on_the_number_of_workers() -> None:
    seen = []
    for workers in (0, 2):
        batches = SeededBatches(Ordered(), seed=1)
        loader = training_loader(Noise(), batches, workers, torch.device("cpu"))
        seen.append([])
        for number in range(2):
            batches.epoch = number
            seen[-1] += list(loader)
    for (images, labels), (others, other_labels) in zip(*seen, strict=True):
        assert images.equal(others)
        assert labels.equal(other_labels)


def test_loading_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    list(training_loader(Noise(), SeededBatches(Ordered(), 0), 0, torch.device("cpu")))
    assert torch.get_rng_state().equal(before)


def test_auto_workers_follow_the_cores() -> None:
    assert 1 <= worker_count("auto") <= 8
    assert worker_count(3) == 3
