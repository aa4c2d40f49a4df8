"""Rows of an index in a Parquet file with one row per image, read in batches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.embeddings.column_file import EmbeddingsError, explain_read_errors, is_list, rows_of
from engine.embeddings.column_sources import NAMES, name_of
from engine.embeddings.origin import recorded_origin
from retrieval.rows import BATCH, Rows, unit_vectors

NEEDED = "it must have the columns path (text) and embedding (a list of D numbers)"


class ParquetRows:
    """Parquet rows: iterates over a Parquet file in batches of unit embeddings.

    Columns: `path`, text; `embedding`, a list of D numbers in every row; `label`, optional, text or
    whole numbers. Others are ignored. `python -m scripts.embed` writes such a file, and so does
    `DataFrame.to_parquet`.

    Raises:
        EmbeddingsError: the file is missing or empty, is no Parquet file, or lacks a column.
        ImageIndexError: an embedding is zero or not finite.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explain_read_errors(path):
            self.schema = pq.read_schema(path)
            self.count = int(pq.read_metadata(path).num_rows)
        self.columns = [self._column("path"), self._column("embeddings")]
        label = name_of("labels", self.schema.names)
        self.columns += [] if label is None else [label]
        kind = self.schema.field(self.columns[1]).type
        if not is_list(kind):
            raise EmbeddingsError(f"{path}: the column {self.columns[1]} is {kind}; {NEEDED}")
        if not self.count:
            raise EmbeddingsError(f"{path} has no rows")
        self.embedder = recorded_origin(self.schema)
        self.dim = next(iter(self)).vectors.shape[1]

    def __iter__(self) -> Iterator[Rows]:
        with pq.ParquetFile(self.path, memory_map=True) as file:
            for batch in file.iter_batches(BATCH, columns=self.columns):
                yield self._rows(pa.Table.from_batches([batch]))

    def _rows(self, batch: pa.Table) -> Rows:
        path, embedding, *labels = (batch[name] for name in self.columns)
        with explain_read_errors(self.path):
            if path.null_count:
                raise ValueError("a path is missing in a row")
            rows = rows_of(self.columns[1], embedding, getattr(self, "dim", None))
            embeddings = np.asarray(rows, np.float32)
        paths = path.cast(pa.string()).to_pylist()
        texts = [""] * len(paths)
        if labels:
            texts = pc.fill_null(labels[0].cast(pa.string()), "").to_pylist()
        return Rows(paths, texts, unit_vectors(paths, embeddings))

    def _column(self, key: str) -> str:
        """The name of a column that the file must have."""
        name = name_of(key, self.schema.names)
        if name is None:
            raise EmbeddingsError(f"{self.path} has no column {NAMES[key][0]}; {NEEDED}")
        return name
