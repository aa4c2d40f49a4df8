"""Evaluation of the splits of a dataset with the current backbone."""

from collections.abc import Mapping
from types import MappingProxyType

from lightning_fabric import Fabric
from torch import nn

from datasets.images import Images
from engine.embed_split import embed_split
from evaluation.evaluator import Evaluator, Results

WHOLE: Mapping[str, slice] = MappingProxyType({})  # no parts of an embedding besides the whole


def measure(
    fabric: Fabric,
    model: nn.Module,
    splits: Mapping[str, Images],
    evaluation: Evaluator,
    batch_size: int,
    num_workers: int,
    parts: Mapping[str, slice] = WHOLE,
) -> Results:
    """Embed every split in all processes and evaluate it in the first; all get the results.

    Results are named `<split>/<metric>`, and `<split>/<part>/<metric>` for a part of an embedding.

    Args:
        parts: dimensions of an embedding that are also evaluated on their own.
    """
    results: Results = {}
    for split, images in splits.items():
        embedded = embed_split(fabric, model, images, batch_size, num_workers)
        if fabric.is_global_zero:
            for part, dimensions in {"": slice(None), **parts}.items():
                embeddings = embedded.embeddings[:, dimensions]
                measured = evaluation(embeddings, embedded.labels, *images.roles, images.categories)
                prefix = f"{split}/{part}/" if part else f"{split}/"
                results |= {f"{prefix}{name}": value for name, value in measured.items()}
    return fabric.broadcast(results)
