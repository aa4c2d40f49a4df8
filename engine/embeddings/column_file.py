"""Column file: reads columns of N values or lists from .npy, .npz, Parquet and CSV files.

Nothing is unpickled: an array of Python objects is an error.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import UserError, in_one_line
from datasets.index_file import read_rows

Column = NDArray[Any]
UNNAMED = ""  # name of the only array of a .npy file


class ColumnError(UserError):
    """Column error: a file, or a column of it, is missing, damaged or of another kind."""


def read_columns(file: Path) -> dict[str, Column]:
    """The columns of a file.

    Raises:
        ColumnError: there is no such file, it cannot be read, or it is of another kind.
    """
    kind = file.suffix.lower()
    if kind not in READERS:
        raise ColumnError(f"{file}: the name of the file must end in {', '.join(READERS)}")
    if not file.is_file():
        raise ColumnError(f"{file} does not exist")
    try:
        return READERS[kind](file)
    except (OSError, ValueError, EOFError, BadZipFile, pa.ArrowException) as error:
        raise ColumnError(f"{file} cannot be read as {kind}: {in_one_line(error)}") from error


def read_npy(file: Path) -> dict[str, Column]:
    with file.open("rb") as content:
        return {UNNAMED: np.lib.format.read_array(content, allow_pickle=False)}


def read_npz(file: Path) -> dict[str, Column]:
    arrays = np.load(file, allow_pickle=False)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise ColumnError(f"{file} holds one array; name it .npy")
    with arrays:
        return dict(arrays)


def read_csv(file: Path) -> dict[str, Column]:
    rows = read_rows(file, ())
    return {str(name): rows[name].to_numpy(object) for name in rows}


def read_parquet(file: Path) -> dict[str, Column]:
    table = pq.ParquetFile(file).read()
    lists = [name for name in table.column_names if is_list(table.schema.field(name).type)]
    others = table.drop_columns(lists).to_pandas(ignore_metadata=True)
    columns = {name: rows_of(name, table[name]) for name in lists}
    return columns | {str(name): others[name].to_numpy() for name in others}


READERS: Mapping[str, Callable[[Path], dict[str, Column]]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".csv": read_csv,
}


def is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def rows_of(name: str, column: pa.ChunkedArray) -> Column:
    """The lists of a column as rows (N, D).

    Raises:
        ColumnError: a list or a value is missing, or the lists have different lengths.
    """
    values = [chunk.flatten() for chunk in column.chunks]
    if column.null_count or any(part.null_count for part in values):
        raise ColumnError(f"the column {name} has lists without a value")
    sizes = np.unique(np.asarray(pc.call_function("list_value_length", [column])))
    if len(sizes) != 1:
        found = f"{sizes[0]} to {sizes[-1]}" if len(sizes) else "no"
        raise ColumnError(f"the column {name} needs lists of one length, and has {found} values")
    flat = np.concatenate([part.to_numpy(zero_copy_only=False) for part in values])
    return flat.reshape(-1, int(sizes[0]))
