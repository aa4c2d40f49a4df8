"""Embedding file: a Parquet file of image paths, labels and embeddings, written in parts.

Each part is a file of its own in the folder `<file>.parts` beside the file, complete or absent, and
one row group of the file in the end. A killed command goes on with the parts that are missing, and
several commands may write parts of the same file. The content of the file depends on neither.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from numpy.typing import NDArray

from core.errors import UserError
from core.files import explain_write_errors, write_atomically
from engine.embeddings.column_file import to_lists
from engine.embeddings.content_hash import hash_of, identities

EMBEDDING = "embedding"
CONTENT, UNREADABLE = "content", "unreadable"  # metadata of a part: hash of its input; its gaps


class EmbeddingFileError(UserError):
    """A file exists and holds other embeddings, or cannot be written there."""


class Part(NamedTuple):
    """A part of the file: its number, its rows of the table, and the hash of all it depends on."""

    number: int
    rows: slice
    content: str


class EmbeddingFile:
    """Embedding file: columns of a table and `embedding`, a list of D float32 in each row.

    Args:
        path: the file; its folder must exist.
        table: path, label and other columns of the images, one row each.
        embedding_dim: the size D of the embeddings.
        metadata: texts that the schema of the file holds, on which the embeddings depend.
        part_size: rows of a part.
    """

    def __init__(
        self,
        path: Path,
        table: pd.DataFrame,
        embedding_dim: int,
        metadata: Mapping[str, str],
        part_size: int,
    ) -> None:
        if not path.parent.is_dir():
            raise EmbeddingFileError(f"{path.parent} is no folder; out= names a file in a folder")
        self.path, self.table = path, table
        self.folder = path.with_name(f"{path.name}.parts")
        self.schema = schema_of(table, embedding_dim)
        starts = range(0, len(table), part_size)
        rows = [slice(start, min(start + part_size, len(table))) for start in starts]
        identity = hash_of([dict(metadata), str(self.schema)])
        self.parts = [
            Part(number, part, hash_of([identity, *identities(table[part])]))
            for number, part in enumerate(rows)
        ]
        self.content = hash_of([part.content for part in self.parts])
        self.schema = self.schema.with_metadata({**metadata, CONTENT: self.content})

    @property
    def is_finished(self) -> bool:
        """Whether the file exists and holds the embeddings of these images by this model."""
        return content_of(self.path) == self.content

    def check_same(self) -> None:
        """Check that the file, which exists, is finished.

        Raises:
            EmbeddingFileError: it holds other embeddings.
        """
        if not self.is_finished:
            raise EmbeddingFileError(
                f"{self.path} exists, and was made by another run, of other images or with other "
                "settings; choose another out=, or force=true to replace it"
            )

    def start(self) -> None:
        """Make the folder of the parts, before work is lost where it cannot be made."""
        with explain_write_errors(self.folder):
            self.folder.mkdir(exist_ok=True)

    def missing(self) -> list[Part]:
        """The parts that are not written yet."""
        return [part for part in self.parts if content_of(self._file(part)) != part.content]

    def write_part(
        self, part: Part, embeddings: NDArray[np.float32], unreadable: Mapping[int, str]
    ) -> None:
        """Write a part.

        Args:
            part: one of `parts`.
            embeddings: of all its rows, (n, D).
            unreadable: position in the part -> reason, of rows that are left out.
        """
        readable = np.ones(len(embeddings), bool)
        readable[list(unreadable)] = False
        rows, kept = self.table[part.rows], embeddings[readable]
        names = rows["path"].tolist()
        gaps = [[names[index], reason] for index, reason in unreadable.items()]
        metadata = {CONTENT: part.content, UNREADABLE: json.dumps(gaps)}
        columns = arrow_columns(rows[readable], kept, self.schema)
        table = pa.Table.from_arrays(columns, schema=self.schema.with_metadata(metadata))
        write_atomically(self._file(part), lambda file: pq.write_table(table, file))

    def finish(self) -> list[list[str]] | None:
        """Join the parts to the file, if all are written, and remove them.

        Returns:
            Path and reason of each image that is left out; None if other commands write the file
            or parts of it.
        """
        self.start()
        with FileLock(self.folder / "lock"):  # of several commands that end together
            if self.missing():
                return None
            unreadable: list[list[str]] = []
            write_atomically(self.path, lambda file: self._join(file, unreadable))
        shutil.rmtree(self.folder, ignore_errors=True)
        return unreadable

    def _join(self, file: BinaryIO, unreadable: list[list[str]]) -> None:
        text = [field.name for field in self.schema if field.name != EMBEDDING]
        with pq.ParquetWriter(file, self.schema, use_dictionary=text) as writer:
            for part in self.parts:
                with pq.ParquetFile(self._file(part)) as written:
                    rows = written.read().replace_schema_metadata(self.schema.metadata)
                    unreadable += json.loads(written.metadata.metadata[UNREADABLE.encode()])
                if len(rows):
                    writer.write_table(rows)

    def _file(self, part: Part) -> Path:
        return self.folder / f"part-{part.number:06}.parquet"


def schema_of(table: pd.DataFrame, embedding_dim: int) -> pa.Schema:
    """Columns of the file: those of the table as text or bool, and the embedding."""
    fields = [
        pa.field(str(name), pa.bool_() if table[name].dtype == bool else pa.string())
        for name in table
    ]
    return pa.schema([*fields, pa.field(EMBEDDING, pa.list_(pa.float32(), embedding_dim))])


def arrow_columns(
    rows: pd.DataFrame, embeddings: NDArray[np.float32], schema: pa.Schema
) -> list[pa.Array]:
    """The columns of a part in the order of the schema."""
    columns = [
        pa.array(rows[field.name].tolist(), field.type, from_pandas=True)
        for field in schema
        if field.name != EMBEDDING
    ]
    return [*columns, to_lists(embeddings)]


def content_of(file: Path) -> str | None:
    """The hash of all that an embedding file or a part depends on; None if there is none."""
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return metadata.get(CONTENT.encode(), b"").decode(errors="replace") or None
