"""Verification source: gives the embeddings of a verification; here those of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from core.types import Embeddings
from datasets.images import Images
from datasets.table import DatasetError
from engine.build import load_table, splits_of
from engine.config.dataset import dataset_of
from engine.config.errors import ConfigurationError
from engine.data.image_files import images_of_folder
from engine.embeddings.labelled_embeddings import (
    LabelledEmbeddings,
    evaluated_images,
    read_labelled_embeddings,
)
from engine.embeddings.origin import check_same_origin, origin_of
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

    def tested(self) -> LabelledEmbeddings: ...

    def validation(self) -> LabelledEmbeddings | None:
        """The images of validation classes, unseen in training; None if there are none."""
        ...

    def embed(self, paths: Sequence[str]) -> Embeddings:
        """Embeddings of image files, on the host."""
        ...

    def resolve(self, folder: Path, path: str) -> str:
        """The path of an image that a file in `folder` names."""
        ...

    def images_at(self, place: Path) -> LabelledEmbeddings:
        """The images of a folder, or of a file of embeddings."""
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
        self.name = f"{split} images of {dataset_of(config)}"
        self.folder = run.folder / "threshold" / f"{split}_{run.checkpoint.stem}"
        model = load_model(config, load_weights(run.checkpoint)).embedder
        self.embedder = TrainedEmbedder(run, config, model)
        self.evaluation = instantiate(config.evaluation.measure)
        self.table = load_table(config)

    def tested(self) -> LabelledEmbeddings:
        """The images of the split.

        Raises:
            DatasetError: the dataset has no such split.
        """
        images = self._images(self.split)
        if images is None:
            there = ", ".join(sorted(self.table["split"].unique()))
            raise DatasetError(f"the dataset has no split {self.split}; it has {there}")
        return self._embedded(images)

    def validation(self) -> LabelledEmbeddings | None:
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

    def images_at(self, place: Path) -> LabelledEmbeddings:
        """The images of a folder with all folders below it, or of a file of embeddings."""
        if place.is_file():
            check_same_origin(origin_of(self.embedder.run), place)
            return read_labelled_embeddings(place)
        paths = images_of_folder(place.absolute())["path"].tolist()
        labels = torch.zeros(len(paths), dtype=torch.int64)
        return LabelledEmbeddings(self.embed(paths), labels, [""], paths)

    def _images(self, split: str) -> Images | None:
        return splits_of(self.table, [split], self.embedder.transform).get(split)

    def _embedded(self, images: Images) -> LabelledEmbeddings:
        embeddings = self.embedder.embed_images(images).embeddings
        return evaluated_images(images, embeddings, self.evaluation)
