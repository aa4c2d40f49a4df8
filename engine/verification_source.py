"""Verification source: where the embeddings of a verification come from, a run or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from core.types import Embeddings
from datasets.folders import IMAGE_SUFFIXES
from datasets.images import Images
from datasets.table import DatasetError
from engine.build import load_table, splits_of
from engine.config.dataset import dataset_name
from engine.config.errors import ConfigurationError
from engine.embedded_images import (
    EmbeddedImages,
    EmbeddingsError,
    evaluated_images,
    read_embedded_images,
)
from engine.load import TrainedEmbedder
from engine.trained_run import TrainedRun, load_model, load_weights

NO_VALIDATION = (
    "there are no validation classes; train with validation=classes to set some aside, or let "
    "choose_on=half take a random half of the classes"
)


class VerificationSource(Protocol):
    """Verification source: gives the images to verify, and embeddings of other images.

    Attributes:
        name: what is verified, in words.
        folder: where the results go unless the user names a folder.
    """

    name: str
    folder: Path

    def tested(self) -> EmbeddedImages: ...

    def validation(self) -> EmbeddedImages | None:
        """The images of validation classes, unseen in training; None if there are none."""
        ...

    def embed(self, paths: Sequence[str]) -> Embeddings:
        """Embeddings of image files, on the host."""
        ...

    def resolve(self, folder: Path, path: str) -> str:
        """The path of an image that a file in `folder` names."""
        ...


class RunSource:
    """A run: the images of a split of its dataset, embedded as its evaluation does.

    Args:
        run: the run folder and the checkpoint.
        config: the configuration of the run on this machine.
        split: `test` or `val`.
    """

    def __init__(self, run: TrainedRun, config: DictConfig, split: str) -> None:
        self.config, self.split = config, split
        self.name = f"{split} images of {dataset_name(config.dataset, 'the dataset')}"
        self.folder = run.folder / "threshold" / f"{split}_{run.checkpoint.stem}"
        model = load_model(config, load_weights(run.checkpoint)).embedder
        self.embedder = TrainedEmbedder(run, config, model)
        self.evaluation = instantiate(config.evaluation.measure)
        self.table = load_table(config)

    def tested(self) -> EmbeddedImages:
        """The images of the split.

        Raises:
            DatasetError: the dataset has no such split.
        """
        images = self._images(self.split)
        if images is None:
            there = ", ".join(sorted(self.table["split"].unique()))
            raise DatasetError(f"the dataset has no split {self.split}; it has {there}")
        return self._embedded(images)

    def validation(self) -> EmbeddedImages | None:
        """The images of the split `val`, if their classes are neither trained on nor tested."""
        images = self._images("val")
        if self.split == "val" or images is None:
            return None
        others = self.table[self.table["split"] != "val"]["label"]
        return None if others.isin(images.class_names).any() else self._embedded(images)

    def embed(self, paths: Sequence[str]) -> Embeddings:
        """Embeddings of image files by the network of the run.

        Raises:
            ConfigurationError: the run evaluates transformed embeddings.
        """
        if self.evaluation.transform is not None:
            raise ConfigurationError(
                "the run evaluates transformed embeddings, and the transform is fitted on a split, "
                "not on single images; evaluation.measure.transform=null leaves them unchanged"
            )
        return self.embedder.embed(list(paths))

    def resolve(self, folder: Path, path: str) -> str:
        """A relative path is relative to the folder of the file."""
        return str(folder.absolute() / Path(path).expanduser())

    def _images(self, split: str) -> Images | None:
        return splits_of(self.table, [split], self.embedder.transform).get(split)

    def _embedded(self, images: Images) -> EmbeddedImages:
        embeddings = self.embedder.embed_images(images).embeddings
        return evaluated_images(images, embeddings, self.evaluation)


class FileSource:
    """A Parquet file of embeddings with columns path, label and embedding."""

    def __init__(self, file: Path) -> None:
        self.name = f"images of {file.name}"
        self.folder = file.with_name(f"{file.stem}_threshold")
        self.file, self.images = file, read_embedded_images(file)

    def tested(self) -> EmbeddedImages:
        return self.images

    def validation(self) -> None:
        """A file does not say which classes were trained on."""

    def embed(self, paths: Sequence[str]) -> Embeddings:
        """Embeddings of images of the file, by their path as the file names them.

        Raises:
            EmbeddingsError: the file does not have an image.
        """
        position = {path: index for index, path in enumerate(self.images.paths)}
        missing = [path for path in paths if path not in position]
        if missing:
            raise EmbeddingsError(
                f"{self.file} lacks {len(missing)} of the images, the first is {missing[0]}"
            )
        return self.images.embeddings[torch.tensor([position[path] for path in paths])]

    def resolve(self, folder: Path, path: str) -> str:  # noqa: ARG002
        """Images are named as in the file of embeddings."""
        return path


def near_duplicate_candidates(source: VerificationSource, place: Path) -> EmbeddedImages:
    """The images of a folder with all folders below it, or of a Parquet file of embeddings."""
    if place.suffix == ".parquet":
        return read_embedded_images(place)
    if isinstance(source, FileSource):
        raise ConfigurationError(
            f"duplicates={place}: a file of embeddings cannot embed images; name a Parquet file of "
            "their embeddings, or run= in place of embeddings="
        )
    if not place.is_dir():
        raise DatasetError(f"{place} is no folder; duplicates= names a folder of images")
    files = (file for file in place.absolute().rglob("*") if not file.name.startswith("."))
    paths = sorted(str(file) for file in files if file.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise DatasetError(f"{place} has no images ({', '.join(IMAGE_SUFFIXES)}) in it or below")
    embeddings = source.embed(paths)
    return EmbeddedImages(embeddings, torch.zeros(len(paths), dtype=torch.int64), [""], paths)
