"""The false non-match rate against sorted lists of all pairs."""

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.evaluator import Evaluator
from evaluation.metrics.fnmr import fnmr_at_fmr
from evaluation.metrics.undefined import UndefinedError
from evaluation.search.pairs import Pairs
from evaluation.search.space import Distance
from evaluation.verification import operating_points

EVERYONE = torch.arange(60)


@pytest.fixture
def blobs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 8, (60,), generator=generator)
    centers = torch.randn(8, 5, generator=generator)
    return centers[labels] + torch.randn(60, 5, generator=generator), labels


def similarity(x: np.ndarray, y: np.ndarray, distance: Distance) -> float:
    if distance == "cosine":
        return float(x @ y / np.sqrt(x @ x) / np.sqrt(y @ y))
    return -float(np.linalg.norm(x - y))


def missed(
    embeddings: Tensor, labels: Tensor, queries: Tensor, gallery: Tensor, fmr: float, kind: Distance
) -> float:
    """The definition, with every pair in a list."""
    vectors = embeddings.double().numpy()
    both: dict[bool, list[float]] = {True: [], False: []}
    for q in queries.tolist():
        for g in gallery.tolist():
            if q != g:
                pair = round(similarity(vectors[q], vectors[g], kind), 9)
                both[bool(labels[q] == labels[g])].append(pair)
    negatives = sorted(both[False], reverse=True)
    may_match = round(fmr * len(negatives) - 0.499999)
    if may_match == len(negatives):
        return 0.0
    return float(np.mean([pair <= negatives[may_match] for pair in both[True]]))


@pytest.mark.parametrize("fmr", [0, 0.001, 0.01, 0.1, 0.29, 0.5, 1])
@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("apart", [False, True], ids=["one set", "query and gallery"])
def test_equals_its_definition(
    blobs: tuple[Tensor, Tensor], fmr: float, kind: Distance, apart: bool
) -> None:
    queries, gallery = (EVERYONE[:20], EVERYONE[15:]) if apart else (EVERYONE, EVERYONE)
    expected = missed(*blobs, queries, gallery, fmr, kind)
    for memory in (1, 20_000, 2**24):
        pairs = Pairs(*blobs, queries, gallery, distance=kind, memory=memory)
        found = fnmr_at_fmr(pairs, fmr)
        assert found.dtype == torch.float64
        assert found.item() == pytest.approx(expected, abs=1e-12)


def test_a_share_of_the_negatives_is_counted_in_decimals() -> None:
    """29 of 100 may match; 0.29 * 100 is a little less as a float."""
    angles = torch.cat([torch.zeros(1), torch.arange(1, 101) / 100, torch.tensor([0.295])])
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0] + [1] * 100 + [0])
    pairs = Pairs(embeddings, labels, torch.tensor([0]), torch.arange(102))
    assert [fnmr_at_fmr(pairs, fmr).item() for fmr in (0.28, 0.29, 0.3)] == [1, 0, 0]


def test_ties_are_no_match() -> None:
    """A collapsed space accepts nothing, unless everything may match."""
    pairs = Pairs(torch.ones(60, 3), EVERYONE % 4, EVERYONE, EVERYONE)
    assert [fnmr_at_fmr(pairs, fmr).item() for fmr in (0, 0.5, 0.999, 1)] == [1, 1, 1, 0]


def test_separated_classes_miss_nothing() -> None:
    pairs = Pairs(torch.eye(4)[EVERYONE % 4], EVERYONE % 4, EVERYONE, EVERYONE)
    assert fnmr_at_fmr(pairs, 0).item() == 0


@pytest.mark.parametrize("labels", [EVERYONE, torch.zeros(60, dtype=torch.long)])
def test_without_positives_or_negatives_it_is_undefined(labels: Tensor) -> None:
    with pytest.raises(UndefinedError, match=r"there are (0 positive|3540 positive, 0 negative)"):
        fnmr_at_fmr(Pairs(torch.randn(60, 3), labels, EVERYONE, EVERYONE), 0.1)


def test_with_no_queries_it_is_undefined() -> None:
    with pytest.raises(UndefinedError, match="0 positive"):
        fnmr_at_fmr(Pairs(torch.randn(60, 3), EVERYONE, EVERYONE[:0], EVERYONE), 0.1)


@pytest.mark.parametrize("fmr", [-0.1, 1.1])
def test_an_impossible_rate_is_an_error(blobs: tuple[Tensor, Tensor], fmr: float) -> None:
    with pytest.raises(ValueError, match="fmr must be"):
        fnmr_at_fmr(Pairs(*blobs, EVERYONE, EVERYONE), fmr)


def test_bits_order_as_the_numbers_do() -> None:
    numbers = torch.tensor([-torch.inf, -3.0, -1.0, -1e-40, 0.0, 1e-40, 0.5, 0.50000006, 2.0])
    bits = operating_points.ordered_bits(numbers)
    assert (bits.diff() > 0).all()
    zeros = operating_points.ordered_bits(torch.tensor([-0.0, 0.0]))
    assert zeros[0] == zeros[1]
    for number, bit in zip(numbers, bits.tolist(), strict=True):
        leading, trailing = (bit >> 16) + 2**15, bit & 0xFFFF
        assert operating_points.similarity_of(leading, trailing) == number


def test_an_evaluation_offers_the_pairs_and_knows_that_lower_is_better(
    blobs: tuple[Tensor, Tensor],
) -> None:
    metrics = {"fnmr": lambda pairs: fnmr_at_fmr(pairs, 0.1)}
    is_query = EVERYONE < 20
    for kind in ("cosine", "euclidean"):
        evaluation = Evaluator(metrics, distance=kind)
        assert evaluation.higher_is_better["fnmr"] is False
        found = evaluation(*blobs, is_query, ~is_query)["fnmr"]
        expected = missed(*blobs, EVERYONE[:20], EVERYONE[20:], 0.1, kind)
        assert found == pytest.approx(expected, abs=1e-12)


def test_counting_in_blocks_changes_nothing(
    blobs: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Pairs(*blobs, EVERYONE, EVERYONE)
    expected = [fnmr_at_fmr(pairs, fmr).item() for fmr in (0.01, 0.1, 0.5)]
    monkeypatch.setattr(operating_points, "BLOCK_PAIRS", 101)
    assert [fnmr_at_fmr(pairs, fmr).item() for fmr in (0.01, 0.1, 0.5)] == expected
