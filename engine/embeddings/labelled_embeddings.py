"""Labelled embeddings: embeddings with the class, path, role and split of each image."""

from collections.abc import Sequence
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


class LabelledEmbeddings(NamedTuple):
    """Labelled embeddings: N embeddings and labels, with the names of classes and the image files.

    Roles are None where each image is both query and gallery. The class and the split of an image
    of a file are empty text where the file does not say them.
    """

    embeddings: Embeddings
    labels: Labels
    class_names: list[str]
    paths: list[str]
    is_query: Bool[Tensor, " N"] | None = None
    is_gallery: Bool[Tensor, " N"] | None = None
    splits: Sequence[str] = ()

    @property
    def pairs(self) -> Pairs:
        """All pairs of a query and a gallery image, by the cosine of their embeddings."""
        queries = flagged_indices(self.is_query, self.labels)
        gallery = flagged_indices(self.is_gallery, self.labels)
        return Pairs(self.embeddings, self.labels, queries, gallery)

    def of_classes(self, classes: Labels) -> "LabelledEmbeddings":
        """The images of some classes."""
        return self.subset(torch.isin(self.labels, classes.to(self.labels.device)))

    def in_split(self, split: str) -> "LabelledEmbeddings":
        """The images of a split."""
        return self.subset(torch.tensor([name == split for name in self.splits], dtype=torch.bool))

    def subset(self, kept: Bool[Tensor, " N"]) -> "LabelledEmbeddings":
        """The images that are marked."""
        rows = kept.nonzero().squeeze(1).tolist()
        on_host = kept.cpu()
        return LabelledEmbeddings(
            self.embeddings[kept],
            self.labels[kept],
            self.class_names,
            [self.paths[row] for row in rows],
            None if self.is_query is None else self.is_query[on_host],
            None if self.is_gallery is None else self.is_gallery[on_host],
            [self.splits[row] for row in rows] if self.splits else (),
        )

    def halves(self, seed: int) -> tuple["LabelledEmbeddings", "LabelledEmbeddings"]:
        """The images of a random half of the classes, and those of the other half."""
        classes = torch.unique(self.labels).cpu()
        order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
        half = len(classes) // 2
        return self.of_classes(classes[order[:half]]), self.of_classes(classes[order[half:]])


def evaluated_images(
    images: Images, embeddings: Embeddings, evaluation: Evaluator
) -> LabelledEmbeddings:
    """The images of a split, with embeddings and labels as the run evaluates them."""
    labels = torch.from_numpy(images.labels).to(embeddings.device)
    samples = evaluation.prepare(Samples(embeddings, labels, *images.roles, images.categories))
    of_labels = evaluation.level == "label"
    names = images.class_names if of_labels else category_names(images.categories)
    return LabelledEmbeddings(
        samples.embeddings, samples.labels, names, images.paths, *images.roles
    )


def read_labelled_embeddings(file: Path) -> LabelledEmbeddings:
    """The images of a Parquet file, such as `python -m scripts.embed` writes.

    | column                | content                                      |
    |-----------------------|----------------------------------------------|
    | path                  | text                                         |
    | embedding             | a list of D numbers in each row              |
    | label                 | text or a whole number; may be missing       |
    | split                 | train, val or test; may be missing           |
    | is_query, is_gallery  | bool; may be missing: each image is both     |

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
        paths, labels, splits = (text_of(table, name) for name in ("path", "label", "split"))
        is_query, is_gallery = (flags_of(table, name) for name in ("is_query", "is_gallery"))
    except (OSError, pa.ArrowException) as error:
        raise EmbeddingsError(f"{file} cannot be read: {in_one_line(error)}; {COLUMNS}") from error
    numbers = torch.from_numpy(class_numbers(labels))
    try:
        check_embeddings(embeddings, numbers)
    except ValueError as error:
        raise EmbeddingsError(f"{file}: {error}") from error
    names = in_order(labels)
    return LabelledEmbeddings(embeddings, numbers, names, paths, is_query, is_gallery, splits)


def rows_of(file: Path, column: pa.ChunkedArray) -> Embeddings:
    """The lists of a column as rows (N, D)."""
    lengths = set(pc.call_function("list_value_length", [column]).to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise EmbeddingsError(f"{file}: embeddings must have one length, got {sorted(lengths)}")
    values = pc.call_function("list_flatten", [column]).to_numpy()
    return torch.from_numpy(np.array(values, np.float32).reshape(-1, lengths.pop()))


def text_of(table: pa.Table, name: str) -> list[str]:
    """The values of a column as text; missing ones, or those of a missing column, are empty."""
    if name not in table.column_names:
        return [""] * len(table)
    values: list[str] = pc.fill_null(table[name].cast(pa.string()), "").to_pylist()
    return values


def flags_of(table: pa.Table, name: str) -> Bool[Tensor, " N"] | None:
    """The values of a column of bool; None if there is none."""
    if name not in table.column_names:
        return None
    return torch.tensor(pc.fill_null(table[name].cast(pa.bool_()), True).to_pylist())
