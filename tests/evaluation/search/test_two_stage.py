"""Two-stage search against exact fractions, where float32 and bfloat16 cannot tell."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.search import backend, ranks
from evaluation.search.backend import check_backend, measured_precisions, uses_two_stage
from evaluation.search.ranks import relevant_ranks
from evaluation.search.space import normalize_for_search
from evaluation.search.two_stage import search
from evaluation.search.two_stage.low_precision import (
    LowPrecisionProduct,
    bits_to_float,
    lower_limit,
    round_points,
    upper_limit,
)
from evaluation.search.two_stage.select_nearest import candidate_threshold

HALF, SINGLE = torch.bfloat16, torch.float32
LADDERS = {"bfloat16": (HALF, SINGLE), "float32": (SINGLE,), "bfloat16 alone": (HALF,)}


@pytest.fixture(params=LADDERS.values(), ids=LADDERS, autouse=True)
def precisions(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[torch.dtype, ...]:
    monkeypatch.setattr(ranks, "choose_precisions", lambda _: request.param)
    return request.param


def exact_ranks(embeddings: Tensor, labels: Tensor, distance: str) -> dict[int, list[int]]:
    """The definition, in fractions, of the points the search sees."""
    points = [
        [Fraction(x) for x in point]
        for point in normalize_for_search(embeddings, distance).tolist()
    ]
    found = {}
    for q, x in enumerate(points):
        near = {}
        for g, y in enumerate(points):
            half_square = sum(b * b for b in y) / 2 if distance == "euclidean" else 0
            near[g] = sum(a * b for a, b in zip(x, y, strict=True)) - half_square
        others = [g for g in range(len(points)) if g != q]
        wrong = [near[g] for g in others if labels[g] != labels[q]]
        right = sorted((near[g] for g in others if labels[g] == labels[q]), reverse=True)
        if right:
            found[q] = [n + sum(w >= r for w in wrong) for n, r in enumerate(right, start=1)]
    return found


def two_stage_ranks(embeddings: Tensor, labels: Tensor, **options: object) -> dict[int, list[int]]:
    found = {}
    for queries, ranking in relevant_ranks(embeddings, labels, backend="two_stage", **options):
        for q, row, num in zip(queries.tolist(), ranking.ranks, ranking.num_relevant, strict=True):
            found[q] = row[:num].tolist()
    return found


def near_ties(seed: int) -> tuple[Tensor, Tensor]:
    """A few directions, their copies, and copies off by one unit in the last place."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(6, 4, generator=generator).repeat(8, 1)
    flip = torch.randint(-1, 2, base.shape, generator=generator, dtype=torch.int32)
    embeddings = (base.view(torch.int32) + flip).view(torch.float32)
    embeddings[:12] = base[:12]
    return embeddings, torch.randint(0, 5, (48,), generator=generator)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(3))
def test_near_ties_and_copies_are_ranked_as_by_fractions(seed: int, distance: str) -> None:
    embeddings, labels = near_ties(seed)
    expected = exact_ranks(embeddings, labels, distance)
    assert two_stage_ranks(embeddings, labels, distance=distance) == expected


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("shift", [0.0, -2.0, 3.0])
def test_any_similarity_negative_tiny_or_huge(scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(0)
    embeddings = (torch.randn(40, 3, generator=generator) + shift) * scale
    labels = torch.arange(40) % 13
    expected = exact_ranks(embeddings, labels, "euclidean")
    assert two_stage_ranks(embeddings, labels, distance="euclidean") == expected


@pytest.mark.parametrize("too_many", [0, 0.02, 1])
@pytest.mark.parametrize("memory", [1, 10**5, 2**28])
@pytest.mark.usefixtures("threads")
def test_ranks_depend_on_nothing_but_the_points(
    memory: int, too_many: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_AMBIGUOUS", too_many)
    monkeypatch.setattr(search, "FIRST_ROUND", 16)
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 60, (300,), generator=generator)
    embeddings = torch.randn(300, 16, generator=generator)
    expected = exact_ranks(embeddings[:60], labels[:60], "cosine")
    assert two_stage_ranks(embeddings[:60], labels[:60], memory=memory) == expected
    everyone = two_stage_ranks(embeddings, labels, memory=memory)
    order = torch.randperm(300, generator=generator)
    shuffled = two_stage_ranks(embeddings[order], labels[order], memory=memory)
    assert {int(order[q]): ranks for q, ranks in shuffled.items()} == everyone
    torch_ranks = relevant_ranks(embeddings, labels, backend="torch")
    for queries, ranking in torch_ranks:
        for q, row, num in zip(queries.tolist(), ranking.ranks, ranking.num_relevant, strict=True):
            assert everyone[q] == row[:num].tolist()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_no_product_errs_more_than_its_bound(
    precisions: tuple[torch.dtype, ...], scale: float, distance: str
) -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 200, 96, generator=generator) * scale + scale / 2
    x[:50] = y[:50]
    truth = x.double() @ y.double().T
    if distance == "euclidean":
        truth -= y.double().square().sum(dim=1) / 2
    tried = LowPrecisionProduct(
        round_points(x, precisions[0]), round_points(y, precisions[0]), distance
    )
    out, bound = torch.empty(200, 200, dtype=precisions[0]), tried.bound
    codes = tried.similarity_bits(torch.arange(200), out)
    shift = 16 if precisions[0] == HALF else 0
    value, truth = out.double().numpy(), truth.numpy()
    assert [bits_to_float(code, shift) for code in codes[0]] == value[0].tolist()
    wrong, allowed = np.abs(value - truth), bound.error[:, None] + bound.relative * np.abs(value)
    assert (wrong <= allowed).all()
    assert wrong.max() > allowed.max() / 1000  # which is not just a large number
    for q, row in enumerate(truth):
        for true, seen in zip(row - bound.shift[q], value[q], strict=True):
            low, high = lower_limit(true, q, bound), upper_limit(true, q, bound)
            assert low <= seen <= high
            error = bound.error[q] + bound.relative * abs(true + bound.shift[q])
            assert high - low <= 2.1 * error + 1e-6 * abs(true + bound.shift[q])


def test_the_limit_of_candidates_allows_for_the_errors_of_both(
    precisions: tuple[torch.dtype, ...],
) -> None:
    points = round_points(
        torch.randn(20, 8, generator=torch.Generator().manual_seed(3)), precisions[0]
    )
    bound = LowPrecisionProduct(points, points, "cosine").bound
    for q, best in enumerate(np.linspace(0.5, 9, 20, dtype=np.float32)):
        lowest = best - 2 * bound.error[q] - bound.relative * float(best)
        limit = candidate_threshold(best, q, bound)
        assert limit <= lowest  # the best is less, a candidate more
        assert limit >= lowest - 1.1 * bound.relative * best - 1e-5


def test_the_probe_offers_float32_in_the_end_and_is_not_asked_about_few() -> None:
    assert measured_precisions()[-1] == torch.float32
    assert backend.choose_precisions(backend.LOW_PRECISION_FROM) == measured_precisions()
    assert backend.choose_precisions(backend.LOW_PRECISION_FROM - 1) == (torch.float32,)


def test_unknown_and_impossible_backends_are_errors() -> None:
    with pytest.raises(ValueError, match="auto, torch, two_stage or faiss"):
        check_backend("fast", torch.device("cpu"))
    with pytest.raises(ValueError, match="on the CPU"):
        check_backend("two_stage", torch.device("cuda"))
    assert not uses_two_stage("auto", torch.device("cuda"))


def test_certified_is_a_deprecated_name_of_two_stage(caplog: pytest.LogCaptureFixture) -> None:
    backend.warn_of_certified.cache_clear()
    for _ in range(2):
        check_backend("certified", torch.device("cpu"))
    assert caplog.messages == [
        "evaluation.measure.backend=certified is deprecated, write two_stage"
    ]
    assert uses_two_stage("certified", torch.device("cpu"))
    embeddings, labels = torch.randn(40, 4), torch.arange(40) % 5
    old, new = (
        [ranking.ranks for _, ranking in relevant_ranks(embeddings, labels, backend=name)]
        for name in ("certified", "two_stage")
    )
    assert all(a.equal(b) for a, b in zip(old, new, strict=True))
