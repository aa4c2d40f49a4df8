"""Column sources: finds the columns of an evaluation in the files that a user names."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from engine.config.names import Text
from engine.embeddings.column_file import READERS, Column, EmbeddingsError, read_columns

log = logging.getLogger(__name__)

NAMES = {  # key -> accepted names of its column
    "embeddings": ("embedding", "embeddings"),
    "labels": ("label", "labels"),
    "is_query": ("is_query",),
    "is_gallery": ("is_gallery",),
    "category": ("category",),
    "ignore_group": ("ignore_group",),
    "path": ("path", "paths"),
}


@dataclass(frozen=True)
class ColumnSources:
    """Column sources: a file of embeddings, and a file or column for each of the other keys.

    A column is given by its name in one of the files, by a file that has it, or as
    `<file>:<column>`. None means the column with the name of the key, if there is one; a file of
    labels comes before the file of embeddings.
    """

    embeddings: Text
    labels: Text | None = None
    is_query: Text | None = None
    is_gallery: Text | None = None
    category: Text | None = None
    ignore_group: Text | None = None
    path: Text | None = None


class FoundColumn(NamedTuple):
    """A column, and the file and name that it was found under."""

    values: Column
    file: Path
    name: str  # empty for the only array of a .npy file

    def __str__(self) -> str:
        return f"the column {self.name} of {self.file}" if self.name else str(self.file)


def find_columns(sources: ColumnSources) -> dict[str, FoundColumn]:
    """Find the column of each key; keys without a column are left out.

    Raises:
        EmbeddingsError: a file cannot be read, or what a key names is neither a file nor a column.
    """
    given = {key: value for key, value in asdict(sources).items() if value is not None}
    named = {key: file_and_column(value) for key, value in given.items()}
    paths = [embeddings_file(sources), *(file for file, _ in named.values() if file is not None)]
    files = {path: read_columns(path) for path in dict.fromkeys(paths)}
    warn_of_another_order(files)
    found = {"embeddings": embeddings_in(paths[0], named["embeddings"][1], files[paths[0]])}
    for key in list(NAMES)[1:]:
        file, column = named.get(key, (None, None))
        if file is not None:
            found[key] = in_file(key, file, column, files[file])
        elif named_so := by_name(key, given.get(key), files):
            found[key] = named_so
    return found


def name_of(key: str, names: Collection[str]) -> str | None:
    """The name among those of a file that the column of a key has; None if there is none."""
    return next((name for name in NAMES[key] if name in names), None)


def file_and_column(given: str) -> tuple[Path | None, str | None]:
    """The file, and the column after a colon, that a text names; None if it names no file."""
    head, _, column = given.rpartition(":")
    for path, name in ((given, None), (head, column)):
        if Path(path).suffix.lower() in READERS:
            return Path(path).expanduser(), name
    return None, None


def embeddings_file(sources: ColumnSources) -> Path:
    """The file of the embeddings, without the name of a column."""
    return file_and_column(sources.embeddings)[0] or Path(sources.embeddings).expanduser()


def warn_of_another_order(files: Mapping[Path, Mapping[str, Column]]) -> None:
    """Log a warning if two files name different images in the same row."""
    with_paths = [(file, columns["path"]) for file, columns in files.items() if "path" in columns]
    for (first, own), (second, other) in pairwise(with_paths):
        if len(own) != len(other):
            continue  # an error later
        names = ([str(path).rpartition("/")[2] for path in paths] for paths in (own, other))
        different = [row for row, (x, y) in enumerate(zip(*names, strict=True)) if x != y]
        if different:
            row = different[0]
            log.warning(
                "row %d (from 0) is %s in %s and %s in %s: rows must be in the same order",
                *(row, own[row], first, other[row], second),
            )


def embeddings_in(file: Path, column: str | None, columns: Mapping[str, Column]) -> FoundColumn:
    """The embeddings of a file: the column named, or of that name, or its only column of lists.

    Raises:
        EmbeddingsError: there is none.
    """
    lists = {name: values for name, values in columns.items() if values.ndim == 2}
    alone = not column and len(lists) == 1
    return in_file("embeddings", file, column, lists if alone else columns)


def in_file(key: str, file: Path, column: str | None, columns: Mapping[str, Column]) -> FoundColumn:
    """The column of a key in a file: the one named, one with the name of the key, or the only one.

    Raises:
        EmbeddingsError: there is none, or several may be meant.
    """
    names = (column,) if column else NAMES[key]
    fitting = [name for name in names if name in columns]
    if not column and len(columns) == 1:
        fitting = list(columns)
    if not fitting:
        raise EmbeddingsError(
            f"{key}={file}: it has no column {' or '.join(names)}, only {', '.join(columns)}"
        )
    return FoundColumn(columns[fitting[0]], file, fitting[0])


def by_name(
    key: str, name: str | None, files: Mapping[Path, Mapping[str, Column]]
) -> FoundColumn | None:
    """The column with this name, or with the name of the key, in the last file that has one.

    Raises:
        EmbeddingsError: no file has a column with the name that was given.
    """
    for wanted in NAMES.get(key, (key,)) if name is None else (name,):
        for file, columns in reversed(list(files.items())):
            if wanted in columns:
                return FoundColumn(columns[wanted], file, wanted)
    if name is None:
        return None
    known = [column for columns in files.values() for column in columns if column]
    among = f" among {', '.join(known)}" if known else ""
    raise EmbeddingsError(f"{key}={name}: there is no such file, and no such column{among}")
