"""LanceDB, an embedded vector store, as an implementation of the benchmark of indexes."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

LANCE = {  # kind -> configuration of the index, as LanceDB names them; None compares all rows
    "exact": None,
    "ivf_hnsw_sq": "IVF_HNSW_SQ",
    "ivf_pq": "IVF_PQ",
}


class LanceIndex:
    """A table of LanceDB with the index of a kind and its default numbers."""

    def __init__(self, kind: str) -> None:
        self.kind = LANCE[kind]
        self.lancedb = import_module("lancedb")

    def build(self, rows: Path, folder: Path) -> None:
        batches = pq.ParquetFile(rows)
        table = self.lancedb.connect(folder).create_table(
            "images", batches.iter_batches(), schema=batches.schema_arrow
        )
        if self.kind is not None:
            column = "embedding"
            table.create_index(metric="cosine", vector_column_name=column, index_type=self.kind)

    def open(self, folder: Path) -> None:
        self.table: Any = self.lancedb.connect(folder).open_table("images")

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = np.full((len(queries), k), -1)
        for row, query in enumerate(queries):
            chosen = self.table.search(query, vector_column_name="embedding").metric("cosine")
            paths = chosen.select(["path"]).limit(k).to_arrow()["path"].to_pylist()
            found[row, : len(paths)] = [int(path) for path in paths]
        return found
