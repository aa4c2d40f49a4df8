"""The rows of an index file, such as a CSV: every field as the text that stands there."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.errors import in_one_line
from datasets.table import DatasetError


def read_rows(
    file: Path, columns: Sequence[str], separator: str = ",", skipped: int = 0
) -> pd.DataFrame:
    """The rows below the header, with all columns as text: a class may be called NA, 04 or 1e3.

    Args:
        file: in UTF-8.
        columns: that it must have.
        separator: between two fields, as `pandas.read_csv` understands it.
        skipped: lines before the header.

    Raises:
        DatasetError: naming the file, which is empty, is no such text, or lacks a column.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # more fields than columns
            rows = pd.read_csv(
                file, sep=separator, skiprows=skipped, dtype=str, na_filter=False, index_col=False
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DatasetError(
            f"{file} cannot be read as a table of text in UTF-8: {in_one_line(error)}"
        ) from error
    absent = [column for column in columns if column not in rows]
    if absent:
        raise DatasetError(f"{file} lacks the columns {absent}; it needs {list(columns)}")
    if rows.empty:
        raise DatasetError(f"{file} has a header and no rows")
    return rows
