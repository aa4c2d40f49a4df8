"""Components of somebody else's: what is wrong with them is one line, before the first step."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from core.errors import ComponentError, UserError
from core.tuples import select_tuples
from core.types import Pairs, Triplets
from datasampler.class_random import ClassRandom
from datasampler.random import Random
from datasets.digits import digits
from datasets.table import DatasetError
from engine.config.check import check
from engine.config.errors import ConfigurationError
from engine.config.targets import resolve
from engine.contracts import (
    check_embeddings,
    check_miner_call,
    check_sampler,
    check_sampler_call,
    check_table,
)
from engine.data.loader import SeededBatches
from evaluation.evaluator import Evaluator
from evaluation.metrics.ranking import Ranking
from tests.engine.test_configuration import composed

EMBEDDINGS, LABELS = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
SAME = LABELS[:, None] == LABELS


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (None, "got NoneType"),
        ((SAME, ~SAME), "got tuple"),
        (Pairs(SAME.float(), ~SAME), r"tuples.positives must be a boolean mask of shape \(6, 6\)"),
        (Pairs(SAME[:, :3], ~SAME), r"of shape \(6, 3\)"),
        (Triplets(LABELS, LABELS, LABELS.int()), "tuples.negatives must be int64 indices"),
        (Triplets([0], [1], [2]), "list"),
    ],
)
def test_what_a_miner_returns_is_named(chosen: object, message: str) -> None:
    class Mine:
        def __call__(self, *_inputs: object) -> object:
            return chosen

    with pytest.raises(
        ComponentError, match=rf"the miner \S*Mine returned .*{message}.*Triplets\("
    ):
        select_tuples(Mine(), EMBEDDINGS, LABELS)


def test_a_miner_takes_references() -> None:
    class Two:
        def __call__(self, embeddings: Tensor, labels: Tensor) -> None: ...

    class Module(nn.Module):
        def forward(self, embeddings: Tensor) -> None: ...

    for miner in (Two, Module):
        with pytest.raises(ComponentError, match=r"is called as miner\(embeddings, labels, ref"):
            check_miner_call(miner)
    check_miner_call(None)


class Sampler:
    """Right, but for what a test changes."""

    def __init__(self, batches: list[object], length: int | None = None) -> None:
        self.batches, self.length = batches, length

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int:
        return len(self.batches) if self.length is None else self.length

    def __iter__(self) -> Iterator[object]:
        return iter(self.batches)


class GlobalSampler(Sampler):
    def __iter__(self) -> Iterator[object]:
        yield np.random.permutation(100)  # noqa: NPY002


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (Sampler([]), "an epoch has no batch of 100 images"),
        (Sampler([3, 4]), "must yield lists of indices, got int 3"),
        (Sampler([[]]), "must yield lists of indices"),
        (Sampler([[100]]), r"yields indices beyond 0\.\.99"),
        (Sampler([[-1]]), r"yields indices beyond 0\.\.99"),
        (GlobalSampler([[0]]), "epoch 0 begins with other images when it is drawn again"),
        ([[0]], "sampler list: has no set_epoch"),
    ],
)
def test_what_a_sampler_lacks_is_named(sampler: object, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        check_sampler(sampler, 100)


def test_samplers_of_the_project_and_arrays_are_right() -> None:
    labels = np.arange(100) // 10
    class_random = partial(ClassRandom, batch_size=20, samples_per_class=4, seed=0)
    for factory in (class_random, partial(Random, batch_size=20, seed=0)):
        check_sampler_call(factory)
        check_sampler(factory(labels=labels), 100)
    check_sampler(Sampler([np.arange(5)]), 100)
    check_sampler_call(lambda **_values: None)


def test_a_sampler_is_told_the_labels() -> None:
    with pytest.raises(ComponentError, match="sampler Sampler: takes no labels"):
        check_sampler_call(Sampler)


@pytest.mark.parametrize("length", [1, 3])
def test_an_epoch_is_as_long_as_it_says(length: int) -> None:
    """A run with a sampler that yields fewer batches never ended."""
    with pytest.raises(ComponentError, match=f"yields 2 batches in epoch 0, .* says {length}"):
        list(SeededBatches(Sampler([[0], [1]], length), seed=0))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([("a.png", "ant", "train")], "must return a table, got list"),
        (digits()[["path", "label", "split"]], "the table has no category, is_query, is_gallery"),
        (digits().assign(split="training"), r"splits are train, val, test, got \['training'\]"),
        (digits().assign(label=3), "labels must be text"),
    ],
)
def test_what_a_dataset_lacks_is_named(table: object, message: str) -> None:
    with pytest.raises(DatasetError, match=f"dataset my_code.birds: {message}"):
        check_table(table, "my_code.birds")
    check_table(digits(), "digits")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (torch.zeros(1, 8, 3, 3), r"embeddings \(1, 16\) of one image, got \(1, 8, 3, 3\)"),
        (torch.zeros(1, 8), r"got \(1, 8\)"),
        ((torch.zeros(1, 16),), "got tuple"),
        (torch.zeros(1, 16, dtype=torch.uint8), "must be floating point, got torch.uint8"),
    ],
)
def test_what_a_backbone_makes_is_named(made: object, message: str) -> None:
    backbone = OmegaConf.create({"_target_": "my_code.net.Net", "embedding_dim": 16})
    with pytest.raises(ComponentError, match=f"backbone my_code.net.Net: .*{message}"):
        check_embeddings(backbone, made)
    check_embeddings(backbone, torch.zeros(1, 16))


def one(ranking: Ranking) -> Tensor:  # noqa: ARG001
    return torch.tensor(0.5)


def number(labels: Tensor) -> float:  # noqa: ARG001
    return 0.5


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (one, r"metric mine must return one score per query, \(\d+,\), got shape \(\)"),
        (number, "metric mine must return a tensor: one number, .*, got float"),
    ],
)
def test_what_a_metric_returns_is_named(metric: object, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        Evaluator({"mine": metric})(EMBEDDINGS, LABELS)


def test_what_a_metric_asks_for_is_named_in_one_line() -> None:
    with pytest.raises(UserError, match="metric mine asks for rankings; there is centered_spec"):
        Evaluator({"mine": lambda rankings: rankings})


def test_a_metric_without_a_name_is_named() -> None:
    config = composed("loss=triplet")
    with_name = {"_target_": "my_code.hits.hits", "_partial_": True}
    OmegaConf.set_struct(config, False)
    config.metric = with_name
    with pytest.raises(ConfigurationError, match=r"metric: my_code\.hits\.hits has no name"):
        check(config, [])


def test_a_package_that_is_hidden_or_not_found_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user called a folder `datasets`, as a package of the project is."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "birds.py").write_text("def birds(): ...\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    refused = partial(pytest.raises, ConfigurationError)
    with refused(match=r"no datasets\.birds\.birds in \S*, which hides \S*birds\.py; give your"):
        resolve("datasets.birds.birds", "dataset")
    (tmp_path / "my_birds.py").write_text("def birds(): ...\n")
    with refused(match=r"there is no my_birds\.Crows$"):
        resolve("my_birds.Crows", "dataset")
    with refused(match="no package my_cod is installed or in a folder of PYTHONPATH"):
        resolve("my_cod.birds.birds", "dataset")
