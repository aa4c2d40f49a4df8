"""Evaluation of the splits of a dataset with the current backbone."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from lightning_fabric import Fabric
from torch import nn

from datasets.images import Images
from engine.embed_split import Watch, embed_split, unwatched
from evaluation.embed import Embedded, embed
from evaluation.evaluator import Evaluator
from evaluation.results import Results
from evaluation.samples import Samples

WHOLE: Mapping[str, slice] = MappingProxyType({})  # no parts of an embedding besides the whole


def check_transform(
    fabric: Fabric,
    model: nn.Module,
    splits: Mapping[str, Images],
    evaluation: Evaluator,
    parts: Mapping[str, slice] = WHOLE,
) -> None:
    """Apply the transform of the evaluation to as many random embeddings as each split has.

    A transform that cannot be applied would otherwise end the run at its first evaluation.

    Raises:
        TransformError: the transform cannot be fitted on the split.
        ComponentError: it returns no embeddings.
    """
    if evaluation.transform is None:
        return
    for images in splits.values():
        labels = torch.as_tensor(images.labels)
        (embedding,) = embed(model, [(images[0][0][None], labels[:1])], fabric.device).embeddings
        generator = torch.Generator().manual_seed(0)
        embeddings = torch.randn(len(images), len(embedding), generator=generator)
        for dimensions in {"": slice(None), **parts}.values():
            placed = embeddings[:, dimensions].to(fabric.device)
            evaluation.prepare(Samples(placed, labels, *images.roles, images.categories))


def measure(
    fabric: Fabric,
    model: nn.Module,
    splits: Mapping[str, Images],
    evaluation: Evaluator,
    batch_size: int,
    num_workers: int,
    parts: Mapping[str, slice] = WHOLE,
    on_embedded: Callable[[str, Images, Embedded], object] = lambda *_: None,
    watch: Watch = unwatched,
) -> Results:
    """Embed every split in all processes and evaluate it in the first; all get the results.

    Results are named `<split>/<metric>`, and `<split>/<part>/<metric>` for a part of an embedding.

    Args:
        parts: dimensions of an embedding that are also evaluated on their own.
        on_embedded: called in every process with each split as soon as it is embedded.
        watch: shows the progress of the batches.
    """
    results: Results = {}
    for split, images in splits.items():
        embedded = embed_split(fabric, model, images, batch_size, num_workers, split, watch)
        on_embedded(split, images, embedded)
        if fabric.is_global_zero:
            measured = evaluation(*embedded, *images.roles, images.categories)
            measured |= measure_parts(evaluation, embedded, images, parts)
            results |= {f"{split}/{name}": value for name, value in measured.items()}
    return fabric.broadcast(results)


def measure_parts(
    evaluation: Evaluator, embedded: Embedded, images: Images, parts: Mapping[str, slice]
) -> Results:
    """Evaluate parts of embeddings on their own; results are named `<part>/<metric>`."""
    results: Results = {}
    for part, dimensions in parts.items():
        embeddings = embedded.embeddings[:, dimensions]
        measured = evaluation(embeddings, embedded.labels, *images.roles, images.categories)
        results |= {f"{part}/{name}": value for name, value in measured.items()}
    return results
