"""Embedded images: embeddings with the class, path and role of each image."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from jaxtyping import Bool
from torch import Tensor

from core.errors import UserError, in_one_line
from core.types import Embeddings, Labels
from datasets.images import Images
from datasets.table import class_numbers, in_order
from evaluation.categories import category_names
from evaluation.embedded_set import check_embeddings, flagged_indices
from evaluation.evaluator import Evaluator
from evaluation.samples import Samples
from evaluation.search.pairs import Pairs

COLUMNS = "it needs the columns path, label and embedding, a list of D numbers in each row"


class EmbeddingsError(UserError):
    """Embeddings error: a file of embeddings is missing, damaged or lacks a column."""


class EmbeddedImages(NamedTuple):
    """Embedded images: N embeddings and labels, with the names of classes and the image files.

    Roles are None where each image is both query and gallery. Images of a file may have no labels;
    they are all of one class then.
    """

    embeddings: Embeddings
    labels: Labels
    class_names: list[str]
    paths: list[str]
    is_query: Bool[Tensor, " N"] | None = None
    is_gallery: Bool[Tensor, " N"] | None = None

    @property
    def pairs(self) -> Pairs:
        """All pairs of a query and a gallery image, by the cosine of their embeddings."""
        queries = flagged_indices(self.is_query, self.labels)
        gallery = flagged_indices(self.is_gallery, self.labels)
        return Pairs(self.embeddings, self.labels, queries, gallery)

    def of_classes(self, classes: Labels) -> "EmbeddedImages":
        """The images of some classes."""
        kept = torch.isin(self.labels, classes.to(self.labels.device))
        paths = [path for path, keep in zip(self.paths, kept.tolist(), strict=True) if keep]
        roles = (None if role is None else role[kept.cpu()] for role in self[4:])
        return EmbeddedImages(
            self.embeddings[kept], self.labels[kept], self.class_names, paths, *roles
        )

    def halves(self, seed: int) -> tuple["EmbeddedImages", "EmbeddedImages"]:
        """The images of a random half of the classes, and those of the other half."""
        classes = torch.unique(self.labels).cpu()
        order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
        half = len(classes) // 2
        return self.of_classes(classes[order[:half]]), self.of_classes(classes[order[half:]])


def evaluated_images(
    images: Images, embeddings: Embeddings, evaluation: Evaluator
) -> EmbeddedImages:
    """The images of a split, with embeddings and labels as the run evaluates them."""
    labels = torch.from_numpy(images.labels).to(embeddings.device)
    samples = evaluation.prepare(Samples(embeddings, labels, *images.roles, images.categories))
    of_labels = evaluation.level == "label"
    names = images.class_names if of_labels else category_names(images.categories)
    return EmbeddedImages(samples.embeddings, samples.labels, names, images.paths, *images.roles)


def read_embedded_images(file: Path) -> EmbeddedImages:
    """The images of a Parquet file with columns path, label (which may be missing) and embedding.

    Raises:
        EmbeddingsError: the file is missing or damaged, or lacks a column.
    """
    if not file.is_file():
        raise EmbeddingsError(f"{file} does not exist; {COLUMNS}")
    try:
        table = pq.read_table(file)
        missing = {"path", "embedding"} - set(table.column_names)
        if missing:
            raise EmbeddingsError(f"{file} has no column {min(missing)}; {COLUMNS}")
        embeddings = rows_of(file, table["embedding"])
        labels = text_of(table["label"]) if "label" in table.column_names else [""] * len(table)
        paths = text_of(table["path"])
    except (OSError, pa.ArrowException) as error:
        raise EmbeddingsError(f"{file} cannot be read: {in_one_line(error)}; {COLUMNS}") from error
    numbers = torch.from_numpy(class_numbers(labels))
    try:
        check_embeddings(embeddings, numbers)
    except ValueError as error:
        raise EmbeddingsError(f"{file}: {error}") from error
    return EmbeddedImages(embeddings, numbers, in_order(labels), paths)


def rows_of(file: Path, column: pa.ChunkedArray) -> Embeddings:
    """The lists of a column as rows (N, D)."""
    lengths = set(pc.call_function("list_value_length", [column]).to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise EmbeddingsError(f"{file}: embeddings must have one length, got {sorted(lengths)}")
    values = pc.call_function("list_flatten", [column]).to_numpy()
    return torch.from_numpy(np.array(values, np.float32).reshape(-1, lengths.pop()))


def text_of(column: pa.ChunkedArray) -> list[str]:
    """The values of a column as text; a missing one is empty."""
    values: list[str] = pc.fill_null(column.cast(pa.string()), "").to_pylist()
    return values
