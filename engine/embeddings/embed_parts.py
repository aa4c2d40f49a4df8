"""Embedding of the parts of a file: streams images through a trained embedder, over processes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig

from core.errors import in_one_line
from datasets.image_list import ImageList
from datasets.reader import read_image
from datasets.table import DatasetError
from engine.config.errors import ConfigurationError
from engine.data.loader import worker_count
from engine.embeddings.embedding_file import EmbeddingFile
from engine.load import TrainedEmbedder

OnPart = Callable[[int, int], object]  # images embedded so far, all images to embed


@dataclass(frozen=True)
class Shard:
    """The share of a process: every part whose number is `index` modulo `count`."""

    index: int = 0
    count: int = 1


def shard_of(text: str | None) -> Shard:
    """The shard `i/n` with 0 <= i < n; None is that which torchrun set in the environment, or all.

    Raises:
        ConfigurationError: the text is no shard.
    """
    if text is None:
        return Shard(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    index, slash, count = text.partition("/")
    if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return Shard(int(index), int(count))
    raise ConfigurationError(f"shard={text}: must be i/n with 0 <= i < n, such as 0/4 and 3/4")


def use_local_device(trainer: DictConfig) -> None:
    """Choose the GPU and the loader workers of one of several processes that torchrun started."""
    if "LOCAL_RANK" not in os.environ:
        return
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    trainer.workers = worker_count(trainer.workers, processes)
    if trainer.accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        trainer.accelerator, trainer.devices = "cuda", f"{os.environ['LOCAL_RANK']},"


def embed_parts(
    embedder: TrainedEmbedder,
    file: EmbeddingFile,
    shard: Shard,
    skip_unreadable: bool,
    on_part: OnPart,
) -> None:
    """Embed the images of all parts of the file that are missing and belong to this process.

    The size of a part is a multiple of the batch size, so that the batches do not depend on the
    parts that are missing.
    """
    own = [part for part in file.missing() if part.number % shard.count == shard.index]
    if not own:
        return
    file.start()
    paths = [file.table["path"].iloc[part.rows].tolist() for part in own]
    images = ImageList(list(chain(*paths)), embedder.transform, skip_unreadable)
    batches, done = embedder.embed_batches(images), 0
    for part, names in zip(own, paths, strict=True):
        embedded = list(islice(batches, -(-len(names) // embedder.batch_size)))
        embeddings = torch.cat([batch.embeddings for batch in embedded]).float().cpu().numpy()
        labels = torch.cat([batch.labels for batch in embedded]).cpu().numpy()
        file.write_part(part, embeddings, unreadable(names, labels))
        done += len(names)
        on_part(done, len(images))
    next(batches, None)  # ends the progress bar


def unreadable(paths: list[str], labels: NDArray[np.int64]) -> dict[int, str]:
    """Position and reason of each image that has the label of unreadable ones, see `ImageList`."""
    return {int(index): reason(paths[index]) for index in np.flatnonzero(labels < 0)}


def reason(path: str) -> str:
    """Why an image cannot be read, in one line."""
    try:
        read_image(path)
    except DatasetError as error:
        return in_one_line(error)
    return "it could not be read before"
