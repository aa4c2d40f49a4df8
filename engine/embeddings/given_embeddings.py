"""Given embeddings: reads embeddings of any origin with their labels, roles and image files."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from datasets.csv import flags
from datasets.folders import check_files
from datasets.image_path import is_inline
from datasets.images import Images
from datasets.table import DatasetError, Table, make_table
from datasets.transforms import Transform
from engine.embeddings.column_file import ColumnError
from engine.embeddings.column_sources import ColumnSources, FoundColumn, find_columns
from engine.embeddings.embedded_images import EmbeddedImages
from evaluation.embed import Embedded

log = logging.getLogger(__name__)


def given_embeddings(sources: ColumnSources) -> EmbeddedImages:
    """Read embeddings with their labels, roles, categories, ignore groups and image files.

    Float16 and integers become float32; float64 stays. Labels are text or numbers.

    Raises:
        ColumnError: a column is missing or has another number of rows, a value is missing or not
            finite; the message names the file and the row.
        DatasetError: a value of is_query or is_gallery is not true or false.
    """
    found = find_columns(sources)
    embeddings = to_embeddings(found["embeddings"])
    for key, column in found.items():
        check_rows(key, column, len(embeddings))
    table = to_table(found, len(embeddings))
    images = Images(table, Transform())
    embedded = Embedded(embeddings, torch.from_numpy(images.labels))
    groups = to_groups(found["ignore_group"]) if "ignore_group" in found else None
    return EmbeddedImages(images, embedded, groups, has_files(table, found.get("path")))


def to_embeddings(column: FoundColumn) -> Float[Tensor, "N D"]:
    """The embeddings of a column.

    Raises:
        ColumnError: they are no numbers, not of shape (N, D) with N > 1, or not finite.
    """
    values = column.values
    if values.dtype.kind not in "fiu" or values.ndim != 2 or 0 in values.shape:
        raise ColumnError(
            f"embeddings={column.file}: numbers of shape (N, D) expected, got {values.dtype} of "
            f"shape {values.shape}"
        )
    if len(values) == 1:
        raise ColumnError(
            f"embeddings={column.file}: one embedding has no neighbours; an evaluation needs at "
            "least two"
        )
    precision = np.promote_types(values.dtype, np.float32)
    array = values.astype(precision if precision.itemsize <= 8 else np.float64)
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise ColumnError(
            f"embeddings={column.file}: {len(wrong)} of {len(array)} embeddings are not finite, "
            f"the first in row {wrong[0]} (from 0)"
        )
    return torch.from_numpy(array)


def check_rows(key: str, column: FoundColumn, num: int) -> None:
    """Raise a `ColumnError` unless a column has one value, or one embedding, for each embedding."""
    shape = column.values.shape
    if shape[:1] != (num,) or len(shape) != (2 if key == "embeddings" else 1):
        raise ColumnError(
            f"{key}: one value for each of the {num} embeddings expected, and {column} has the "
            f"shape {shape}"
        )


def to_table(found: Mapping[str, FoundColumn], num: int) -> Table:
    """The table of the images, as a dataset has it.

    Raises:
        ColumnError: labels are missing, or no row is a query or in the gallery.
    """
    if "labels" not in found:
        raise ColumnError(
            f"labels: {found['embeddings'].file} has no column label; labels=<file or column> "
            f"names the {num} labels"
        )
    labels = to_text(found["labels"])
    missing = np.flatnonzero(labels == "")
    if len(missing):
        raise ColumnError(f"labels: {found['labels']} has no value in row {missing[0]} (from 0)")
    roles = {key: to_role(key, found.get(key), num) for key in ("is_query", "is_gallery")}
    category = to_text(found["category"]) if "category" in found else ""
    paths = to_paths(found["path"]) if "path" in found else ""
    return make_table(paths, labels, "test", category=category, **roles)


def to_text(column: FoundColumn) -> np.ndarray:
    """The values as text, an empty one where a value is missing; 3.0 is 3."""
    values = column.values
    if values.dtype.kind == "S":
        values = np.char.decode(values)
    missing = pd.isna(values)
    if values.dtype.kind == "f":
        missing |= np.isinf(values)
        numbers = np.where(missing, 0, values)
        values = numbers.astype(np.int64) if (numbers == np.rint(numbers)).all() else values
    return pd.Series(values, dtype=object).map(str).mask(missing, "").to_numpy(object)


def to_role(key: str, column: FoundColumn | None, num: int) -> np.ndarray:
    """Whether each row has a role; all have it without a column.

    Raises:
        ColumnError: no row has it.
    """
    if column is None:
        return np.ones(num, bool)
    has_role = flags(column.file, pd.DataFrame({key: to_text(column)}), key).to_numpy()
    if not has_role.any():
        raise ColumnError(f"{key}: {column} is false in every row")
    return has_role


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
