"""Column values: a column of a file as embeddings, text or flags."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from datasets.csv import flags
from engine.embeddings.column_file import EmbeddingsError
from engine.embeddings.column_sources import FoundColumn


def to_embeddings(column: FoundColumn) -> Float[Tensor, "N D"]:
    """The embeddings of a column.

    Raises:
        EmbeddingsError: they are no numbers, not of shape (N, D) with N, D > 0, or not finite.
    """
    values = column.values
    if values.dtype.kind not in "fiu" or values.ndim != 2 or 0 in values.shape:
        raise EmbeddingsError(
            f"embeddings={column.file}: numbers of shape (N, D) expected, got {values.dtype} of "
            f"shape {values.shape}"
        )
    precision = np.promote_types(values.dtype, np.float32)
    array = values.astype(precision if precision.itemsize <= 8 else np.float64)
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise EmbeddingsError(
            f"embeddings={column.file}: {len(wrong)} of {len(array)} embeddings are not finite, "
            f"the first in row {wrong[0]} (from 0)"
        )
    return torch.from_numpy(array)


def check_rows(key: str, column: FoundColumn, num: int) -> None:
    """Raise an EmbeddingsError unless a column has a value, or an embedding, for each embedding."""
    shape = column.values.shape
    if shape[:1] != (num,) or len(shape) != (2 if key == "embeddings" else 1):
        raise EmbeddingsError(
            f"{key}: one value for each of the {num} embeddings expected, and {column} has the "
            f"shape {shape}"
        )


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
        EmbeddingsError: no row has it.
    """
    if column is None:
        return np.ones(num, bool)
    has_role = flags(column.file, pd.DataFrame({key: to_text(column)}), key).to_numpy()
    if not has_role.any():
        raise EmbeddingsError(f"{key}: {column} is false in every row")
    return has_role
