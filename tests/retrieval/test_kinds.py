"""Every kind of index against a ranking in NumPy: search, add, remove, on disk and in memory."""

from pathlib import Path

import faiss.contrib.torch_utils  # noqa: F401  other packages load it: it replaces methods of indexes
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from engine.config.run_name import CONF
from retrieval.build import build_index
from retrieval.exact import Exact
from retrieval.hnsw import HNSW
from retrieval.image_index import ImageIndex
from retrieval.index_folder import KINDS, load, save
from retrieval.ivfpq import IVFPQ
from retrieval.kind import ImageIndexError, Kind
from retrieval.recall import recall_against_exact
from retrieval.rows import InMemory, Rows
from tests.retrieval.clusters import clustered, ranking

NUM, K = 10_000, 10
ALL = (Exact(), HNSW(), IVFPQ(num_lists=64, nprobe=64))
every_kind = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
GALLERY, QUERIES = clustered(NUM), clustered(50, seed=1).vectors
built: dict[str, ImageIndex] = {}


def index_of(kind: Kind) -> ImageIndex:
    """An index of the gallery, built once and read by all tests."""
    if kind.name not in built:
        built[kind.name] = build_index(InMemory(GALLERY), kind)
    return built[kind.name]


def small(kind: Kind, num: int = 60) -> ImageIndex:
    """An index that a test may change."""
    return build_index(InMemory(clustered(num)), kind)


def paths(index: ImageIndex, queries: np.ndarray, k: int) -> list[list[str]]:
    names = index.images.set_index("id")["path"]
    return [[names[number] for number in row] for row in index.search(queries, k).ids]


def test_the_yaml_of_a_kind_has_the_numbers_of_its_class() -> None:
    files = sorted((CONF / "index").glob("*.yaml"))
    assert [file.stem for file in files] == sorted(KINDS)
    for file in files:
        assert instantiate(OmegaConf.load(file)) == KINDS[file.stem]()


def test_exact_is_the_ranking_by_cosine() -> None:
    found = index_of(Exact()).search(QUERIES, K)
    assert np.array_equal(found.ids, ranking(QUERIES, GALLERY.vectors)[:, :K])
    expected = np.take_along_axis(QUERIES @ GALLERY.vectors.T, found.ids, axis=1)
    np.testing.assert_allclose(found.similarities, expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "least"), [(HNSW(), 0.99), (ALL[2], 0.7)])
def test_an_approximate_kind_finds_most_true_neighbours(kind: Kind, least: float) -> None:
    found, true = index_of(kind).search(QUERIES, K).ids, ranking(QUERIES, GALLERY.vectors)[:, :K]
    shares = [len(set(a) & set(b)) / K for a, b in zip(found, true, strict=True)]
    assert np.mean(shares) >= least


WEAK = HNSW(m=4, ef_construction=8, ef_search=4)


def test_the_recall_is_the_share_of_true_neighbours_without_the_query() -> None:
    rows = clustered(1000)
    index = build_index(InMemory(rows), WEAK)
    measured = recall_against_exact(index, InMemory(rows), K, 1000)
    found, shares = index.search(rows.vectors, K + 1).ids, []
    for query, order in enumerate(ranking(rows.vectors, rows.vectors)):
        others = [number for number in found[query] if number != query][:K]
        nearest = [number for number in order[: K + 1] if number != query][:K]
        shares.append(len(set(others) & set(nearest)) / K)
    assert measured == pytest.approx(np.mean(shares), abs=1e-9)
    assert 0.1 < measured < 0.99


def test_more_effort_finds_more() -> None:
    rows = InMemory(clustered(1000))
    index = build_index(rows, WEAK)
    before = recall_against_exact(index, rows, K, 200)
    index.kind = index.kind.with_effort(200)
    assert recall_against_exact(index, rows, K, 200) > before
    with pytest.raises(ImageIndexError, match="an exact index always compares all"):
        Exact().with_effort(3)


@every_kind
@pytest.mark.parametrize("memory_map", [True, False])
def test_an_index_on_disk_answers_as_in_memory(
    kind: Kind, memory_map: bool, tmp_path: Path
) -> None:
    index = index_of(kind)
    save(index, tmp_path / "index")
    again, _ = load(tmp_path / "index", memory_map)
    found, expected = again.search(QUERIES, K), index.search(QUERIES, K)
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.similarities, expected.similarities)
    assert again.images.equals(index.images)
    assert again.kind == kind


@pytest.mark.parametrize("kind", [Exact(), HNSW()], ids=lambda kind: kind.name)
def test_removed_images_are_not_found_and_added_ones_are(kind: Kind, tmp_path: Path) -> None:
    rows, new = clustered(60), clustered(80)
    index = small(kind)
    assert index.remove(["0003.jpg", "0059.jpg"]) == 2
    save(index, tmp_path)
    index, _ = load(tmp_path, memory_map=False)
    added = index.add(Rows(new.paths[58:], new.labels[58:], new.vectors[58:]))
    assert added == 21  # 0059.jpg again, and 0060.jpg to 0079.jpg; 0058.jpg is there
    save(index, tmp_path)
    index, _ = load(tmp_path)
    assert len(index) == 79
    vectors = np.concatenate([rows.vectors[:59], new.vectors[59:]])
    names = [name for name in new.paths if name != "0003.jpg"]
    vectors = np.delete(vectors, 3, axis=0)
    expected = [[names[row] for row in order] for order in ranking(QUERIES, vectors)[:, :79]]
    assert paths(index, QUERIES, 79) == expected


def test_ivfpq_forgets_what_is_removed(tmp_path: Path) -> None:
    save(index_of(ALL[2]), tmp_path)
    index, _ = load(tmp_path, memory_map=False)
    gone = paths(index, QUERIES[:1], 5)[0]
    assert index.remove(gone) == 5
    assert index.vectors.ntotal == NUM - 5
    assert not set(paths(index, QUERIES[:1], 20)[0]) & set(gone)
    assert index.add(Rows(gone, [""] * 5, GALLERY.vectors[[int(name[:4]) for name in gone]])) == 5
    assert set(paths(index, QUERIES[:1], 5)[0]) == set(gone)


def test_ivfpq_says_what_it_needs() -> None:
    with pytest.raises(ImageIndexError, match=r"at least 9,984 images, there are 60"):
        small(IVFPQ())
    with pytest.raises(ImageIndexError, match=r"num_bytes=5 does not divide the 16 dimensions"):
        build_index(InMemory(GALLERY), IVFPQ(num_bytes=5))
    assert IVFPQ().bytes_of(128) == 64
    assert IVFPQ().bytes_of(100) == 50
    assert IVFPQ().bytes_of(7) == 1


@every_kind
def test_a_wrong_query_is_named(kind: Kind) -> None:
    index = index_of(kind)
    with pytest.raises(ImageIndexError, match="queries have 8 dimensions, the index has 16"):
        index.search(QUERIES[:, :8], K)
    with pytest.raises(ImageIndexError, match="k=10001: the index has 10000 images"):
        index.search(QUERIES, NUM + 1)
