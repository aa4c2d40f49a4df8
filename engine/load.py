"""Trained embedder: a run loaded as a Python object, which embeds images as its evaluation does."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn

from core.types import Embeddings
from datasets.image_list import ImageInput, ImageList
from datasets.images import Images
from datasets.table import DatasetError
from datasets.transforms import Transform
from engine.build import build_fabric, check_size
from engine.config.check import check
from engine.config.error_line import explain
from engine.config.errors import ConfigurationError
from engine.data.loader import evaluation_loader, worker_count
from engine.data.prefetch import Batch
from engine.progress import progress_bar
from engine.trained_run import (
    NEEDED_GROUPS,
    TrainedRun,
    evaluation_config,
    find_run,
    load_config,
    load_model,
    load_weights,
)
from evaluation.embed import Embedded, embed


def load(
    run: str | os.PathLike[str],
    device: str = "auto",
    batch_size: int | None = None,
    workers: int | str = "auto",
    trust: Sequence[str] = (),
) -> "TrainedEmbedder":
    """Load the embedder of a run, with the weights of its last evaluation or of a checkpoint.

        from engine.load import load

        embedder = load("runs/cub200/margin-distance-resnet50_1a2b3c4d/seed0")
        embeddings = embedder.embed(["query.jpg", "gallery.png"])  # (2, D), float32, on the host
        similarities = embeddings @ embeddings.T  # cosine, as the embeddings have length one

    Paths are relative to the working directory, which may be any folder.

    Args:
        run: a run folder, `runs/<dataset>/<group>/seed<k>`, or a checkpoint in it.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; `auto` takes a GPU where there is one.
        batch_size: images per forward pass; None is `evaluation.batch_size` of the run.
        workers: processes that read images; `auto` is one per core, at most eight. With more than
            0 a script on macOS or Windows calls `embed` below `if __name__ == "__main__":`.
        trust: packages of your own whose objects the configuration of the run may build.

    Raises:
        NoRunError: there is no run, or it has no checkpoint.
        ConfigurationError: an argument is wrong, or the run needs a package that is not trusted.
        CheckpointError: the checkpoint is damaged or of another network.
    """
    trained = find_run(Path(run))
    config = evaluation_config(load_config(trained.folder, trust, NEEDED_GROUPS), [])
    accelerator, _, index = device.partition(":")
    if index and not (accelerator == "cuda" and index.isdecimal()):
        raise ConfigurationError(f"device={device}: choose auto, cpu, cuda, cuda:<number> or mps")
    config.trainer.accelerator, config.trainer.workers = accelerator, workers
    if batch_size is not None:
        config.evaluation.batch_size = batch_size
    check(config, [])
    if index:
        config.trainer.devices = f"{index},"  # as Fabric writes a list of one device
    model = load_model(config, load_weights(trained.checkpoint)).embedder
    return TrainedEmbedder(trained, config, model)


class TrainedEmbedder:
    """Trained embedder: computes embeddings of images as the evaluation of its run does.

    `load` makes one. Transform, order, batches and precision are those of the evaluation: the same
    images in the same order have the same embeddings to the last bit, on the same machine with the
    same number of threads.

    Args:
        run: the run folder and the checkpoint.
        config: the configuration of the run on this machine, see `evaluation_config`.
        model: the network with its trained weights.

    Attributes:
        config: the configuration of the run on this machine.
        transform: PIL image -> uint8 tensor (3, H, W), the transform of the evaluation.
        embedding_dim: the size D of an embedding.
        normalized: whether embeddings have length one. Those of `backbone.normalize=false` have
            not: an evaluation by cosine similarity normalises them, `embed` does not.
        device: the device that computes.
    """

    def __init__(self, run: TrainedRun, config: DictConfig, model: nn.Module) -> None:
        self.run, self.config = run, config
        self.transform: Transform = instantiate(config.transform).eval
        example = self.transform(Image.new("RGB", (64, 64)))
        embeddings = check_size(model, example)
        assert isinstance(embeddings, Tensor)
        self.embedding_dim = embeddings.shape[1]
        self.normalized = abs(float(embeddings.norm()) - 1) < 1e-3
        self.fabric = build_fabric(config.trainer)
        self.device: torch.device = self.fabric.device
        model.to(memory_format=torch.channels_last)  # as it was trained
        self.model = self.fabric.setup_module(model)

    @property
    def batch_size(self) -> int:
        """Images per forward pass."""
        return int(self.config.evaluation.batch_size)

    def embed(self, images: Sequence[ImageInput]) -> Embeddings:
        """Embeddings of images in their order, float32 (N, D) on the host.

        A terminal shows a progress bar if there are several batches. Several processes read files;
        PIL images and arrays are transformed in this process.

        Args:
            images: paths of image files, PIL images, arrays uint8 (H, W, 3), or a mixture.

        Raises:
            DatasetError: an image is missing or cannot be read; names it. All files are looked for
                before the first is read.
        """
        if isinstance(images, str | os.PathLike | Image.Image):
            raise DatasetError("embed takes a list of images: embed([image])")
        listed = ImageList(images, self.transform)
        if not len(listed):
            return torch.empty(0, self.embedding_dim)
        try:
            return self.embed_images(listed).embeddings.float().cpu()
        except DatasetError as error:  # of a loader worker, with its traceback
            raise DatasetError(explain(error)) from None

    def embed_images(self, images: Images) -> Embedded:
        """Embeddings and labels of the images of a split, on the device, as in an evaluation."""
        return embed(self.model, self._loader(images), self.device)

    def embed_batches(self, images: Images) -> Iterator[Embedded]:
        """Embeddings and labels of each batch of `embed_images`, as soon as it is embedded."""
        for batch in self._loader(images):
            yield embed(self.model, [batch], self.device)

    def _loader(self, images: Images) -> Iterable[Batch]:
        if len(images) <= self.batch_size:  # starting processes would take longer than they save
            return evaluation_loader(images, self.batch_size, 0, self.device)
        workers = worker_count(self.config.trainer.workers)
        loader = evaluation_loader(images, self.batch_size, workers, self.device)
        return progress_bar(loader, len(loader), "embedding")
