"""Measuring the splits of a dataset with the backbone as it is now."""

from collections.abc import Mapping

from lightning_fabric import Fabric
from torch import nn

from datasets.images import Images
from engine.loader import evaluation_loader
from evaluation.embed import embed
from evaluation.evaluate import Evaluation, Results


def measure(
    fabric: Fabric,
    model: nn.Module,
    splits: Mapping[str, Images],
    evaluation: Evaluation,
    batch_size: int,
    num_workers: int,
) -> Results:
    """Embed and evaluate every split; results are named `<split>/<metric>`."""
    results: Results = {}
    for split, images in splits.items():
        loader = evaluation_loader(images, batch_size, num_workers, fabric.device.type == "cuda")
        embeddings, labels = embed(model, loader, fabric.device)
        measured = evaluation(embeddings, labels, *images.roles, images.categories)
        results |= {f"{split}/{name}": value for name, value in measured.items()}
    return results
