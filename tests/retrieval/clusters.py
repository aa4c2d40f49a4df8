"""Unit embeddings around class centres, as rows of an index and as a Parquet file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.rows import Rows


def clustered(num: int, dim: int = 16, classes: int = 50, seed: int = 0) -> Rows:
    """Rows named 0000.jpg, 0001.jpg, ... with the class as label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % classes
    centres = np.random.default_rng(42).standard_normal((classes, dim))
    points = centres[labels] + 0.5 * rng.standard_normal((num, dim))
    vectors = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return Rows([f"{row:04}.jpg" for row in range(num)], [f"c{k}" for k in labels], vectors)


def write(rows: Rows, file: Path, /, **columns: pa.Array) -> Path:
    """A Parquet file of rows; columns replace those of the rows, None leaves one out."""
    vectors = pa.array(rows.vectors.ravel())
    content = {
        "path": pa.array(rows.paths),
        "label": pa.array(rows.labels),
        "embedding": pa.FixedSizeListArray.from_arrays(vectors, rows.vectors.shape[1]),
    } | columns
    pq.write_table(
        pa.table({name: column for name, column in content.items() if column is not None}), file
    )
    return file


def ranking(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Row numbers of the gallery by falling cosine in float64, (Q, N)."""
    similarities = queries.astype(np.float64) @ gallery.astype(np.float64).T
    return np.argsort(-similarities, axis=1, kind="stable")
