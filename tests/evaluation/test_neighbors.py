"""The ranks of relevant items against sorting in NumPy, one query at a time."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.clustering.kmeans import kmeans
from evaluation.metrics.ranking import ABSENT
from evaluation.search import chunks, dense_ranks
from evaluation.search.dense_ranks import count_at_least
from evaluation.search.ranks import relevant_ranks

BACKENDS = ["torch", "two_stage", "faiss"]

Ranks = dict[int, list[int]]  # query -> ranks of its relevant items


def ranks_by_sorting(
    embeddings: Tensor, labels: list[int], queries: list[int], gallery: list[int], distance: str
) -> Ranks:
    """Sorts the gallery of each query by (distance, relevant) and reads the ranks off."""
    vectors = embeddings.double().numpy()
    if distance == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = {}
    for q in queries:
        others = [g for g in gallery if g != q]
        far = {g: round(float(((vectors[q] - vectors[g]) ** 2).sum()), 9) for g in others}
        others.sort(key=lambda g, far=far, q=q: (far[g], labels[g] == labels[q]))
        ranks = [r for r, g in enumerate(others, start=1) if labels[g] == labels[q]]
        if ranks:
            found[q] = ranks
    return found


def ranks_of(*arguments: object, **options: object) -> Ranks:
    """What `relevant_ranks` yields, query by query, padding removed and checked."""
    found = {}
    for queries, ranking in relevant_ranks(*arguments, **options):
        for q, row, num in zip(queries.tolist(), ranking.ranks, ranking.num_relevant, strict=True):
            assert (row[num:] == ABSENT).all()
            found[q] = row[:num].tolist()
    return found


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_set(seed: int, num: int = 60, classes: int = 7, dim: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(num, dim, generator=generator, dtype=torch.float64) + 1
    labels = torch.randint(0, classes, (num,), generator=generator)
    labels[seed % num] = 99  # a class of one
    return embeddings, labels


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("memory", [1, 5000, 2**20])
@pytest.mark.parametrize("seed", range(3))
def test_one_set_equals_sorting(seed: int, memory: int, distance: str, backend: str) -> None:
    embeddings, labels = random_set(seed)
    everyone = list(range(len(labels)))
    expected = ranks_by_sorting(embeddings, labels.tolist(), everyone, everyone, distance)
    options = {"distance": distance, "memory": memory, "backend": backend}
    assert ranks_of(embeddings, labels, **options) == expected
    assert len(expected) < len(everyone)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("queries", "gallery"),
    [
        (range(40, 60), range(40)),
        (range(59, 20, -1), range(10, 50)),
        (range(60), range(3)),
        ([5, 7], [7]),
    ],
    ids=["apart", "overlapping", "tiny gallery", "itself only"],
)
def test_queries_and_gallery_equal_sorting(
    queries: list[int], gallery: list[int], distance: str, backend: str
) -> None:
    embeddings, labels = random_set(1)
    expected = ranks_by_sorting(embeddings, labels.tolist(), list(queries), list(gallery), distance)
    chosen = torch.tensor(list(queries)), torch.tensor(list(gallery))
    options = {"distance": distance, "memory": 4000, "backend": backend}
    assert ranks_of(embeddings, labels, *chosen, **options) == expected


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("queries", "gallery"), [([], [1, 2]), ([1, 2], []), ([], []), ([1], [1])])
def test_nothing_to_search_yields_nothing(
    queries: list[int], gallery: list[int], backend: str
) -> None:
    embeddings, labels = random_set(0)
    chosen = (torch.tensor(queries, dtype=torch.long), torch.tensor(gallery, dtype=torch.long))
    assert ranks_of(embeddings, labels, *chosen, backend=backend) == {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_class_only_is_ranked_from_first_to_last(backend: str) -> None:
    embeddings = torch.randn(300, 4)  # more items to count than MANY
    labels = torch.zeros(300, dtype=torch.long)
    assert set(map(tuple, ranks_of(embeddings, labels, backend=backend).values())) == {
        tuple(range(1, 300))
    }


@pytest.mark.parametrize("many", [0, 10**6], ids=["sorting", "counting"])
def test_both_ways_of_counting_agree(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = random_set(4)
    everyone = list(range(len(labels)))
    monkeypatch.setattr(dense_ranks, "SORT_FROM", many)
    expected = ranks_by_sorting(embeddings, labels.tolist(), everyone, everyone, "cosine")
    assert ranks_of(embeddings, labels, backend="torch") == expected


@pytest.mark.parametrize("many", [0, 10**6], ids=["sorting", "counting"])
def test_count_includes_equal_values(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_ranks, "SORT_FROM", many)
    values = torch.tensor([[0.5, 0.25, 0.5, -torch.inf]])
    thresholds = torch.tensor([[0.75, 0.5, 0.25, -torch.inf]])
    counts = count_at_least(values, thresholds, torch.empty_like(values))
    assert counts.tolist() == [[0, 2, 3, 4]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_duplicate_is_a_neighbour_and_the_query_itself_is_not(backend: str) -> None:
    """Image 0 is copied as 2, under another label: position 0 of its neighbours is the copy."""
    embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert ranks_of(embeddings, labels, backend=backend) == {
        0: [2],
        1: [2],
        2: [3],
        3: [3],
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_come_after_irrelevant_items_and_ignore_the_order(backend: str) -> None:
    collapsed = torch.ones(6, 3)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    for order in (torch.arange(6), torch.tensor([3, 0, 4, 1, 5, 2])):
        assert set(map(tuple, ranks_of(collapsed, labels[order], backend=backend).values())) == {
            (4, 5)
        }


@pytest.mark.parametrize("backend", BACKENDS)
def test_order_of_the_samples_does_not_matter(backend: str) -> None:
    embeddings, labels = random_set(2)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    shuffled = ranks_of(embeddings[order], labels[order], backend=backend)
    assert {int(order[q]): ranks for q, ranks in shuffled.items()} == ranks_of(
        embeddings, labels, backend=backend
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_far_from_the_origin_euclidean_neighbours_survive_float32(backend: str) -> None:
    embeddings, labels = random_set(3)
    near = ranks_of(embeddings.float(), labels, distance="euclidean", backend=backend)
    assert (
        ranks_of((embeddings + 100).float(), labels, distance="euclidean", backend=backend) == near
    )


def test_training_in_low_precision_does_not_reach_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the hardware makes of the settings, the products are asked for in full float32."""
    settings, real = [], torch.mm

    def watched(*arguments: Tensor, **options: Tensor) -> Tensor:
        settings.append((torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")))
        return real(*arguments, **options)

    monkeypatch.setattr(torch, "mm", watched)
    embeddings, labels = random_set(5)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            ranks_of(embeddings, labels)
            kmeans(embeddings, 7, iterations=1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert len(settings) >= 3
    assert set(settings) == {("highest", False)}


@pytest.mark.usefixtures("one_thread")  # another one's tensors would not be seen
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("classes", [1500, 10, 1])
def test_no_n_by_n_matrix_exists(classes: int, backend: str) -> None:
    """Every tensor any operation creates is far smaller than N x N."""
    largest = 0

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, Tensor):
                    largest = max(largest, tensor.numel() * tensor.element_size())
            return result

    num, memory = 3000, 2**20
    embeddings, labels = torch.randn(num, 8), torch.arange(num) % classes
    total = 0
    with Sizes():
        for queries, _ in relevant_ranks(embeddings, labels, memory=memory, backend=backend):
            total += len(queries)
    assert total == num
    assert largest <= memory < num * num * 4 / 30


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
@pytest.mark.parametrize("backend", BACKENDS)
def test_memory_that_runs_out_makes_the_chunks_smaller(
    backend: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    embeddings, labels = random_set(0)
    expected = ranks_of(embeddings, labels, backend=backend)
    real = Tensor.new_empty

    def scarce(self: Tensor, rows: int, width: int) -> Tensor:
        if rows > 9:
            raise error("CUDA out of memory")
        return real(self, rows, width)

    monkeypatch.setattr(Tensor, "new_empty", scarce)
    assert ranks_of(embeddings, labels, backend=backend) == expected
    assert "out of memory" in caplog.text


def test_memory_that_does_not_suffice_for_one_row_is_an_error() -> None:
    def greedy(_rows: slice, _workspace: Tensor) -> Tensor:
        return torch.empty(10**15)

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        list(chunks.in_chunks(greedy, 4, width=1, like=torch.empty(0), memory=100))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    calls = []

    def broken(rows: slice, _workspace: Tensor) -> None:
        calls.append(rows)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(chunks.in_chunks(broken, 4, width=1, like=torch.empty(0), memory=100))
    assert len(calls) == 1


def test_unknown_distance_is_an_error() -> None:
    with pytest.raises(ValueError, match="cosine or euclidean"):
        list(
            relevant_ranks(
                torch.randn(4, 2), torch.zeros(4, dtype=torch.long), distance="manhattan"
            )
        )
