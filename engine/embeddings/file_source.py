"""File source: gives the embeddings of a file to a verification."""

from collections.abc import Sequence
from pathlib import Path

import torch

from core.types import Embeddings
from engine.config.errors import ConfigurationError
from engine.embeddings.column_file import EmbeddingsError
from engine.embeddings.labelled_embeddings import LabelledEmbeddings, read_labelled_embeddings
from engine.embeddings.origin import check_same_origin, origin_of_file


class FileSource:
    """A file of embeddings: the rows of a split, or all where it has no column split.

    Args:
        file: see `engine.embeddings.labelled_embeddings.read_labelled_embeddings`.
        split: `test` or `val`.
    """

    def __init__(self, file: Path, split: str) -> None:
        self.file, self.split = file, split
        self.images = read_labelled_embeddings(file)
        has_splits = any(self.images.splits)
        self.name = f"{f'{split} ' if has_splits else ''}images of {file.name}"
        self.folder = file.with_name(f"{file.stem}_threshold")
        self.kept = self.images.in_split(split) if has_splits else self.images

    def tested(self) -> LabelledEmbeddings:
        """The images of the split.

        Raises:
            EmbeddingsError: there are none, or an image has no label.
        """
        if len(self.kept.labels) == 0:
            raise EmbeddingsError(f"{self.file} has no row of the split {self.split}")
        return self._labelled(self.kept)

    def validation(self) -> LabelledEmbeddings | None:
        """The images of the split `val`, if their classes are neither trained on nor tested."""
        images = self.images.in_split("val")
        others = self.images.labels[torch.tensor([split != "val" for split in self.images.splits])]
        if (
            self.split == "val"
            or len(images.labels) == 0
            or torch.isin(images.labels, others).any()
        ):
            return None
        return self._labelled(images)

    def _labelled(self, images: LabelledEmbeddings) -> LabelledEmbeddings:
        unlabelled = sum(images.class_names[label] == "" for label in images.labels.tolist())
        if unlabelled:
            raise EmbeddingsError(
                f"{self.file}: {unlabelled} images have no label; embeddings= needs the class of "
                "each image, only duplicates= does not"
            )
        return images

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

    def images_at(self, place: Path) -> LabelledEmbeddings:
        """The images of a file of embeddings.

        Raises:
            ConfigurationError: it is a folder of images, for which there is no network.
        """
        if place.is_file():
            check_same_origin(origin_of_file(self.file), place)
            return read_labelled_embeddings(place)
        raise ConfigurationError(
            f"duplicates={place}: a file of embeddings cannot embed images; name a Parquet file of "
            "their embeddings, or run= in place of embeddings="
        )
