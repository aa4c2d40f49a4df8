"""The folder of an index: its files belong together, whatever happens to one of them."""

import json
from pathlib import Path

import faiss
import pandas as pd
import pytest
from filelock import FileLock

from core.files import DamagedFileError
from engine.embeddings.origin import Origin
from retrieval.build import build_index
from retrieval.exact import Exact
from retrieval.hnsw import HNSW
from retrieval.index_folder import LOCK, NAME, Recall, changing, load, save
from retrieval.kind import ImageIndexError
from retrieval.rows import InMemory
from tests.retrieval.clusters import clustered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    index = build_index(InMemory(clustered(30)), HNSW(m=8), Origin("runs/a", "last.pt", "0" * 64))
    save(index, tmp_path / "index", Recall(k=10, queries=30, recall=1))
    return tmp_path / "index"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded(folder: Path) -> None:
    index, recall = load(folder)
    assert recall == Recall(k=10, queries=30, recall=1)
    assert index.embedder == Origin("runs/a", "last.pt", "0" * 64)
    assert index.kind == HNSW(m=8)
    content = json.loads((folder / NAME).read_text())
    assert content["metric"] == "cosine"
    assert (content["kind"], content["dim"], content["count"]) == ("hnsw", 16, 30)


def test_a_change_replaces_all_files(folder: Path) -> None:
    assert names(folder) == ["images-0.parquet", NAME, "vectors-0.faiss"]
    index, _ = load(folder, memory_map=False)
    index.remove(["0000.jpg"])
    save(index, folder)
    assert names(folder) == ["images-1.parquet", NAME, "vectors-1.faiss"]
    assert len(load(folder)[0]) == 29


def test_a_killed_change_leaves_the_index_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, _ = load(folder, memory_map=False)
    index.remove(["0000.jpg"])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index_folder.write_text_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            save(index, folder)
    assert len(load(folder)[0]) == 30
    save(index, folder)
    assert names(folder) == ["images-1.parquet", NAME, "vectors-1.faiss"]


def test_no_index_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ImageIndexError, match=r"holds no index; python -m scripts.index builds one"
    ):
        load(tmp_path)


@pytest.mark.parametrize("name", ["vectors-0.faiss", "images-0.parquet", NAME])
@pytest.mark.parametrize("memory_map", [True, False])
def test_a_damaged_file_is_named(folder: Path, name: str, memory_map: bool) -> None:
    content = (folder / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no such format " * 20):
        (folder / name).write_bytes(damaged)
        with pytest.raises(DamagedFileError, match=r"is damaged .*build the index again"):
            load(folder, memory_map)
    (folder / name).unlink()
    with pytest.raises((DamagedFileError, ImageIndexError)):
        load(folder, memory_map)


def test_files_of_two_indexes_do_not_fit(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save(build_index(InMemory(clustered(20)), Exact()), other)
    (other / "vectors-0.faiss").replace(folder / "vectors-0.faiss")
    with pytest.raises(DamagedFileError, match=r"vectors.: 20.* not .*30"):
        load(folder)


@pytest.mark.parametrize(
    "changes", [{"kind": "lsh"}, {"parameters": {"links": 3}}, {"dim": 8}, {"count": 29}]
)
def test_a_forged_description_is_an_error(folder: Path, changes: dict[str, object]) -> None:
    content = json.loads((folder / NAME).read_text()) | changes
    (folder / NAME).write_text(json.dumps(content))
    with pytest.raises(DamagedFileError):
        load(folder)


def test_ids_of_the_table_are_those_of_the_vectors(folder: Path) -> None:
    index, _ = load(folder)
    assert index.images["id"].tolist() == list(range(30))
    assert pd.read_parquet(folder / "images-0.parquet").columns.tolist() == ["id", "path", "label"]
    assert isinstance(faiss.read_index(str(folder / "vectors-0.faiss")), faiss.IndexHNSWFlat)


def test_two_changes_at_once_are_refused(folder: Path) -> None:
    with (
        FileLock(folder / LOCK),
        pytest.raises(ImageIndexError, match="another process changes"),
        changing(folder),
    ):
        pass


def test_a_memory_mapped_index_refuses_to_change(folder: Path) -> None:
    index, _ = load(folder)
    with pytest.raises(ValueError, match="memory-mapped index cannot change"):
        index.remove(["0000.jpg"])
    with pytest.raises(ValueError, match="memory-mapped index cannot change"):
        index.add(clustered(40))
