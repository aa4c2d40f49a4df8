"""Evaluation of the splits of a dataset with the current backbone."""

from collections.abc import Mapping

from lightning_fabric import Fabric
from torch import nn

from datasets.images import Images
from engine.embed_split import embed_split
from evaluation.evaluator import Evaluator
from evaluation.results import Results


def measure(
    fabric: Fabric,
    model: nn.Module,
    splits: Mapping[str, Images],
    evaluation: Evaluator,
    batch_size: int,
    num_workers: int,
) -> Results:
    """Embed every split in all processes and evaluate it in the first; all get the results.

    Results are named `<split>/<metric>`.
    """
    results: Results = {}
    for split, images in splits.items():
        embedded = embed_split(fabric, model, images, batch_size, num_workers)
        if fabric.is_global_zero:
            measured = evaluation(*embedded, *images.roles, images.categories)
            results |= {f"{split}/{name}": value for name, value in measured.items()}
    return fabric.broadcast(results)
