"""Given embeddings: reads embeddings of any origin with their labels, roles and image files."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from datasets.folders import check_files
from datasets.image_path import is_inline
from datasets.images import Images
from datasets.table import DatasetError, Table, make_table
from datasets.transforms import Transform
from engine.embeddings.column_file import EmbeddingsError
from engine.embeddings.column_sources import ColumnSources, FoundColumn, find_columns
from engine.embeddings.column_values import check_rows, to_embeddings, to_role, to_text
from engine.embeddings.embedded_images import EmbeddedImages
from evaluation.embed import Embedded

log = logging.getLogger(__name__)


def given_embeddings(sources: ColumnSources) -> EmbeddedImages:
    """Read embeddings with their labels, roles, categories, ignore groups and image files.

    Float16 and integers become float32; float64 stays. Labels are text or numbers.

    Raises:
        EmbeddingsError: a column is missing or has another number of rows, a value is missing or
            not finite; the message names the file and the row.
        DatasetError: a value of is_query or is_gallery is not true or false.
    """
    found = find_columns(sources)
    embeddings = to_embeddings(found["embeddings"])
    if len(embeddings) == 1:
        raise EmbeddingsError(
            f"embeddings={found['embeddings'].file}: one embedding has no neighbours; an "
            "evaluation needs at least two"
        )
    for key, column in found.items():
        check_rows(key, column, len(embeddings))
    table = to_table(found, len(embeddings))
    images = Images(table, Transform())
    embedded = Embedded(embeddings, torch.from_numpy(images.labels))
    groups = to_groups(found["ignore_group"]) if "ignore_group" in found else None
    return EmbeddedImages(images, embedded, groups, has_files(table, found.get("path")))


def to_table(found: Mapping[str, FoundColumn], num: int) -> Table:
    """The table of the images, as a dataset has it.

    Raises:
        EmbeddingsError: labels are missing, or no row is a query or in the gallery.
    """
    if "labels" not in found:
        raise EmbeddingsError(
            f"labels: {found['embeddings'].file} has no column label; labels=<file or column> "
            f"names the {num} labels"
        )
    labels = to_text(found["labels"])
    missing = np.flatnonzero(labels == "")
    if len(missing):
        raise EmbeddingsError(
            f"labels: {found['labels']} has no value in row {missing[0]} (from 0)"
        )
    roles = {key: to_role(key, found.get(key), num) for key in ("is_query", "is_gallery")}
    category = to_text(found["category"]) if "category" in found else ""
    paths = to_paths(found["path"]) if "path" in found else ""
    return make_table(paths, labels, "test", category=category, **roles)


def to_groups(column: FoundColumn) -> torch.Tensor:
    """A number for each group; a row without a value is a group of its own."""
    texts = to_text(column)
    numbers = pd.factorize(texts)[0].astype(np.int64)
    alone = texts == ""
    numbers[alone] = numbers.max() + 1 + np.arange(alone.sum())
    return torch.from_numpy(numbers)


def to_paths(column: FoundColumn) -> list[str]:
    """Paths of image files; they are relative to the folder of the file that names them."""
    folder = column.file.absolute().parent
    return [path if not path or is_inline(path) else str(folder / path) for path in to_text(column)]


def has_files(table: Table, column: FoundColumn | None) -> bool:
    """Whether all images of a table exist; logs a warning if some paths are wrong."""
    if column is None:
        return False
    try:
        if (table["path"] == "").any():
            raise DatasetError(f"{column} has rows without a value")
        check_files(table)
    except (DatasetError, OSError) as reason:
        log.warning("the picture of neighbours is left out: %s", reason)
        return False
    return True
