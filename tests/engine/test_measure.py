"""What measuring a split hands to its evaluation."""

from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from datasets.images import Images
from datasets.sop import sop
from datasets.transforms import base
from engine.measure import measure
from evaluation.averages import Averages
from evaluation.evaluator import Evaluator
from evaluation.metrics.recall import recall_at_k


class Pixels(nn.Module):
    """Embeds an image as a few of its pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.float().flatten(1)[:, ::97]


def test_numbers_are_named_by_split_and_super_classes_arrive(sop_tree: Path) -> None:
    table = sop(str(sop_tree))
    test = Images(table[table["split"] == "test"], base(32, 24).eval)
    metrics = {"recall@1": partial(recall_at_k, k=1)}
    evaluation = Evaluator(metrics, averages=Averages(by_category=True))
    model = Fabric(accelerator="cpu", devices=1).setup_module(Pixels())
    fabric = Fabric(accelerator="cpu", devices=1)
    results = measure(fabric, model, {"test": test}, evaluation, batch_size=4, num_workers=0)
    assert set(results) == {
        *("test/recall@1", "test/recall@1/bicycle", "test/recall@1/coffee_maker"),
        *("test/num_queries", "test/num_queries_excluded"),
    }
    both = results["test/recall@1/bicycle"], results["test/recall@1/coffee_maker"]
    assert torch.tensor(both).mean() == results["test/recall@1"]  # as many queries in each
