"""Column file: reads columns of N values or lists from .npy, .npz, Parquet and CSV files.

Nothing is unpickled: an array of Python objects is an error.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


class EmbeddingsError(UserError):
    """Embeddings error: a file of embeddings, or a column of it, is missing, damaged or wrong."""


def read_columns(file: Path) -> dict[str, Column]:
    """The columns of a file.

    Raises:
        EmbeddingsError: there is no such file, it cannot be read, or it is of another kind.
    """
    kind = file.suffix.lower()
    if kind not in READERS:
        raise EmbeddingsError(f"{file}: the name of the file must end in {', '.join(READERS)}")
    with explain_read_errors(file):
        return READERS[kind](file)


@contextmanager
def explain_read_errors(file: Path) -> Iterator[None]:
    """Turn errors of reading a file into an EmbeddingsError that names it."""
    if not file.is_file():
        raise EmbeddingsError(f"{file} does not exist")
    try:
        yield
    except (OSError, ValueError, EOFError, BadZipFile, pa.ArrowException) as error:
        kind = file.suffix.lower()
        raise EmbeddingsError(f"{file} cannot be read as {kind}: {in_one_line(error)}") from error


def read_npy(file: Path) -> dict[str, Column]:
    with file.open("rb") as content:
        return {UNNAMED: np.lib.format.read_array(content, allow_pickle=False)}


def read_npz(file: Path) -> dict[str, Column]:
    arrays = np.load(file, allow_pickle=False)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise EmbeddingsError(f"{file} holds one array; name it .npy")
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


def rows_of(name: str, column: pa.ChunkedArray, length: int | None = None) -> Column:
    """The lists of a column as rows (N, D).

    Args:
        name: of the column.
        column: of lists.
        length: the length D of a list; None is that of the first.

    Raises:
        ValueError: a list or a value is missing, or a list has another length.
    """
    values = [chunk.flatten() for chunk in column.chunks]
    if column.null_count or any(part.null_count for part in values):
        raise ValueError(f"the column {name} has lists without a value")
    sizes = np.unique(np.asarray(pc.call_function("list_value_length", [column])))
    if len(sizes) != 1 or (length is not None and sizes[0] != length):
        found = " to ".join(str(size) for size in sizes[[0, -1][: len(sizes)]]) or "no"
        wanted = "one length" if length is None else f"{length} values"
        raise ValueError(f"the column {name} needs lists of {wanted}, and has {found} values")
    flat = np.concatenate([part.to_numpy(zero_copy_only=False) for part in values])
    return flat.reshape(-1, int(sizes[0]))


def to_lists(rows: Column) -> pa.FixedSizeListArray:
    """Rows (N, D) as lists of D values, which `rows_of` reads."""
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
