"""Index file of a dataset, such as a CSV: reads its rows with every field as text."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.errors import in_one_line
from datasets.table import DatasetError


def read_rows(
    file: Path, columns: Sequence[str], separator: str = ",", skipped: int = 0
) -> pd.DataFrame:
    """Read the rows below the header, with all columns as text: a class may be named NA or 04.

    Args:
        file: in UTF-8.
        columns: required columns.
        separator: between two fields, as in `pandas.read_csv`.
        skipped: number of lines before the header.

    Raises:
        DatasetError: the file has no rows, is not such a text, or lacks a column.
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
    missing = [column for column in columns if column not in rows]
    if missing:
        raise DatasetError(f"{file} lacks the columns {missing}; it needs {list(columns)}")
    if rows.empty:
        raise DatasetError(f"{file} has a header and no rows")
    return rows
