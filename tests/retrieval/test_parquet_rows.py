"""Parquet files of embeddings: ours, those of pandas, and wrong ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import UserError
from engine.embeddings.column_file import EmbeddingsError
from engine.embeddings.origin import Origin
from retrieval.build import build_index
from retrieval.exact import Exact
from retrieval.parquet_rows import ParquetRows
from retrieval.rows import Rows, joined, random_vectors
from tests.retrieval.clusters import clustered, write

ROWS = clustered(300)


def of_lists(lists: list[list[float] | None]) -> pa.Array:
    return pa.array(lists, pa.list_(pa.float32()))


def test_rows_are_read_in_order_and_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.parquet_rows.BATCH", 128)
    source = ParquetRows(write(ROWS, tmp_path / "a.parquet"))
    assert (source.count, source.dim, source.embedder) == (300, 16, None)
    assert [len(part.paths) for part in source] == [128, 128, 44]
    read = joined(source)
    assert (read.paths, read.labels) == (ROWS.paths, ROWS.labels)
    np.testing.assert_allclose(read.vectors, ROWS.vectors, atol=1e-6)
    numbers, vectors = random_vectors(source, 50, seed=0)
    assert len(set(numbers.tolist())) == 50
    np.testing.assert_allclose(vectors, ROWS.vectors[numbers], atol=1e-6)


def test_a_file_of_pandas_is_read_and_normalised(tmp_path: Path) -> None:
    vectors = ROWS.vectors.astype(np.float64) * 7
    table = pd.DataFrame({"path": ROWS.paths, "embedding": list(vectors), "label": range(300)})
    table.to_parquet(tmp_path / "a.parquet")
    read = joined(ParquetRows(tmp_path / "a.parquet"))
    np.testing.assert_allclose(read.vectors, ROWS.vectors, atol=1e-6)
    assert read.vectors.dtype == np.float32
    assert list(read.labels) == [str(label) for label in range(300)]


def test_columns_may_have_names_in_the_plural(tmp_path: Path) -> None:
    table = pq.read_table(write(ROWS, tmp_path / "a.parquet"))
    pq.write_table(table.rename_columns(["paths", "labels", "embeddings"]), tmp_path / "b.parquet")
    read = joined(ParquetRows(tmp_path / "b.parquet"))
    assert (read.paths, read.labels) == (ROWS.paths, ROWS.labels)


def test_labels_are_optional(tmp_path: Path) -> None:
    first = write(ROWS, tmp_path / "a.parquet", label=None)
    assert joined(ParquetRows(first)).labels == [""] * 300
    some = pa.array([None, *ROWS.labels[1:]])
    second = write(ROWS, tmp_path / "b.parquet", label=some)
    assert joined(ParquetRows(second)).labels == ["", *ROWS.labels[1:]]


def test_the_embedder_is_that_of_the_file(tmp_path: Path) -> None:
    path = write(ROWS, tmp_path / "a.parquet")
    table = pq.read_table(path)
    recorded = {"run": "runs/a", "checkpoint": "last.pt", "checkpoint_sha256": "12"}
    pq.write_table(table.replace_schema_metadata(recorded), path)
    assert ParquetRows(path).embedder == Origin("runs/a", "last.pt", "12")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": None}, "has no column path"),
        ({"embedding": None}, "has no column embedding"),
        ({"embedding": pa.array([1.0] * 300)}, "the column embedding is double"),
        ({"path": pa.array([None, *ROWS.paths[1:]])}, "a path is missing in a row"),
        (
            {"embedding": of_lists([None, *[[1.0, 2.0]] * 299])},
            "embedding has lists without a value",
        ),
        (
            {"embedding": of_lists([[1.0], *[[1.0, 2.0]] * 299])},
            "lists of one length, and has 1 to 2",
        ),
        ({"embedding": of_lists([[1.0, 0.0], *[[0.0, 0.0]] * 299])}, "of 0001.jpg is zero"),
        ({"embedding": of_lists([[np.nan, 0.0]] * 300)}, "of 0000.jpg is not finite"),
        ({"path": pa.array(["a.jpg"] * 300)}, "the path a.jpg is in two rows"),
    ],
)
def test_what_is_wrong_is_one_line(
    columns: dict[str, pa.Array], message: str, tmp_path: Path
) -> None:
    path = write(ROWS, tmp_path / "a.parquet", **columns)
    with pytest.raises(UserError, match=message):
        build_index(ParquetRows(path), Exact())


def test_no_file_no_rows_and_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsError, match="does not exist"):
        ParquetRows(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_text("path,embedding\n")
    with pytest.raises(EmbeddingsError, match="cannot be read as"):
        ParquetRows(tmp_path / "a.parquet")
    empty = Rows([], [], np.empty((0, 16), np.float32))
    with pytest.raises(EmbeddingsError, match="has no rows"):
        ParquetRows(write(empty, tmp_path / "b.parquet"))
