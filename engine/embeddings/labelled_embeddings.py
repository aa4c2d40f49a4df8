"""Labelled embeddings: embeddings with the class, path, role and split of each image."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from core.types import Embeddings, Labels
from datasets.images import Images
from datasets.table import class_numbers, in_order
from engine.embeddings.column_file import EmbeddingsError, read_columns
from engine.embeddings.column_sources import by_name, embeddings_in
from engine.embeddings.column_values import check_rows, to_embeddings, to_role, to_text
from evaluation.categories import category_names
from evaluation.embedded_set import flagged_indices
from evaluation.evaluator import Evaluator
from evaluation.samples import Samples
from evaluation.search.pairs import Pairs

COLUMNS = "it needs the columns path, label and embedding, a list of D numbers in each row"
ROLES = ("is_query", "is_gallery")


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
    """The images of a Parquet or .npz file, such as `python -m scripts.embed` writes.

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
    try:
        columns = read_columns(file)
        embeddings = to_embeddings(embeddings_in(file, None, columns)).float()
        keys = ("path", "labels", "split", *ROLES)
        found = {k: column for k in keys if (column := by_name(k, None, {file: columns}))}
        if "path" not in found:
            raise EmbeddingsError(f"{file} has no column path")
    except EmbeddingsError as error:
        raise EmbeddingsError(f"{error}; {COLUMNS}") from error
    num = len(embeddings)
    for key, column in found.items():
        check_rows(key, column, num)
    queries, gallery = (torch.tensor(to_role(key, found.get(key), num)) for key in ROLES)
    paths, labels, splits = (
        to_text(found[key]).tolist() if key in found else [""] * num
        for key in ("path", "labels", "split")
    )
    numbers = torch.from_numpy(class_numbers(labels))
    names = in_order(labels)
    return LabelledEmbeddings(embeddings, numbers, names, paths, queries, gallery, splits)
