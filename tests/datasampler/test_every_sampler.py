"""What every sampler promises, asked of every YAML of conf/sampler."""

import random

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from core.types import BatchSampler
from engine.contracts import check_sampler, check_sampler_call
from tests.configured import choices, composed
from tests.samplers import build_sampler

LABELS = np.repeat(np.arange(140), 12)
every_sampler = pytest.mark.parametrize("choice", choices("sampler"))


def node(choice: str, seed: int = 0) -> DictConfig:
    return composed(f"sampler={choice}", f"seed={seed}").sampler


def build(choice: str, seed: int = 0) -> BatchSampler:
    return build_sampler(node(choice, seed), LABELS)


def epoch(sampler: BatchSampler, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


@every_sampler
def test_a_run_accepts_it(choice: str) -> None:
    check_sampler_call(instantiate(node(choice)))
    check_sampler(build(choice), len(LABELS))


@every_sampler
def test_an_epoch_has_its_length_and_batches_of_indices(choice: str) -> None:
    sampler = build(choice)
    batches = epoch(sampler, 0)
    assert len(batches) == len(sampler) > 0
    assert len({len(batch) for batch in batches}) == 1
    assert all(type(i) is int and 0 <= i < len(LABELS) for batch in batches for i in batch)


@every_sampler
def test_an_epoch_is_a_function_of_seed_and_number_alone(choice: str) -> None:
    sampler = build(choice)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    assert epoch(build(choice), 1) == second
    assert epoch(sampler, 0) == first
    assert first != second
    assert first != epoch(build(choice, seed=1), 0)


@every_sampler
def test_the_global_generators_are_neither_read_nor_changed(choice: str) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    drawn = epoch(build(choice), 0)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    torch.manual_seed(6)
    np.random.seed(6)  # noqa: NPY002
    assert epoch(build(choice), 0) == drawn
