"""Embeddings file: a Parquet file with one row per image, read in batches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retrieval.image_index import Embedder
from retrieval.kind import ImageIndexError
from retrieval.rows import BATCH, Rows, unit_vectors

COLUMNS = ("path", "label", "embedding")
NEEDED = "it must have the columns path (text) and embedding (a list of D numbers)"


class EmbeddingsFile:
    """Embeddings file: iterates over a Parquet file in batches of unit embeddings.

    Columns: `path`, text; `embedding`, a list of D numbers in every row; `label`, optional, text or
    whole numbers. Others are ignored. `python -m scripts.embed` writes such a file, and so does
    `DataFrame.to_parquet`.

    Raises:
        ImageIndexError: the file is missing or empty, is no Parquet file, or lacks a column.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ImageIndexError(f"{path} does not exist; {NEEDED}")
        try:
            self.schema = pq.read_schema(path)
            self.count = int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise ImageIndexError(f"{path} is no Parquet file: {error}") from error
        if missing := {"path", "embedding"} - set(self.schema.names):
            raise ImageIndexError(f"{path} has no column {min(missing)}; {NEEDED}")
        if not pa.types.is_nested(self.schema.field("embedding").type):
            kind = self.schema.field("embedding").type
            raise ImageIndexError(f"{path}: the column embedding is {kind}; {NEEDED}")
        if not self.count:
            raise ImageIndexError(f"{path} has no rows")
        self.embedder = recorded_embedder(self.schema)
        self.columns = [name for name in COLUMNS if name in self.schema.names]
        self.dim = next(iter(self)).vectors.shape[1]

    def __iter__(self) -> Iterator[Rows]:
        with pq.ParquetFile(self.path, memory_map=True) as file:
            for batch in file.iter_batches(BATCH, columns=self.columns):
                yield self._rows(batch)

    def _rows(self, batch: pa.RecordBatch) -> Rows:
        if batch["path"].null_count or batch["embedding"].null_count:
            raise ImageIndexError(f"{self.path}: a path or an embedding is missing in a row")
        paths = batch["path"].cast(pa.string()).to_pylist()
        labels = [""] * len(paths)
        if "label" in self.columns:
            labels = pc.fill_null(batch["label"].cast(pa.string()), "").to_pylist()
        lengths = set(pc.call_function("list_value_length", [batch["embedding"]]).to_pylist())
        dim = getattr(self, "dim", next(iter(lengths)))
        if lengths != {dim}:
            raise ImageIndexError(
                f"{self.path}: embeddings have {', '.join(map(str, sorted(lengths)))} dimensions; "
                f"all must have {dim}"
            )
        values = batch["embedding"].flatten().to_numpy(zero_copy_only=False)
        embeddings = np.asarray(values, np.float32).reshape(-1, dim)
        return Rows(paths, labels, unit_vectors(paths, embeddings))


def recorded_embedder(schema: pa.Schema) -> Embedder | None:
    """The checkpoint that made the embeddings, as scripts.embed records it; None if it does not."""
    metadata = schema.metadata or {}
    keys = (b"run", b"checkpoint", b"checkpoint_sha256")
    if any(key not in metadata for key in keys):
        return None
    return Embedder(*(metadata[key].decode(errors="replace") for key in keys))
