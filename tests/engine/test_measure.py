"""What measuring a split hands to its evaluation."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import UserError
from datasets.images import Images
from datasets.sop import sop
from datasets.transforms import base
from engine.measure import check_transform, measure
from evaluation.averages import Averages
from evaluation.evaluator import Evaluator
from evaluation.metrics.recall import recall_at_k
from evaluation.transforms.pca import PCA
from evaluation.transforms.truncate import Truncate


class Pixels(nn.Module):
    """Embeds an image as a few of its pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float().flatten(1)[:, ::97]


@pytest.fixture
def images(sop_tree: Path) -> Images:
    """Sixteen images of four classes."""
    table = sop(str(sop_tree))
    return Images(table[table["split"] == "test"], base(32, 24).eval)


def test_numbers_are_named_by_split_and_super_classes_arrive(images: Images) -> None:
    metrics = {"recall@1": partial(recall_at_k, k=1)}
    evaluation = Evaluator(metrics, averages=Averages(by_category=True))
    model = Fabric(accelerator="cpu", devices=1).setup_module(Pixels())
    fabric = Fabric(accelerator="cpu", devices=1)
    results = measure(fabric, model, {"test": images}, evaluation, batch_size=4, num_workers=0)
    assert set(results) == {
        *("test/recall@1", "test/recall@1/bicycle", "test/recall@1/coffee_maker"),
        *("test/num_queries", "test/num_queries_excluded"),
    }
    both = results["test/recall@1/bicycle"], results["test/recall@1/coffee_maker"]
    assert torch.tensor(both).mean() == results["test/recall@1"]  # as many queries in each


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (PCA(18), "PCA of 16 embeddings of 32 dimensions has at most 16 components"),
        (Truncate(33), "keeps dim=33 dimensions, and the embeddings have 32"),
        (lambda x: x[:, 0], r"transform must return .* got shape \(16,\)"),
    ],
)
def test_a_transform_that_cannot_be_applied_is_named_before_training(
    images: Images, transform: Callable[..., Tensor], reason: str
) -> None:
    fabric, state = Fabric(accelerator="cpu", devices=1), torch.get_rng_state()
    evaluation = Evaluator({"recall@1": partial(recall_at_k, k=1)}, transform=transform)
    with pytest.raises(UserError, match=reason):
        check_transform(fabric, Pixels(), {"test": images}, evaluation)
    assert torch.get_rng_state().equal(state)


def test_a_transform_is_tried_on_each_part(images: Images) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    evaluation = Evaluator({"recall@1": partial(recall_at_k, k=1)}, transform=Truncate(9))
    parts = {"first": slice(0, 9), "second": slice(9, 17)}
    check_transform(fabric, Pixels(), {"test": images}, evaluation)
    with pytest.raises(UserError, match="the embeddings have 8"):
        check_transform(fabric, Pixels(), {"test": images}, evaluation, parts)
