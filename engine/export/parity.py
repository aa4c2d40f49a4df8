"""Parity: compares the embeddings of an exported file with those of the run."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.types import Embeddings
from datasets.images import Images
from engine.data.loader import evaluation_loader, worker_count
from engine.export.preprocessing import image_shape
from engine.load import TrainedEmbedder
from engine.progress import progress_bar
from evaluation.embed import embed
from evaluation.evaluator import Evaluator
from evaluation.results import Results
from tracking.metrics_log import finite

TOLERANCE = 1e-4  # of a component; float32 resolves 6e-8, and a network sums in another order
NUM_RANDOM = 37  # random images: a batch and an incomplete one
RANDOM_BATCH = 16


class Parity(NamedTuple):
    """Comparison of an exported file with the run on the same images.

    Args:
        images: the name of the images, `test` or `random`.
        num_images: the number of images.
        largest_difference: see `largest_difference`.
        run: the metrics of the run on these images; empty for random images.
        exported: those of the exported file.
    """

    images: str
    num_images: int
    largest_difference: float
    run: Results
    exported: Results

    @property
    def sentence(self) -> str:
        """The largest difference and the images on which it was found."""
        return f"{self.largest_difference:.1e} on {self.num_images:,} {self.images} images"

    def record(self) -> dict[str, Any]:
        """The comparison as plain JSON."""
        return {
            "images": self.images,
            "num_images": self.num_images,
            "largest_difference": finite(self.largest_difference),
            "metrics": {"run": finite(self.run), "file": finite(self.exported)},
        }


def largest_difference(run: Embeddings, exported: Embeddings) -> float:
    """The largest absolute difference of a component, with embeddings of length one.

        max |a - b| / max(1, max |a|₂)

    Embeddings that are longer than one are compared in units of the longest one of the run. The
    difference is infinite if the shapes differ or a component is not finite.
    """
    if run.shape != exported.shape or not exported.isfinite().all():
        return math.inf
    longest = max(1.0, float(run.norm(dim=1).max()))
    return float((run - exported).abs().max()) / longest


def compare_on_random(embedder: TrainedEmbedder, exported: nn.Module) -> Parity:
    """Compare an exported file with the run on random images."""
    batches = random_batches(image_shape(embedder.transform))
    cpu = torch.device("cpu")
    ours, theirs = (embed(model, batches, cpu) for model in (embedder.model, exported))
    difference = largest_difference(ours.embeddings, theirs.embeddings)
    return Parity("random", NUM_RANDOM, difference, {}, {})


def compare_on_split(
    embedder: TrainedEmbedder, split: str, images: Images, measure: Evaluator, exported: nn.Module
) -> Parity:
    """Compare an exported file with the run on the images of a split, and evaluate both.

    Args:
        embedder: the run, on the CPU.
        split: the name of the split.
        images: its images.
        measure: the metrics of the run.
        exported: the network of the file.
    """
    config = embedder.config
    loader = evaluation_loader(
        images,
        int(config.evaluation.batch_size),
        worker_count(config.trainer.workers),
        torch.device("cpu"),
    )
    ours = embedder.embed_images(images)
    shown = progress_bar(loader, len(loader), "embedding with the exported file")
    theirs = embed(exported, shown, torch.device("cpu"))
    difference = largest_difference(ours.embeddings, theirs.embeddings)
    run, other = (
        measure(*embedded, *images.roles, images.categories) for embedded in (ours, theirs)
    )
    return Parity(split, len(images), difference, run, other)


def random_batches(shape: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    """Batches of random images, uint8 (N, 3, H, W) with uniform pixels, always the same ones.

    Args:
        shape: (3, H, W).
    """
    generator = torch.Generator().manual_seed(0)
    size = (NUM_RANDOM, *shape)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    return [(batch, torch.zeros(len(batch))) for batch in torch.split(images, RANDOM_BATCH)]
